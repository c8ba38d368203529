"""Shared by all tests: small sets, and a cache of their own."""

from __future__ import annotations

import numpy as np
import pytest

from dilute.data import LabelledSet, Splits, load


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
    """90 images of 8×8 pixels, three classes in unequal numbers, each image's pixels telling its index."""
    images = (
        np.zeros((90, 1, 8, 8), dtype=np.uint8) + np.arange(90, dtype=np.uint8)[:, None, None, None]
    )
    labels = np.array([0] * 50 + [1] * 30 + [2] * 10)
    return LabelledSet(images, labels, ("ant", "bee", "cat"))
