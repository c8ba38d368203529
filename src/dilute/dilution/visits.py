"""From a noisy set to batches: images with some of their labels, in an endless, seeded order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dilute import seeds
from dilute.data import Augment, Augmentation
from dilute.dilution.blocks import Block
from dilute.dilution.noisy_set import NoisySet
from dilute.dilution.shard_order import ShardOrder
from dilute.errors import SpecError

Copies = int | Literal["all", "expected"]
_SMALLEST_ORDER_CHUNK, _LARGEST_ORDER_CHUNK = 2**8, 2**14


class Batch(NamedTuple):
    """What one training step sees.

    Fields:
        inputs: `[B, …]`, uint8 images or float32 features.
        targets: float32 `[B, K]`: each row a distribution over classes.
        weights: float32 `[B]`: the number of labels behind each row over the mean number; a
            weighted mean loss is then the mean over labels, whatever their grouping. The mean over
            an epoch is 1.
        images: int64 `[B]`: which image of the set each row shows, as in `NoisySet.counts`.
        skipped: int64 `[S]`: which of the B + S visits asked for (0 for the first) have no row
            here, as their image does not decode; none unless the set's source skips such images.
    """

    inputs: NDArray[Any]
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]
    images: NDArray[np.int64]
    skipped: NDArray[np.int64]


class Visits:
    """An endless sequence of visits to the images of a noisy set, each with some of its labels.

    One epoch shows every label once. Visit `p` is a function of (set, copies, seed, augment, p)
    alone, so that batches of any size, from any number of processes, starting anywhere, cut the
    same sequence. Images in shards are visited a few shards at a time (`ShardOrder`), others in any
    order.

    Arguments:
        noisy: the training set.
        copies: labels per visit: 1 (the paper's sampling), any g ≥ 1, `"all"` of the image's
            labels, or `"expected"` for the distribution that they were drawn from.
        seed: which order.
        augment: how each image is changed anew at every visit of `batch`, as in `Augmentation`; not
            at all for None.

    Errors: `SpecError` for other `copies`, or augmentation of what is no image.
    """

    def __init__(
        self, noisy: NoisySet, copies: Copies, seed: int, augment: Augment | None = None
    ) -> None:
        if not (copies in ("all", "expected") or (isinstance(copies, int) and copies >= 1)):
            raise SpecError(
                f"copies = {copies!r} cannot be; it must be a whole number ≥ 1, 'all' or 'expected'"
            )
        self.noisy = noisy
        self.copies = copies
        self.seed = seed
        self.augment = augment
        if augment is not None and not noisy.clean.is_images:
            raise SpecError(
                f"augment = {augment} has no meaning for features of shape "
                f"{noisy.clean.input_shape}; it is for images"
            )
        widest = max(block.labels.shape[1] for block in noisy.blocks)
        self._group = min(copies, widest) if isinstance(copies, int) else widest
        self._starts = np.cumsum([0, *(block.num_visits(self._group) for block in noisy.blocks)])
        self._shard_order = _shard_order(noisy, self._group, seed)
        # Of a small set, no more than is soon needed: an order for every epoch takes its time.
        self._chunk_size = min(
            max(self.visits_per_epoch, _SMALLEST_ORDER_CHUNK), _LARGEST_ORDER_CHUNK
        )
        self._chunk: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, dtype=np.int64))

    @property
    def visits_per_epoch(self) -> int:
        """The number of visits that show every label once."""
        return int(self._starts[-1])

    @property
    def examples_per_visit(self) -> float:
        """The mean number of labels behind a visit, ≥ 1 (`"expected"` counts as `"all"`)."""
        return len(self.noisy) / self.visits_per_epoch

    def batch(self, start: int, stop: int) -> Batch:
        """Return visits `start` to `stop` of the sequence."""
        augmentation = None
        if self.augment is not None:
            words = seeds.raw(self.seed, "augment", start=start, count=stop - start)
            augmentation = Augmentation(self.augment, words)
        return self.read(self.order(start, stop), augmentation)

    def read(self, visits: NDArray[np.int64], augmentation: Augmentation | None = None) -> Batch:
        """Return the visits of those numbers within an epoch.

        Arguments:
            visits: int64 `[B]`, each 0 to visits_per_epoch − 1.
            augmentation: how their images are changed, B of them; None for not at all.
        """
        if len(self.noisy.blocks) == 1:
            return self._read(self.noisy.blocks[0], visits, 0, augmentation)
        return self._read_several(visits, augmentation)

    def order(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return int64 `[stop − start]`: which visit of its epoch is at each position."""
        parts = []
        while start < stop:
            number, offset = divmod(start, self._chunk_size)
            if self._chunk[0] != number:
                self._chunk = (number, self._order_of_chunk(number))
            part = self._chunk[1][offset : offset + stop - start]
            parts.append(part)
            start += len(part)
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)

    def _order_of_chunk(self, number: int) -> NDArray[np.int64]:
        epochs, positions = np.divmod(
            np.arange(number * self._chunk_size, (number + 1) * self._chunk_size),
            self.visits_per_epoch,
        )
        visits = np.empty_like(positions)
        for epoch in range(int(epochs[0]), int(epochs[-1]) + 1):
            here = epochs == epoch
            shuffled = (
                self._shard_order.epoch(epoch)
                if self._shard_order
                else seeds.Permutation(self.visits_per_epoch, self.seed, "order", epoch)
            )
            visits[here] = shuffled(positions[here])
        return visits

    def _read(
        self,
        block: Block,
        visits: NDArray[np.int64],
        before: int,
        augmentation: Augmentation | None,
    ) -> Batch:
        """Return visits of one block, before which there are so many images."""
        images, first, number = block.visit(visits, self._group)
        inputs, decodes = block.read(images, augmentation)
        skipped = np.flatnonzero(~decodes)
        if len(skipped):
            images, first, number = images[decodes], first[decodes], number[decodes]
        if self.copies == "expected":
            targets = block.laws[block.law_of[images]]
            weights = np.full(len(images), block.num_examples / len(block))
        else:
            targets = block.counts(images, first, number) / number[:, None]
            weights = number.astype(np.float64)
        scale = self.visits_per_epoch / len(self.noisy)
        return Batch(
            inputs,
            targets.astype(np.float32),
            (weights * scale).astype(np.float32),
            before + images,
            skipped,
        )

    def _read_several(self, visits: NDArray[np.int64], augmentation: Augmentation | None) -> Batch:
        which = np.searchsorted(self._starts, visits, side="right") - 1
        before = np.cumsum([0, *(len(block) for block in self.noisy.blocks)])
        parts, places, skipped = [], [], []
        for number, block in enumerate(self.noisy.blocks):
            here = np.flatnonzero(which == number)
            own = None if augmentation is None else augmentation.take(here)
            inside = visits[here] - self._starts[number]
            *fields, left_out = self._read(block, inside, int(before[number]), own)
            parts.append(fields)
            places.append(np.delete(here, left_out))
            skipped.append(here[left_out])
        order = np.argsort(np.concatenate(places))
        inputs, targets, weights, images = (
            np.concatenate(field)[order] for field in zip(*parts, strict=True)
        )
        left_out = np.sort(np.concatenate(skipped))
        return Batch(inputs, targets, weights, images, left_out)


def _shard_order(noisy: NoisySet, group: int, seed: int) -> ShardOrder | None:
    """Return the order for images in shards; None for others, and for images of two sources."""
    block = noisy.blocks[0]
    shard_of = getattr(block.source, "shard_of", None)
    if len(noisy.blocks) > 1 or shard_of is None:
        return None
    return ShardOrder(block, shard_of[block.rows], group, seed)


def in_order(
    noisy: NoisySet,
    batch_size: int,
    share: Callable[[int], tuple[int, int]] = lambda size: (0, size),
) -> Iterator[tuple[NDArray[Any], NDArray[np.int64]]]:
    """Yield every image once with all its labels: inputs `[B, …]` and counts int64 `[B, K]`.

    Images that are skipped, as they do not decode, are left out.

    Arguments:
        batch_size: most images at a time.
        share: from the number of images of a source, the first to take and one past the last; all
            of them if not given.
    """
    for block in noisy.blocks:
        first, last = share(len(block))
        for start in range(first, last, batch_size):
            images = np.arange(start, min(start + batch_size, last))
            inputs, decodes = block.read(images)
            if decodes.any():
                yield inputs, block.counts(images[decodes])
