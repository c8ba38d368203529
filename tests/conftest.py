"""Shared by all tests: small sets, a cache of their own, the command line; and what they run on."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import CLASSES, jpeg, write_shard

from dilute import environment
from dilute.cli import main
from dilute.data import LabelledSet, Splits, load

# Each may change the last digits of results; the Makefile says which changes what.
PROCESSOR_VARIABLES = (
    "OMP_NUM_THREADS",
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "MKL_ENABLE_INSTRUCTIONS",
    "OPENBLAS_CORETYPE",
    "NPY_DISABLE_CPU_FEATURES",
)


def pytest_report_header() -> list[str]:
    """Return what the last digits of results depend on."""
    computer = environment.hardware(torch.device("cpu"))
    asked = [f"{name}={os.environ[name]}" for name in PROCESSOR_VARIABLES if name in os.environ]
    return [
        f"processor: {computer['processor']}, {computer['cores']} cores; "
        f"PyTorch {torch.__version__} takes {torch.backends.cpu.get_cpu_capability()} "
        f"and {torch.get_num_threads()} threads",
        f"asked of it: {' '.join(asked) or 'nothing'}",
    ]


THREADS = torch.get_num_threads()


@pytest.fixture(autouse=True)
def _same_threads():
    """A run may set the number of threads of its process; every test begins with the first one.

    Before it, as fixtures of its module may have set it; after it, for those of the next module.
    """
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(THREADS)


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DILUTE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def digits() -> Splits:
    return load("digits")


@pytest.fixture(scope="session")
def big() -> LabelledSet:
    """6,000 tiny images of 10 classes, 600 each, for statistics of labels."""
    images = np.zeros((6000, 1, 1, 1), dtype=np.uint8)
    return LabelledSet(images, np.arange(6000) % 10, tuple("0123456789"))


@pytest.fixture(scope="session")
def small() -> LabelledSet:
    """90 images of 8×8 pixels, which tell the image's index; three classes in unequal numbers."""
    images = (
        np.zeros((90, 1, 8, 8), dtype=np.uint8) + np.arange(90, dtype=np.uint8)[:, None, None, None]
    )
    labels = np.array([0] * 50 + [1] * 30 + [2] * 10)
    return LabelledSet(images, labels, ("ant", "bee", "cat"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """60 JPEG files of three classes for training, 15 for testing; some grey, of two shapes."""
    for part, count in (("train", 20), ("val", 5)):
        for label, name in enumerate(CLASSES):
            place = tmp_path / "pets" / part / name
            place.mkdir(parents=True)
            for index in range(count):
                size = (24, 18) if index % 2 else (15, 30)
                number = 1000 * (part == "val") + 100 * label + index
                (place / f"{index:02}.jpg").write_bytes(jpeg(number, size))
    return tmp_path / "pets"


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Four shards of 15 images for training, one for testing."""
    place = tmp_path / "shards"
    place.mkdir()
    for number in range(4):
        write_shard(
            place / f"train-{number}.tar", range(15 * number, 15 * number + 15), lambda n: n % 3
        )
    write_shard(place / "val-0.tar", range(100, 115), lambda n: n % 3)
    return place


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]):
    """Run a command in this process: exit code, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run
