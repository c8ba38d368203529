"""Labels in a table: which labels each image has, without a copy of any image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import psutil
from numpy.typing import NDArray

from dilute import seeds
from dilute.data import Augmentation
from dilute.data.labelled import LabelledSet
from dilute.errors import NoiseError

Labels = NDArray[np.uint8 | np.uint16]


class ImageSource(Protocol):
    """Where inputs come from: a `LabelledSet` or `WhiteNoise`."""

    @property
    def content_hash(self) -> str:
        """What identifies the inputs, whatever they are read from."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input."""

    def __len__(self) -> int: ...

    def gather(
        self, indices: NDArray[np.int64], augmentation: Augmentation | None = None
    ) -> NDArray[Any]:
        """Return the inputs at `indices` (int64 `[B]`): `[B, …]`.

        Arguments:
            augmentation: how they are changed, if they are images; None for not at all.
        """


@dataclass(frozen=True, eq=False)
class Block:
    """Images of one source, each with one or more labels.

    Image `i` has `labels[i, :full]`. Those listed in `extra[0]` have one label more, those of them
    in `extra[1]` two more, and so on, each in a further column (which means nothing for others).

    Arguments:
        source: where the inputs are.
        rows: int64 `[N]`: image `i` is `source[rows[i]]`.
        labels: uint8 or uint16 `[N, full + len(extra)]`.
        extra: int64 arrays, each ascending and not empty: the images with one label more, those
            with two more, ….
        is_own: bool `[N]`: whether the first label is the image's own rather than a drawn one.
        laws: float64 `[R, K]`: the label distributions that occur.
        law_of: int64 `[N]`: image `i`'s labels follow, averaged over all its slots,
            `laws[law_of[i]]`; of no meaning where nothing is known of the noise.
        log_likelihoods: float64 `[N, K]`: by class, the log-likelihood of each image's labels,
            where it is known and is not that of one law for all labels; None elsewhere.
    """

    source: ImageSource
    rows: NDArray[np.int64]
    labels: Labels
    extra: tuple[NDArray[np.int64], ...]
    is_own: NDArray[np.bool_]
    laws: NDArray[np.float64]
    law_of: NDArray[np.int64]
    log_likelihoods: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def full(self) -> int:
        """The number of labels that every image has."""
        columns: int = self.labels.shape[1]
        return columns - len(self.extra)

    @property
    def num_examples(self) -> int:
        """The number of image–label pairs."""
        return len(self) * self.full + sum(map(len, self.extra))

    @property
    def num_own(self) -> int:
        """The number of examples that carry their image's own label."""
        return int(self.is_own.sum())

    @cached_property
    def _num_more(self) -> NDArray[np.int64]:
        """int64 `[N]`: how many labels each image has beyond `full`."""
        more = np.zeros(len(self), dtype=np.int64)
        for images in self.extra:
            more[images] += 1
        return more

    def lengths(self, images: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return int64 `[B]`, the number of labels of each of `images`."""
        return self.full + self._num_more[images]

    def late_turns(self, group: int) -> list[NDArray[np.int64]]:
        """Return the images of each turn that not all images have: see `visit`."""
        turns = range(-(-self.full // group), -(-self.labels.shape[1] // group))
        return [self.extra[turn * group - self.full] for turn in turns]

    def num_visits(self, group: int) -> int:
        """Return how many visits of at most `group` labels show every label once."""
        return len(self) * -(-self.full // group) + sum(map(len, self.late_turns(group)))

    def visit(
        self, visits: NDArray[np.int64], group: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return image, first slot and number of labels of `visits`, int64 `[M]` each.

        Visits are numbered from 0 to num_visits − 1, turn by turn: first every image with its
        labels `0 … group − 1`, then every image that has more with the next ones. With `group = 1`
        a visit is an example.
        """
        turn, images = np.divmod(visits, len(self))
        complete, late = -(-self.full // group), self.late_turns(group)
        beyond = turn >= complete
        if beyond.any():
            ends = np.cumsum([len(one) for one in late])
            place = visits[beyond] - complete * len(self)
            turn[beyond] = complete + np.searchsorted(ends, place, side="right")
            images[beyond] = np.concatenate(late)[place]
        first = turn * group
        return images, first, np.minimum(group, self.lengths(images) - first)

    def counts(
        self,
        images: NDArray[np.int64],
        first: NDArray[np.int64] | int = 0,
        number: NDArray[np.int64] | None = None,
    ) -> NDArray[np.int64]:
        """Return int64 `[B, K]`: how often each label stands beside each of `images` (int64 `[B]`).

        Only `number` slots from `first` on are counted (int64 `[B]` each); all where not given.
        """
        num_classes = self.laws.shape[1]
        last = np.asarray(first) + (self.lengths(images) if number is None else number)
        slots = np.arange(self.labels.shape[1])
        used = (slots >= np.reshape(first, (-1, 1))) & (slots < last[:, None])
        cells = self.labels[images] + num_classes * np.arange(len(images))[:, None]
        counts = np.bincount(cells[used], minlength=len(images) * num_classes)
        return counts.reshape(len(images), num_classes)

    def read(
        self, images: NDArray[np.int64], augmentation: Augmentation | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return the inputs of those of `images` that decode, `[B', …]`, and which do, bool `[B]`.

        Arguments:
            images: int64 `[B]`.
            augmentation: as for `ImageSource.gather`.
        """
        inputs = self.source.gather(self.rows[images], augmentation)
        decodes = self.decodes(images)
        return inputs if decodes.all() else inputs[decodes], decodes

    def decodes(self, images: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return bool `[B]`: False for those of `images` that were found not to decode."""
        found = self.source.unreadable if isinstance(self.source, LabelledSet) else None
        if not found:
            return np.ones(len(images), dtype=bool)
        return ~np.isin(self.rows[images], list(found))

    def take(self, images: NDArray[np.int64]) -> Block:
        """Return the block of `images` (int64, ascending) alone, with all their labels."""
        more = self._num_more[images]
        fewest, most = (int(more.min()), int(more.max())) if len(more) else (0, 0)
        return Block(
            self.source,
            self.rows[images],
            self.labels[images, : self.full + most],
            images_with_more(more, fewest),
            self.is_own[images],
            self.laws,
            self.law_of[images],
            None if self.log_likelihoods is None else self.log_likelihoods[images],
        )


def images_with_more(num_labels: NDArray[np.int64], fewest: int) -> tuple[NDArray[np.int64], ...]:
    """Return which images have more than `fewest` labels, which more than one beyond that, ….

    Arguments:
        num_labels: int64 `[N]`, how many labels each image has, at least `fewest`.
    """
    most = int(num_labels.max(initial=fewest))
    return tuple(np.flatnonzero(num_labels > number) for number in range(fewest, most))


def clean_block(clean: LabelledSet, rows: NDArray[np.int64]) -> Block:
    """Return the images `rows` of a clean set, each with its own label alone."""
    own = clean.labels[rows]
    labels: Labels = own.astype(label_dtype(clean.num_classes))[:, None]
    all_own = np.ones(len(rows), dtype=bool)
    return Block(clean, rows, labels, (), all_own, np.eye(clean.num_classes), own)


def label_dtype(num_classes: int) -> np.dtype[np.uint8 | np.uint16]:
    """Return the smallest unsigned type that holds the labels `0 … num_classes − 1`."""
    assert num_classes <= 65_536, num_classes
    return np.dtype(np.uint8) if num_classes <= 256 else np.dtype(np.uint16)


def check_memory(num_images: int, alpha: float, num_classes: int, tables: int = 1) -> None:
    """Refuse label tables that this machine's free memory cannot hold.

    Errors: `NoiseError` with the memory needed and the largest `alpha` that fits.
    """
    itemsize = tables * label_dtype(num_classes).itemsize
    needed = num_images * (1 + alpha) * itemsize
    available = psutil.virtual_memory().available
    if needed > available:
        raise NoiseError(
            f"alpha = {alpha:g} on {num_images:,} images needs a label table of "
            f"{needed / 2**30:,.1f} GiB, but {available / 2**30:.1f} GiB are free; "
            f"take alpha ≤ {max(0, available // (num_images * itemsize) - 1):,}"
        )


def draw_labels(
    out: Labels,
    true_labels: NDArray[np.int64],
    images: NDArray[np.int64],
    matrix: NDArray[np.float64],
    seed: int,
) -> None:
    """Draw noisy labels into `out` (`[n, copies]`).

    The label of copy `c` of image `i` depends on the seed, `c`, `images[i]` and row
    `true_labels[i]` of `matrix` alone: a larger `alpha` or another subset keeps every label that
    both have. A range of images, such as a shard of a huge set, is drawn at the cost of that range,
    wherever it lies.

    Arguments:
        out: uint8 or uint16 `[n, copies]`, written.
        true_labels: int64 `[n]`.
        images: int64 `[n]`: each image's index in the whole training set.
        matrix: float64 `[K, K]`, row-stochastic.
        seed: the run's seed.
    """
    first, last = (int(images.min()), int(images.max())) if len(images) else (0, -1)
    rows, row_of = np.unique(matrix, axis=0, return_inverse=True)  # one alone if noise is uniform
    members = [np.flatnonzero(row_of[true_labels] == law) for law in range(len(rows))]
    laws = [_thresholds(row) for row in rows]
    for copy in range(out.shape[1]):
        words = seeds.raw(seed, "labels", copy, start=first, count=last - first + 1)[images - first]
        for where, (thresholds, support) in zip(members, laws, strict=True):
            out[where, copy] = support[np.searchsorted(thresholds, words[where], side="right")]


def _thresholds(row: NDArray[np.float64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the 64-bit words at which the inverse CDF of `row` steps, and the classes between.

    Only classes of positive probability are listed, so that rounding can never yield another.
    """
    support = np.flatnonzero(row > 0)
    steps = np.cumsum(row[support])[:-1]
    words = [min(int(step * 2.0**64), 2**64 - 1) for step in steps]
    return np.array(words, dtype=np.uint64), support
