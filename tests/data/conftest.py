"""What the tests of data sources share: a cache of their own, and real data if there are any."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

REAL_DATA = os.environ.get("DILUTE_DATA")
_PLACES = {
    "mnist": ("MNIST/raw", "mnist"),
    "cifar10": ("cifar10", "cifar-10-batches-py"),
    "cifar100": ("cifar100", "cifar-100-python"),
}


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the cache and the data folder of every test to itself; return the cache."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("DILUTE_CACHE", str(cache))
    monkeypatch.setenv("DILUTE_DATA", str(tmp_path_factory.mktemp("data")))
    return cache


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """Return what gives the folder of a real data set, or skips the test where it is absent."""

    def folder(name: str) -> Path:
        if REAL_DATA and any((Path(REAL_DATA) / place).is_dir() for place in _PLACES[name]):
            return Path(REAL_DATA)
        pytest.skip(f"the data set {name} is not under DILUTE_DATA")

    return folder
