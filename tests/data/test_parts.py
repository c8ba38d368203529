from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dilute.data import parts
from dilute.errors import DataError


@given(st.lists(st.integers(0, 6), min_size=1, max_size=200))
def test_split_cuts_every_class_alike_and_loses_nothing(values: list[int]) -> None:
    labels = np.array(values)
    train, test = parts.split_indices(labels)
    assert sorted([*train, *test]) == list(range(len(labels)))
    assert (np.diff(train) > 0).all()
    for label in set(values):
        members, kept = values.count(label), (labels[train] == label).sum()
        assert kept >= 1
        assert members - kept == min(round(0.2 * members), members - 1)


def test_split_known_answer() -> None:
    _, test = parts.split_indices(np.arange(60) % 3)
    assert test.tolist() == [0, 5, 7, 9, 11, 12, 25, 33, 47, 52, 53, 55]


def test_encode_maps_sorted_values_to_classes() -> None:
    train, test, names = parts.encode(np.array([7, 3, 7]), np.array([3]))
    assert train.tolist() == [1, 0, 1]
    assert test is not None
    assert test.tolist() == [0]
    assert names == ("3", "7")
    assert parts.encode(np.array(["b", "a"]), None)[2] == ("a", "b")
    assert parts.encode(np.array([b"b", b"a"]), None)[2] == ("a", "b")
    assert parts.encode(np.array([[1.0], [0.0]]), None)[0].tolist() == [1, 0]
    assert parts.encode(np.array([True, False]), None)[0].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("train", "test", "names", "message"),
    [
        (np.array([0, -1]), None, None, "labels out of range: -1"),
        (np.array([0, 5]), None, ("a", "b"), "labels out of range: 5; with 2 classes"),
        (np.array([0, 2**64 - 1], np.uint64), None, None, "labels out of range"),
        (np.array([0.5, 1]), None, None, "whole numbers or text"),
        (np.array([np.nan, 1]), None, None, "whole numbers or text"),
        (np.array([]), None, None, "no labels"),
        (np.eye(3), None, None, "shape \\(3, 3\\)"),
        (np.array([0, 1]), np.array([2]), None, "only the test set has: 2"),
        (np.array([0, 1]), np.array(["0"]), None, "both must be of one kind"),
        (np.arange(70_000), None, None, "are these labels"),
    ],
)
def test_encode_refuses(train, test, names, message) -> None:
    with pytest.raises(DataError, match=message):
        parts.encode(train, test, names)
