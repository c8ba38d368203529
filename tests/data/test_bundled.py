from __future__ import annotations

import numpy as np
import pytest

from dilute import data


@pytest.mark.parametrize(
    ("name", "sizes", "shape", "hashes"),
    [
        ("mnist5k", (4000, 1000), (1, 28, 28), ("00def3c2791e980a", "6d2e2468315ec048")),
        ("digits", (1438, 359), (1, 8, 8), ("5b5853ed4028a1db", "2d6fe6fa2003f274")),
    ],
)
def test_bundled_sets_are_the_same_everywhere(name, sizes, shape, hashes) -> None:
    splits = data.load(name)
    assert splits.name == name
    for part, size, known in zip((splits.train, splits.test), sizes, hashes, strict=True):
        assert part is not None
        assert part.inputs.shape == (size, *shape)
        assert part.inputs.max() == 255
        assert part.class_names == tuple("0123456789")
        assert part.content_hash.startswith(known)
    if name == "mnist5k":
        assert splits.test is not None
        assert (np.bincount(splits.test.labels) == 100).all()
