"""`make loader`: loading streamed images against torchvision's ImageFolder; memory against alpha.

Every measurement in a process of its own, ours and theirs in turn. `--images 2000 --rounds 1` tries
it out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from report import ROOT, answer, machine, measured_apart, write_results

from dilute.study.pages import markdown_table, write_table

NUM_CLASSES = 100
BATCH_SIZE = 256
GPU_IMAGES_PER_SECOND = 3000
WORKERS = (0, 1, 2)
ALPHAS = (0, 5, 50)
# Pixels of the files, of what training sees, and the share of `--images` that there are.
KINDS = {"small": ((128, 96), 64, 1.0), "photographs": ((500, 375), 224, 0.04)}


def write_image(number: int, *, folder: Path, size: tuple[int, int]) -> None:
    """Write image `number`: blots of colour under grain, about as hard for JPEG as a photograph."""
    generator = np.random.default_rng(number)
    blots = Image.fromarray(generator.integers(0, 256, (6, 8, 3), np.uint8)).resize(size)
    grain = generator.normal(0, 12, (size[1], size[0], 1))
    pixels = np.clip(np.asarray(blots) + grain, 0, 255).astype(np.uint8)
    label = folder / f"{number % NUM_CLASSES:03}"
    Image.fromarray(pixels).save(label / f"{number:07}.jpg", quality=85)


def generate(folder: Path, count: int, size: tuple[int, int]) -> None:
    """Fill `folder` with `count` JPEG files in class folders, the same on every machine."""
    done = folder / ".done"
    if done.exists() and done.read_text() == str(count):
        return
    print(f"generating {count:,} images of {size[0]}×{size[1]}", file=sys.stderr, flush=True)
    for label in range(NUM_CLASSES):
        (folder / f"{label:03}").mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor() as pool:
        write = partial(write_image, folder=folder, size=size)
        for _ in pool.map(write, range(count), chunksize=256):
            pass
    done.write_text(str(count))


def images_per_second(batches: Iterator[Any], count: int, warmup: int = 2) -> float:
    for _ in islice(batches, warmup):
        pass
    started = time.perf_counter()
    found = sum(1 for _ in islice(batches, count))
    assert found == count, (found, count)
    return count * BATCH_SIZE / (time.perf_counter() - started)


def ours(folder: str, side: int, workers: int, threads: int, count: int) -> dict[str, float]:
    import torch

    import dilute
    from dilute.dilution import Visits
    from dilute.training.batches import batches

    torch.set_num_threads(threads)
    train = dilute.load(f"folder:{folder}", dilute.Reading(resize=side, stream=True)).train
    visits = Visits(dilute.DilutedSet(train, 5), 1, 0, "crop_flip")
    made = batches(visits, BATCH_SIZE, 0, 10**6, workers)
    return {"images_per_second": images_per_second(made, count)}


def theirs(folder: str, side: int, workers: int, threads: int, count: int) -> dict[str, float]:
    import torch
    from torch.utils.data import DataLoader, RandomSampler
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    torch.set_num_threads(threads)
    transform = v2.Compose([v2.RandomResizedCrop(side), v2.RandomHorizontalFlip(), v2.ToImage()])
    images = ImageFolder(folder, transform=transform)
    sampler = RandomSampler(images, replacement=True, num_samples=10**6 * BATCH_SIZE)
    loader = DataLoader(images, BATCH_SIZE, sampler=sampler, num_workers=workers)
    return {"images_per_second": images_per_second(iter(loader), count)}


def memory(folder: str, side: int, alpha: float, steps: int) -> dict[str, float]:
    """Train a small network on single labels, images decoded as they come, and return the peak."""
    import torch

    import dilute
    from dilute.environment import peak_memory_bytes
    from dilute.runs import scaled_model
    from dilute.training import Recipe, train

    torch.set_num_threads(1)
    noisy = dilute.DilutedSet(
        dilute.load(f"folder:{folder}", dilute.Reading(resize=side, stream=True)).train, alpha
    )
    recipe = Recipe(
        copies=1, batch_size=64, budget_steps=steps, curve_points=1, augment="crop_flip"
    )
    train(scaled_model("mlp1", noisy.clean), noisy, recipe, seed=0, device=torch.device("cpu"))
    table = sum(block.labels.nbytes for block in noisy.blocks)
    return {"peak_bytes": peak_memory_bytes() or 0, "label_bytes": table}


MEASUREMENTS = {"ours": ours, "theirs": theirs, "memory": memory}


def measure(name: str, *arguments: Any) -> dict[str, float]:
    print(f"measuring {name} {' '.join(map(str, arguments))}", file=sys.stderr, flush=True)
    return measured_apart(__file__, "--measure", json.dumps([name, *arguments]))


def speeds(folder: Path, side: int, count: int, rounds: int) -> list[dict[str, Any]]:
    """Return images per second of ours and theirs, by workers.

    And ours in two threads without workers.
    """
    rows = []
    for workers, threads in [*((workers, 1) for workers in WORKERS), (0, 2)]:
        arguments = (str(folder), side, workers, threads, count)
        pairs = [
            (measure("ours", *arguments), measure("theirs", *arguments)) for _ in range(rounds)
        ]
        values = [[pair[i]["images_per_second"] for pair in pairs] for i in (0, 1)]
        rows.append(
            {"workers": workers, "threads": threads, "ours": values[0], "imagefolder": values[1]}
        )
    return rows


def spread(values: Iterable[float], form: str) -> str:
    ordered = sorted(values)
    ends = (statistics.median(ordered), ordered[0], ordered[-1])
    median, low, high = (form.format(value) for value in ends)
    return f"{median} ({low} to {high})" if len(ordered) > 1 else median


def cores_needed(row: dict[str, Any]) -> float:
    return GPU_IMAGES_PER_SECOND / statistics.median(row["ours"])


def table(results: dict[str, Any]) -> str:
    speed_rows, memory_rows = [], []
    for kind, found in results["speed"].items():
        for row in found["rows"]:
            ratios = [a / b for a, b in zip(row["ours"], row["imagefolder"], strict=True)]
            workers = f"{row['workers']}" + (", two threads" if row["threads"] > 1 else "")
            values = (spread(row["ours"], "{:,.0f}"), spread(row["imagefolder"], "{:,.0f}"))
            name = f"{kind}, {found['files']} to {found['side']}"
            speed_rows.append([name, workers, *values, spread(ratios, "{:.2f}")])
    for row in results["memory"]:
        sizes = [f"{row[name] / 2**20:,.1f}" for name in ("label_bytes", "peak_bytes")]
        memory_rows.append([row["data"], str(row["alpha"]), *sizes])
    needed = [
        f"{cores_needed(found['rows'][WORKERS.index(1)]):.1f} for {kind}"
        for kind, found in results["speed"].items()
    ]
    heads = ["images", "workers", "images/s", "ImageFolder, images/s", "ratio"]
    return "\n\n".join(
        [
            markdown_table(heads, speed_rows),
            "Training a small network on single labels, PyTorch included in the peak:",
            markdown_table(
                ["training on", "alpha", "labels, MiB", "peak memory, MiB"], memory_rows
            ),
            f"Cores that a GPU at {GPU_IMAGES_PER_SECOND:,} images/s would need, from one worker's "
            f"rate: {', '.join(needed)}.",
            f"Random resized crops and flips in batches of {BATCH_SIZE}; median (lowest to highest "
            f"of {results['rounds']} rounds). {results['machine']}.",
        ]
    )


def run(folder: Path, images: int, rounds: int, count: int) -> dict[str, Any]:
    results: dict[str, Any] = {"images": images, "rounds": rounds, "speed": {}, "memory": []}
    for kind, (size, side, share) in KINDS.items():
        place = folder / kind
        generate(place, max(2 * NUM_CLASSES, round(share * images)), size)
        batches = max(
            2, count if kind == "small" else count // 10
        )  # a photograph takes ten times as long
        results["speed"][kind] = {
            "files": "×".join(map(str, size)),
            "side": side,
            "rows": speeds(place, side, batches, rounds),
        }
    trained_on = {f"{images:,} small images": (folder / "small", KINDS["small"][1])}
    sample = Path(os.environ.get("DILUTE_DATA", "")) / "imagenet-sample" / "train"
    if sample.is_dir():
        trained_on["1,000 images of 1,000 classes"] = (sample, KINDS["small"][1])
    for name, (place, side) in trained_on.items():
        for alpha in ALPHAS:
            found = measure("memory", str(place), side, alpha, count)
            results["memory"].append({"data": name, "alpha": alpha, **found})
    return {**results, "machine": machine()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000, help="how many small JPEG files")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, default=100, help="batches per measurement")
    parser.add_argument("--folder", type=Path, help="keep the images here; else a temporary folder")
    parser.add_argument("--dry", action="store_true", help="print the table and write no file")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        answer(MEASUREMENTS, given.measure)
        return
    with tempfile.TemporaryDirectory() as temporary:
        results = run(given.folder or Path(temporary), given.images, given.rounds, given.batches)
    text = table(results)
    print(text)
    if not given.dry:
        write_results("loader", results)
        write_table(ROOT / "docs" / "large-data.md", "loader", text)


if __name__ == "__main__":
    main()
