"""An order of visits that stays with a few shards at a time: jumping between files is slow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dilute import seeds
from dilute.dilution.blocks import Block

SHARDS_AT_ONCE = 16


class ShardOrder:
    """Orders of a block's visits: shards at random, the visits of each 16 of them shuffled.

    Each visit stands once in each epoch, at a place that is a function of (seed, epoch) alone.

    Arguments:
        block: images of one source, those of a shard next to each other.
        shard_of: integers `[N]`, ascending: which shard each image is in.
        group: labels per visit, as for `Block.visit`.
        seed: which order.
    """

    def __init__(self, block: Block, shard_of: NDArray[np.integer], group: int, seed: int) -> None:
        assert (np.diff(shard_of) >= 0).all()
        self._size = len(block)
        self._turns = -(-block.full // group)
        self._seed = seed
        # Where each shard's images begin; and, of each later turn, among the images that have it.
        changes = np.flatnonzero(np.diff(shard_of)) + 1
        self._starts = np.concatenate([[0], changes, [self._size]])
        late = block.late_turns(group)
        self._late_starts = [np.searchsorted(images, self._starts) for images in late]
        self._lengths = self._turns * np.diff(self._starts)
        for starts in self._late_starts:
            self._lengths += np.diff(starts)

    def epoch(self, number: int) -> Callable[[NDArray[np.int64]], NDArray[np.int64]]:
        """Return the order of epoch `number`: from positions (int64 `[M]`) to `Block.visit`s."""
        shards = self._shuffled_shards(number)
        firsts = np.arange(0, len(shards), SHARDS_AT_ONCE)
        starts = np.concatenate([[0], np.cumsum(np.add.reduceat(self._lengths[shards], firsts))])

        def order(positions: NDArray[np.int64]) -> NDArray[np.int64]:
            windows = np.searchsorted(starts, positions, side="right") - 1
            visits = np.empty_like(positions)
            for window in np.unique(windows):
                here = windows == window
                shuffled = seeds.Permutation(
                    int(starts[window + 1] - starts[window]),
                    self._seed,
                    "order",
                    number,
                    int(window),
                )
                inside = shards[firsts[window] : firsts[window] + SHARDS_AT_ONCE]
                visits[here] = self._visits(shuffled(positions[here] - starts[window]), inside)
            return visits

        return order

    def _shuffled_shards(self, epoch: int) -> NDArray[np.int64]:
        count = len(self._lengths)
        return seeds.Permutation(count, self._seed, "shards", epoch)(np.arange(count))

    def _visits(self, places: NDArray[np.int64], shards: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the visits at `places` among those of `shards`, turn by turn."""
        images = int((self._starts[shards + 1] - self._starts[shards]).sum())
        turn, local = np.divmod(places, images)
        visits = np.empty_like(places)
        plain = turn < self._turns
        visits[plain] = turn[plain] * self._size + _within(local[plain], shards, self._starts)
        first, before = self._turns * images, self._turns * self._size
        for starts in self._late_starts:
            last = first + int((starts[shards + 1] - starts[shards]).sum())
            here = (places >= first) & (places < last)
            visits[here] = before + _within(places[here] - first, shards, starts)
            first, before = last, before + int(starts[-1])
        return visits


def _within(
    values: NDArray[np.int64], shards: NDArray[np.int64], starts: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return what is at `values` in the ranges `starts[s]` to `starts[s + 1]`, in a row."""
    ends = np.cumsum(starts[shards + 1] - starts[shards])
    which = np.searchsorted(ends, values, side="right")
    before = np.concatenate([[0], ends])[which]
    return np.asarray(starts[shards[which]] + values - before)
