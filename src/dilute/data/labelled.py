"""The type that every data source produces: inputs and labels, in arrays."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from dilute import seeds
from dilute.data.annotations import Annotations
from dilute.data.augmentation import Augmentation
from dilute.data.checks import (
    channels_first,
    check_alike,
    check_inputs,
    checked_labels,
)
from dilute.data.encoded import EncodedImages, joined
from dilute.errors import DataError, printable

# Decoding takes time: of larger streamed sets so many images stand for all.
STATISTICS_IMAGES = 1024


@dataclass(frozen=True, eq=False)
class LabelledSet:
    """Inputs with one label each.

    Arguments:
        inputs: uint8 images `[N, C, H, W]` (C is 1 or 3, values 0 to 255; often a memory map, or
            `EncodedImages`, which are decoded where they are indexed), or float32 features
            `[N, …]`, all finite. Images may be given as `[N, H, W]` or `[N, H, W, C]`, too.
        labels: int64 `[N]`, values 0 to K−1; without class names, whole numbers or text.
        class_names: K names; K ≥ 2. Those of the labels, in their order, if None. What cannot be
            printed in them, and in `row_names`, becomes an escape, as by `dilute.errors.printable`.
        name: of the data set that it is the training part of (with `:test` after it for the test
            part); given by the `Splits` that it becomes a part of.
        row_names: str `[N]`, each row's name where the source has one: the file, or the index in
            the public original. Labels from elsewhere are joined by it; it is no part of the
            content.
        annotations: several labels for an item; `labels` then are the most frequent ones.

    Errors: `DataError` for a wrong shape or dtype, labels out of range, fewer than two classes,
        features that are not finite, or names or annotations that are not those of N items.
    """

    inputs: NDArray[Any] | EncodedImages
    labels: NDArray[Any]
    class_names: tuple[str, ...] = None  # type: ignore[assignment]
    name: str = ""
    row_names: NDArray[np.str_] | None = None
    annotations: Annotations | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", channels_first(self.inputs))
        check_inputs(self.inputs)
        if cast(Any, self.class_names) is None:
            from dilute.data.parts import encode

            labels, _, names = encode(np.asarray(self.labels), None)
            object.__setattr__(self, "labels", labels)
            object.__setattr__(self, "class_names", names)
        object.__setattr__(
            self, "class_names", tuple(printable(str(name)) for name in self.class_names)
        )
        object.__setattr__(self, "labels", checked_labels(self.labels, len(self.class_names)))
        if len(self.inputs) != len(self.labels):
            raise DataError(
                f"{len(self.inputs)} inputs but {len(self.labels)} labels; there must be one label "
                "per input"
            )
        if self.row_names is not None and (joined_names := "".join(self.row_names)) != printable(
            joined_names
        ):
            shown = np.array([printable(str(name)) for name in self.row_names])
            object.__setattr__(self, "row_names", shown)
        if self.row_names is not None and len(self.row_names) != len(self.labels):
            raise DataError(
                f"{len(self.labels)} labels but {len(self.row_names)} row names; there must be one "
                "name per input"
            )
        if self.annotations is not None:
            self._check_annotations(self.annotations)

    def _check_annotations(self, annotations: Annotations) -> None:
        found = (annotations.num_items, annotations.num_classes)
        if found != (len(self), self.num_classes):
            raise DataError(
                f"annotations are of {found[0]} items and {found[1]} classes; there are "
                f"{len(self)} inputs and {self.num_classes} classes"
            )
        if (np.bincount(annotations.items, minlength=len(self)) == 0).any():
            raise DataError("annotations leave items without a label; take those with labels alone")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_classes(self) -> int:
        """The number of classes K."""
        return len(self.class_names)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input: `(C, H, W)` for images, the feature shape otherwise."""
        return tuple(self.inputs.shape[1:])

    @property
    def is_images(self) -> bool:
        """Whether the inputs are uint8 images `[N, C, H, W]`; otherwise they are float features."""
        return self.inputs.dtype == np.uint8

    @property
    def is_streamed(self) -> bool:
        """Whether the inputs are decoded anew whenever they are asked for."""
        return isinstance(self.inputs, EncodedImages)

    @property
    def shard_of(self) -> NDArray[np.int32] | None:
        """int32 `[N]`, ascending: which shard each input is in; None for what is not in shards."""
        if not isinstance(self.inputs, EncodedImages) or self.inputs.places.members is None:
            return None
        return self.inputs.places.file_of

    @property
    def unreadable(self) -> set[int] | None:
        """The rows found so far that do not decode; None where such a row is an error."""
        if not isinstance(self.inputs, EncodedImages) or self.inputs.on_corrupt != "skip":
            return None
        return self.inputs.unreadable

    @cached_property
    def content_hash(self) -> str:
        """Hex SHA-256 of inputs, labels and class names: equal content has an equal hash.

        Of a streamed set, names and sizes of the images, and how they lie in shards, stand for
        their content.
        """
        digest = hashlib.sha256()
        digest.update(repr((self.inputs.shape, self.inputs.dtype.str, self.class_names)).encode())
        if isinstance(self.inputs, EncodedImages):
            digest.update(self.inputs.identity.encode())
        else:
            rows_at_once = max(1, 2**24 // max(1, self.inputs[:1].nbytes))
            for start in range(0, len(self), rows_at_once):
                piece = self.inputs[start : start + rows_at_once]
                digest.update(np.ascontiguousarray(piece).tobytes())
        digest.update(self.labels.astype("<i8").tobytes())
        if self.annotations is not None:
            digest.update(self.annotations.content_hash.encode())
        return digest.hexdigest()

    @cached_property
    def labels_hash(self) -> str:
        """Hex SHA-256 of labels, annotations and class names, whatever the inputs are."""
        digest = hashlib.sha256(repr((len(self), self.class_names)).encode())
        digest.update(self.labels.astype("<i8").tobytes())
        if self.annotations is not None:
            digest.update(self.annotations.content_hash.encode())
        return digest.hexdigest()

    def statistics(
        self, rows: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and standard deviation of the inputs: by channel `[C]`, or else by feature.

        Arguments:
            rows: int64, the examples to use; all if None. For images the sums are exact, so that
                the result is the same on every machine. Of a streamed set, 1,024 of them are used
                that are drawn by a fixed seed, and those that cannot be read are left out.

        Errors: `DataError` if none can be read.
        """
        rows = np.arange(len(self)) if rows is None else rows
        if self.is_streamed and len(rows) > STATISTICS_IMAGES:
            drawn = seeds.Permutation(len(rows), 0, "data", "statistics")
            rows = rows[np.sort(drawn(np.arange(STATISTICS_IMAGES)))]
        if not self.is_images:
            assert isinstance(self.inputs, np.ndarray)
            chosen = self.inputs[rows]
            return chosen.mean(axis=0, dtype=np.float64), chosen.std(axis=0, dtype=np.float64)
        levels = np.arange(256)
        counts = np.zeros((self.input_shape[0], len(levels)), dtype=np.int64)
        at_once = max(1, 2**22 // math.prod(self.input_shape))
        for start in range(0, len(rows), at_once):
            here = rows[start : start + at_once]
            images = self.inputs[here]
            if self.unreadable:
                images = images[~np.isin(here, list(self.unreadable))]
            for channel, histogram in enumerate(counts):
                histogram += np.bincount(images[:, channel].ravel(), minlength=len(levels))
        if not counts.any():
            raise DataError(f"{self.name}: none of the {len(rows)} images looked at can be read")
        mean = counts @ levels / counts.sum(axis=1)
        squares = (counts * (levels - mean[:, None]) ** 2).sum(axis=1)
        return mean, np.sqrt(squares / counts.sum(axis=1))

    def gather(
        self, indices: NDArray[np.int64], augmentation: Augmentation | None = None
    ) -> NDArray[Any]:
        """Return the inputs at `indices` (int64 `[B]`, each 0 to N−1): `[B, …]`, copied.

        Arguments:
            augmentation: for images alone, how each is changed. What is streamed is cropped from
                the whole picture, what is in memory from the square that is there.

        Errors: `DataError` for a streamed image that does not decode.
        """
        if augmentation is None:
            return self.inputs[indices]
        if isinstance(self.inputs, EncodedImages):
            return self.inputs.augmented(indices, augmentation)
        return augmentation.of_arrays(self.inputs[indices])

    def unreadable_names(self) -> list[str]:
        """Return the names of the rows found so far that do not decode, in the order of rows."""
        if not isinstance(self.inputs, EncodedImages):
            return []
        return [self.inputs.places.name(row) for row in sorted(self.inputs.unreadable)]

    def take(self, rows: NDArray[np.int64]) -> LabelledSet:
        """Return the examples at `rows` (int64) alone; what is streamed stays encoded."""
        return LabelledSet(
            self.inputs.take(rows, axis=0),
            self.labels[rows],
            self.class_names,
            row_names=None if self.row_names is None else self.row_names[rows],
            annotations=None if self.annotations is None else self.annotations.take(rows),
        )


@dataclass(frozen=True, eq=False)
class Splits:
    """A data set as it was found: a training set, and a test set if there is one.

    Arguments:
        name: what identifies the content in a `RunSpec`: `mnist`, or `folder@0123456789abcdef` (the
            source's kind and a hash of the content) for the user's own; never a path.
        train: the training set.
        test: the test set, with the same classes and input shape, or None.
        origin: where it was found, for people to read: a path, a package, an address.
        cut_rows: for a source in one piece, which of its rows became the training set, int64
            ascending; the others are the test set.
        test_is_clean: whether the test set's labels are known to be right. Only then is what is
            measured on them an accuracy; else it is agreement with the labels as given.
        train_is_clean: whether the training labels are; else how many are wrong is not known.
    """

    name: str
    train: LabelledSet
    test: LabelledSet | None
    origin: str
    cut_rows: NDArray[np.int64] | None = None
    test_is_clean: bool = True
    train_is_clean: bool = True

    def __post_init__(self) -> None:
        for part, name in ((self.train, self.name), (self.test, f"{self.name}:test")):
            if part is not None and not part.name:
                object.__setattr__(part, "name", name)
        missing = np.flatnonzero(
            np.bincount(self.train.labels, minlength=self.train.num_classes) == 0
        )
        if len(missing):
            names = ", ".join(self.train.class_names[k] for k in missing[:5])
            raise DataError(
                f"{self.name}: no training example of {len(missing)} of {self.train.num_classes} "
                f"classes ({names}); every class needs at least one"
            )
        if self.test is not None:
            check_alike(self.train, self.test, f"{self.name}: the test set")

    def measured(self) -> LabelledSet:
        """Return what a model from elsewhere is measured on: the test set, or all in one piece."""
        return self.whole() if self.cut_rows is not None or self.test is None else self.test

    def whole(self) -> LabelledSet:
        """Return all examples of a source in one piece; of other sources, the training set.

        The former have `:whole` at the end of their name.
        """
        if self.cut_rows is None or self.test is None:
            return self.train
        size = len(self.train) + len(self.test)
        order = np.empty(size, dtype=np.int64)
        rest = np.setdiff1d(np.arange(size), self.cut_rows)
        order[np.concatenate([self.cut_rows, rest])] = np.arange(size)
        first, second = self.train.inputs, self.test.inputs
        both: NDArray[Any] | EncodedImages
        if isinstance(first, EncodedImages) and isinstance(second, EncodedImages):
            both = joined(first, second)
        else:
            both = np.concatenate([np.asarray(first), np.asarray(second)])
        labels = np.concatenate([self.train.labels, self.test.labels])
        whole = LabelledSet(
            both,
            labels,
            self.train.class_names,
            row_names=_joined_names(self.train, self.test),
            annotations=_joined_annotations(self.train, self.test),
        )
        return replace(whole.take(order), name=f"{self.name}:whole")


def _joined_names(one: LabelledSet, other: LabelledSet) -> NDArray[np.str_] | None:
    if one.row_names is None or other.row_names is None:
        return None
    return np.concatenate([one.row_names, other.row_names])


def _joined_annotations(one: LabelledSet, other: LabelledSet) -> Annotations | None:
    if one.annotations is None or other.annotations is None:
        return None
    return one.annotations.followed_by(other.annotations)
