"""One seed in, named independent streams out; and an order of examples that needs no memory.

Everything random that is not inside the network's own layers comes from here. A stream is NumPy's
Philox generator (whose raw 64-bit output NumPy keeps stable), keyed by a hash of the seed and the
stream's name, so that streams never overlap and a new one changes none that exist.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 10


def key(seed: int, *names: str | int) -> NDArray[np.uint64]:
    """Return the 128-bit key, uint64 `[2]`, of the stream `names` under `seed`."""
    text = "/".join(["dilute", str(int(seed)), *(str(name) for name in names)])
    return np.frombuffer(hashlib.sha256(text.encode()).digest()[:16], dtype="<u8").astype(np.uint64)


def raw(seed: int, *names: str | int, start: int = 0, count: int) -> NDArray[np.uint64]:
    """Return words `start` to `start + count` of the stream `names`: uint64 `[count]`.

    Each value is equally likely. Any part of a stream is computed without what precedes it, since
    Philox is counter-based (four words to a counter step).
    """
    generator = np.random.Philox(key=key(seed, *names), counter=[start // 4, 0, 0, 0])
    skip = start % 4
    words: NDArray[np.uint64] = generator.random_raw(skip + count)
    return words[skip:]


def word(seed: int, *names: str | int) -> int:
    """Return one number, 0 to 2⁶³−1, from the stream `names`: a seed for other generators."""
    return int(key(seed, *names)[0] >> np.uint64(1))


class Permutation:
    """A pseudo-random permutation of `0 … size−1` of which each element is computed, never stored.

    A Feistel network over the pairs `(left, right)` of a grid that just covers `size`: each round
    adds a keyed hash of one half to the other, modulo the grid's side, which can be undone and so
    is a bijection; a result outside `0 … size−1` is sent through again until it falls inside.

    Arguments:
        size: number of elements, 1 to 2⁶².
        seed, names: the stream that keys the rounds.
    """

    def __init__(self, size: int, seed: int, *names: str | int) -> None:
        assert 1 <= size < 2**62, size
        self.size = size
        rows = max(1, int(np.ceil(np.sqrt(size))))
        self._sides = (np.uint64(rows), np.uint64(-(-size // rows)))
        self._keys = raw(seed, "permutation", *names, count=_ROUNDS)

    def __call__(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the elements at `positions` (int64 `[M]`, each 0 to size−1): int64 `[M]`."""
        values = self._shuffle(positions.astype(np.uint64))
        outside = np.flatnonzero(values >= self.size)
        while len(outside):
            values[outside] = self._shuffle(values[outside])
            outside = outside[values[outside] >= self.size]
        return values.astype(np.int64)

    def _shuffle(self, values: NDArray[np.uint64]) -> NDArray[np.uint64]:
        rows, columns = self._sides
        left, right = np.divmod(values, columns)
        for round_keys in self._keys.reshape(-1, 2):
            left = (left + _mix(right + round_keys[0]) % rows) % rows
            right = (right + _mix(left + round_keys[1]) % columns) % columns
        return left * columns + right


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the SplitMix64 finaliser of `values`: each input bit flips half of the output bits."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
