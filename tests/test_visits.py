from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dilute.data import LabelledSet, load
from dilute.dilution import DilutedSet, NoisySet, Visits, in_order
from dilute.errors import SpecError

pytestmark = pytest.mark.numerical

IMAGES = (
    np.zeros((30, 1, 2, 2), dtype=np.uint8) + np.arange(30, dtype=np.uint8)[:, None, None, None]
)
CLEAN = LabelledSet(IMAGES, np.arange(30) % 3, ("a", "b", "c"))
OTHER = LabelledSet(IMAGES[:7] + 100, np.arange(7) % 3, ("x", "y", "z"))
SETS = [
    DilutedSet(CLEAN, 0.0),
    DilutedSet(CLEAN, 4.0),
    DilutedSet(CLEAN, 2.4),
    DilutedSet(CLEAN, 3.0, images=OTHER),
    DilutedSet(CLEAN, 0.1, images=OTHER),
]
any_set = st.sampled_from(SETS)
any_copies = st.sampled_from([1, 2, 3, 5, 100, "all"])


def totals(noisy: NoisySet) -> dict[int, np.ndarray]:
    """Label counts by image, the image known by its pixels."""
    return {
        int(i[0, 0, 0]): c
        for images, counts in in_order(noisy, 8)
        for i, c in zip(images, counts, strict=True)
    }


@settings(deadline=None)
@given(noisy=any_set, copies=any_copies, epoch=st.integers(0, 2))
def test_an_epoch_shows_every_label_once(noisy: NoisySet, copies, epoch: int):
    visits = Visits(noisy, copies, seed=1)
    per_epoch = visits.visits_per_epoch
    batch = visits.batch(epoch * per_epoch, (epoch + 1) * per_epoch)
    np.testing.assert_allclose(batch.targets.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(batch.weights.mean(), 1, rtol=1e-6)
    seen: dict[int, np.ndarray] = {}
    labels = batch.targets * (batch.weights * visits.examples_per_visit)[:, None]
    for image, counts in zip(batch.inputs, labels, strict=True):
        name = int(image[0, 0, 0])
        seen[name] = seen.get(name, 0) + counts
    expected = totals(noisy)
    assert seen.keys() == expected.keys()
    for name, counts in seen.items():
        np.testing.assert_allclose(counts, expected[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("copies", "per_epoch"), [(1, 150), (2, 90), (4, 60), (5, 30), (9, 30), ("all", 30)]
)
def test_visits_per_epoch(copies, per_epoch: int):
    assert Visits(DilutedSet(CLEAN, 4.0), copies, seed=0).visits_per_epoch == per_epoch


@settings(deadline=None, max_examples=40)
@given(
    noisy=any_set,
    copies=any_copies | st.just("expected"),
    cuts=st.lists(st.integers(1, 70), min_size=1, max_size=5),
    start=st.integers(0, 300),
)
def test_the_sequence_is_the_same_however_it_is_cut(
    noisy: NoisySet, copies, cuts: list[int], start: int
):
    visits = Visits(noisy, copies, seed=4)
    whole = visits.batch(start, start + sum(cuts))
    elsewhere = Visits(noisy, copies, seed=4)  # another process, or a resumed one
    parts, position = [], start
    for size in cuts:
        parts.append(elsewhere.batch(position, position + size))
        position += size
    for field, pieces in zip(whole, zip(*parts, strict=True), strict=True):
        np.testing.assert_array_equal(field, np.concatenate(pieces))


def test_two_processes_cut_the_same_sequence():
    """Each of two processes reads every other batch; together they have what one process has."""
    code = (
        "import sys, hashlib, numpy as np; from dilute.data import load; "
        "from dilute.dilution import DilutedSet, Visits; which = int(sys.argv[1]); "
        "visits = Visits(DilutedSet(load('digits').train, 4.3, seed=2), 3, seed=2); "
        "[print(hashlib.sha256("
        "b''.join(a.tobytes() for a in visits.batch(s, s + 50))).hexdigest()) "
        "for s in range(50 * which, 3000, 100)]"
    )
    halves = [
        subprocess.run(
            [sys.executable, "-c", code, str(which)], check=True, capture_output=True, text=True
        )
        for which in (0, 1)
    ]
    visits = Visits(DilutedSet(load("digits").train, 4.3, seed=2), 3, seed=2)
    for which, half in enumerate(halves):
        alone = [
            b"".join(a.tobytes() for a in visits.batch(s, s + 50))
            for s in range(50 * which, 3000, 100)
        ]
        assert half.stdout.split() == [hashlib.sha256(content).hexdigest() for content in alone]


def test_the_sequence_crosses_chunks_and_epochs():
    visits = Visits(DilutedSet(CLEAN, 4.0), 1, seed=0)
    order = visits.order(0, 150 * 250)
    for epoch in range(250):
        assert len(set(order[150 * epoch : 150 * (epoch + 1)])) == 150
    np.testing.assert_array_equal(
        Visits(visits.noisy, 1, seed=0).order(16_000, 17_000), order[16_000:17_000]
    )
    assert (order[:150] != order[150:300]).mean() > 0.9


def test_order_is_pinned():
    assert Visits(DilutedSet(CLEAN, 4.0), "all", seed=0).order(0, 12).tolist() == [
        9,
        26,
        11,
        12,
        27,
        20,
        28,
        8,
        13,
        4,
        3,
        14,
    ]


def test_single_copies_are_the_examples():
    noisy = DilutedSet(CLEAN, 2.0, seed=3)
    visits = Visits(noisy, 1, seed=0)
    batch = visits.batch(0, 90)
    for position, index in enumerate(visits.order(0, 90)):
        image, label = noisy.example(int(index))
        np.testing.assert_array_equal(batch.inputs[position], image)
        assert batch.targets[position].argmax() == label
        assert batch.targets[position].max() == 1


def test_expected_targets_are_the_law():
    noisy = DilutedSet(CLEAN, 4.0)
    batch = Visits(noisy, "expected", seed=0).batch(0, 30)
    names = batch.inputs[:, 0, 0, 0].astype(int)
    np.testing.assert_allclose(batch.targets, noisy.expected()[names], rtol=1e-6)


@pytest.mark.parametrize("copies", [0, -1, "most", 1.5])
def test_copies_that_cannot_be(copies):
    with pytest.raises(SpecError, match="must be a whole number ≥ 1, 'all' or 'expected'"):
        Visits(SETS[0], copies, seed=0)
