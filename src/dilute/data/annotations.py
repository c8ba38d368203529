"""Several labels for an item, and who gave them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Annotations:
    """Labels of items by annotators, one label a row; items may have any number of them.

    Arguments:
        items, annotators, labels: int64 `[M]`, the annotator of row m gave the item the label; each
            is counted from 0.
        num_items, num_annotators, num_classes: how many of each.
        annotator_names: their names; numbers from 0 if empty.
    """

    items: NDArray[np.int64]
    annotators: NDArray[np.int64]
    labels: NDArray[np.int64]
    num_items: int
    num_annotators: int
    num_classes: int
    annotator_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def names(self) -> tuple[str, ...]:
        """The annotators' names, or their numbers where they have none."""
        return self.annotator_names or tuple(map(str, range(self.num_annotators)))

    def counts(self) -> NDArray[np.int64]:
        """Return int64 `[num_items, K]`: how often each label was given to each item."""
        cells = self.items * self.num_classes + self.labels
        found = np.bincount(cells, minlength=self.num_items * self.num_classes)
        return found.reshape(self.num_items, self.num_classes)

    def most_frequent(self) -> NDArray[np.int64]:
        """Return int64 `[num_items]`: each item's most frequent label.

        Of equally frequent ones it is that of the lowest number; −1 for an item without labels.
        """
        counts = self.counts()
        return np.where(counts.any(axis=1), counts.argmax(axis=1), -1)

    def take(self, rows: NDArray[np.int64]) -> Annotations:
        """Return the labels of the items at `rows` (int64, all different), in that order."""
        place = np.full(self.num_items, -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        items = place[self.items]
        kept = items >= 0
        return Annotations(
            items[kept],
            self.annotators[kept],
            self.labels[kept],
            len(rows),
            self.num_annotators,
            self.num_classes,
            self.annotator_names,
        )

    def followed_by(self, other: Annotations) -> Annotations:
        """Return the labels of these items and, after them, those of `other`.

        Both must be by the same annotators, of the same classes.
        """
        return Annotations(
            np.concatenate([self.items, other.items + self.num_items]),
            np.concatenate([self.annotators, other.annotators]),
            np.concatenate([self.labels, other.labels]),
            self.num_items + other.num_items,
            self.num_annotators,
            self.num_classes,
            self.annotator_names,
        )

    @property
    def content_hash(self) -> str:
        """Hex SHA-256 of who gave which label to which item, in whatever order rows are."""
        order = np.lexsort((self.labels, self.annotators, self.items))
        digest = hashlib.sha256(repr((self.num_items, self.num_classes, self.names)).encode())
        for column in (self.items, self.annotators, self.labels):
            digest.update(column[order].astype("<i8").tobytes())
        return digest.hexdigest()
