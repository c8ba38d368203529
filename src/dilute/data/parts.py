"""What all sources share: classes from raw label values, a seeded split, a name by content."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dilute import seeds
from dilute.data.class_order import in_class_order
from dilute.data.encoded import EncodedImages
from dilute.data.labelled import LabelledSet, Splits
from dilute.errors import DataError

Pair: TypeAlias = "tuple[NDArray[Any] | EncodedImages, NDArray[Any]]"
"""One part of a set: inputs `[N, …]`, and raw label values `[N]` (integers, strings, …)."""
TEST_FRACTION = 0.2
# More classes than this do not fit the noise patterns' tables, and mean that numbers were meant.
_MOST_CLASSES = 65_535


def split_indices(
    labels: NDArray[np.int64], test_fraction: float = TEST_FRACTION
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return indices of a training and a test part, each ascending, with every class cut alike.

    The split is a function of the labels and their order alone, the same on every machine. At least
    one example of each class stays in training; the test part may be empty if classes are tiny.

    Arguments:
        labels: int64 `[N]`.
        test_fraction: 0 to 1, the part of each class that becomes test (rounded).
    """
    in_test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        words = seeds.raw(0, "data", "split", int(label), count=len(members))
        size = min(round(test_fraction * len(members)), len(members) - 1)
        in_test[members[np.argsort(words, kind="stable")[:size]]] = True
    return np.flatnonzero(~in_test), np.flatnonzero(in_test)


def split_set(whole: LabelledSet) -> tuple[LabelledSet, LabelledSet | None]:
    """Return training and test part of a set in one piece; None if no class has enough."""
    train, test = split_indices(whole.labels)
    return whole.take(train), whole.take(test) if len(test) else None


def assemble(
    kind: str,
    origin: str,
    found: Sequence[Pair],
    class_names: tuple[str, ...] | None = None,
    row_names: Sequence[NDArray[np.str_]] | None = None,
) -> Splits:
    """Return the user's own data as `Splits`, with a test part split off if there is none.

    They are named `kind@<hash of content>`.

    Arguments:
        kind: the kind of source, such as `folder`.
        origin: where the data lie, for messages and for people.
        found: the training part, and the test part if there is one.
        class_names: names of the classes 0 to K−1 if the source has them; else from the label
            values.
        row_names: str `[N]` for each part, as in `LabelledSet`.

    Errors: `DataError`, beginning with `origin`, for whatever `LabelledSet` and `Splits` refuse.
    """
    try:
        (inputs, values), *rest = found
        labels, test_labels, names = encode(values, rest[0][1] if rest else None, class_names)
        rows = row_names or (None, None)
        train_set = LabelledSet(inputs, labels, names, row_names=rows[0])
        cut_rows = None
        if test_labels is None:
            cut_rows, _ = split_indices(train_set.labels)
            train_set, test_set = split_set(train_set)
        else:
            test_set = LabelledSet(rest[0][0], test_labels, names, row_names=rows[1])
        name = content_name(kind, train_set, test_set)
        return Splits(name, train_set, test_set, origin, cut_rows)
    except DataError as error:
        raise DataError(f"{origin}: {error}") from error


def content_name(kind: str, train: LabelledSet, test: LabelledSet | None) -> str:
    """Return `kind@` and 16 hex digits of the hash of both parts' content."""
    digest = hashlib.sha256(train.content_hash.encode())
    if test is not None:
        digest.update(test.content_hash.encode())
    return f"{kind}@{digest.hexdigest()[:16]}"


def encode(
    train: NDArray[Any], test: NDArray[Any] | None, class_names: tuple[str, ...] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None, tuple[str, ...]]:
    """Return labels 0 to K−1 of training and test, and the class names, from raw label values.

    Without `class_names` the distinct training values become the classes and their names, in the
    order of `in_class_order`.

    Errors: `DataError` for values that cannot be labels, negative ones, all equal ones, or a test
        class that training lacks.
    """
    train = plain_labels(train)
    test = None if test is None else plain_labels(test)
    if class_names is not None:
        _check_range(train, len(class_names))
        if test is not None:
            _check_range(test, len(class_names))
        return train, test, class_names
    classes, found = np.unique(train, return_inverse=True)
    if len(classes) > _MOST_CLASSES:
        raise DataError(
            f"{len(classes)} different labels; at most {_MOST_CLASSES} classes are allowed: are "
            "these labels?"
        )
    if len(classes) == 1:
        raise DataError(
            f"all {len(train)} labels are {classes[0]}; a classifier needs at least two classes"
        )
    names = tuple(in_class_order(map(str, classes)))
    places = {name: place for place, name in enumerate(names)}
    numbers = np.array([places[str(value)] for value in classes], dtype=np.int64)
    if test is None:
        return numbers[found], None, names
    if (test.dtype.kind == "U") != (train.dtype.kind == "U"):
        raise DataError(
            f"training labels are {train.dtype} but test labels are {test.dtype}; both must be of "
            "one kind"
        )
    unseen = np.setdiff1d(test, classes)
    if len(unseen):
        raise DataError(
            f"classes that only the test set has: {', '.join(map(str, unseen[:5]))} "
            f"({int(np.isin(test, unseen).sum())} of its {len(test)} examples); "
            "every test class needs training examples"
        )
    return numbers[found], numbers[np.searchsorted(classes, test)], names


def plain_labels(values: NDArray[Any]) -> NDArray[Any]:
    """Return label values as int64 or text `[N]`.

    Errors: `DataError` for another shape, no labels, negative ones, or values of another kind.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise DataError(
            f"labels have shape {values.shape}; there must be one per example, shape [N]"
        )
    if len(values) == 0:
        raise DataError("there are no labels; at least one example is needed")
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8", "replace")
    if values.dtype.kind == "U":
        return values
    if values.dtype.kind == "f" and np.isfinite(values).all() and (values == np.rint(values)).all():
        values = values.astype(np.int64) if np.abs(values).max() < 2**53 else values
    if values.dtype.kind not in "biu":
        raise DataError(
            f"labels are {values.dtype} (first: {values[0]}); they must be whole numbers or text"
        )
    if values.min() < 0 or int(values.max()) >= 2**63:
        wrong = values.min() if values.min() < 0 else values.max()
        raise DataError(
            f"labels out of range: {wrong}; labels must be 0 or more (drop unlabelled examples)"
        )
    return values.astype(np.int64)


def _check_range(values: NDArray[Any], num_classes: int) -> None:
    if values.dtype.kind != "i":
        raise DataError(f"labels are {values.dtype}, but the class names ask for whole numbers")
    if values.max() >= num_classes:
        raise DataError(
            f"labels out of range: {values.max()}; with {num_classes} classes they must be 0 to "
            f"{num_classes - 1}"
        )
