"""Small JPEG files in folders and tar files, and runs on them, for the tests of streamed data."""

from __future__ import annotations

import io
import multiprocessing
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from dilute.data import Reading, Splits, load
from dilute.runs import Execution, Material, RunSpec, run_one

SIDE = 12
PLAINLY = Execution(threads=1)
CLASSES = ("ant", "bee", "cat")
RECIPE: dict[str, Any] = {
    "model": "mlp1",
    "batch_size": 16,
    "budget_steps": 8,
    "curve_points": 2,
    "heldout_fraction": 0.2,
}


def jpeg(number: int, size: tuple[int, int] = (24, 18)) -> bytes:
    coarse = np.random.default_rng(number).integers(0, 256, (3, 4, 3), np.uint8)
    image = Image.fromarray(coarse).resize(size)
    content = io.BytesIO()
    (image.convert("L") if number % 7 == 0 else image).save(content, "JPEG")
    return content.getvalue()


def write_shard(path: Path, numbers: range, labels: Callable[[int], object]) -> None:
    with tarfile.open(path, "w") as archive:
        for number in numbers:
            for kind, content in (("jpg", jpeg(number)), ("cls", str(labels(number)).encode())):
                member = tarfile.TarInfo(f"{number:06}.{kind}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def streamed(folder: Path, **options: Any) -> Splits:
    return load(f"folder:{folder}", Reading(resize=SIDE, stream=True, **options))


def spoil(folder: Path, part: str = "train", name: str = "bee/03.jpg") -> Path:
    path = folder / part / name
    path.write_bytes(b"\xff\xd8 not a picture" + bytes(50))
    return path


def outcome(splits: Splits, execution: Execution = PLAINLY, **options: Any) -> Any:
    spec = RunSpec(data=splits.name, **{"alpha": 2.0, **RECIPE, **options})
    return run_one(Material.of(spec, splits=splits), execution)


def assert_same_weights(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def assert_no_workers_left() -> None:
    deadline = time.monotonic() + 20
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not multiprocessing.active_children()


def raises(error: Exception) -> Any:
    raise error
