"""Inputs that show nothing: independent random pixels with a data set's mean and variance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dilute import seeds
from dilute.data.augmentation import Augmentation
from dilute.data.labelled import LabelledSet
from dilute.errors import DataError

_LEVELS = 256
_TABLE = 2**16
_WORDS_PER_STEP = 4
_ENDLESS = 2**40
# From where all mass is on one or two levels to where a part in ten million is between the ends.
_LOG_DEVIATIONS = (-4.0, 25.0)


class WhiteNoise:
    """A source of `size` unlabelled inputs, computed where they are asked for, never stored.

    Pixels are independent; each is drawn from a normal distribution that is rounded and clipped to
    0 to 255, one per channel, whose two parameters are solved so that mean and variance *after*
    rounding and clipping are the data's. (With the data's own mean and variance as parameters,
    clipping would change both: for MNIST, half of the mass lies below 0.) Float features are drawn
    from a normal distribution with the mean and variance of each feature.

    Input `i` depends on the seed and `i` alone.

    Arguments:
        like: the data set whose mean, variance and shape the inputs take.
        seed: names the stream of random numbers.
        size: the number of inputs, 1 or more; without end, for practical purposes, if not given.

    Errors: `DataError` for a size below 1.
    """

    def __init__(self, like: LabelledSet, seed: int, size: int = _ENDLESS) -> None:
        if size < 1:
            raise DataError(f"white noise of size {size}; it must have at least one input")
        self.input_shape = like.input_shape
        self.content_hash = f"white noise/{seed}/{size}/{like.content_hash}"
        self.is_images = like.is_images
        self.seed = seed
        self._size = size
        self._key = seeds.key(seed, "data", "white noise")
        self._length = int(np.prod(like.input_shape))
        means, deviations = like.statistics()
        if like.is_images:
            values_per_word = 4
            self._tables = np.stack(
                [
                    _table(level_probabilities(*pair))
                    for pair in zip(means, deviations**2, strict=True)
                ]
            )
        else:
            values_per_word = 2
            self._mean, self._deviation = means.ravel(), deviations.ravel()
        # Whole counter steps for each input, so that any input can be had without the others.
        words = -(-self._length // values_per_word)
        self._steps = -(-words // _WORDS_PER_STEP)

    def __len__(self) -> int:
        return self._size

    @property
    def name(self) -> str:
        """What `white_noise_size` understands: `white_noise`, or `white_noise:SIZE`."""
        return white_noise_name(self._size)

    def gather(
        self, indices: NDArray[np.int64], augmentation: Augmentation | None = None
    ) -> NDArray[Any]:
        """Return the inputs at `indices`: uint8 `[B, C, H, W]`, or float32 `[B, …]` like the data.

        Arguments:
            indices: integers `[B]`, each 0 to size−1, in any order.
            augmentation: how they are changed, if they are images; None for not at all.

        Errors: `IndexError` for an index out of range.
        """
        inputs = self._gather(indices)
        return inputs if augmentation is None else augmentation.of_arrays(inputs)

    def _gather(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        indices = np.asarray(indices, dtype=np.int64)
        if len(indices) and (indices.min() < 0 or indices.max() >= self._size):
            raise IndexError(f"index out of range; white noise has {self._size} inputs")
        # The low bytes come first on every machine, whatever its own order.
        words = self._words(indices).astype("<u8", copy=False)
        if not self.is_images:
            return self._features(words.view("<u4")[:, : self._length])
        channels = self.input_shape[0]
        draws = words.view("<u2")[:, : self._length].reshape(-1, channels, self._length // channels)
        images = np.empty(draws.shape, dtype=np.uint8)
        for channel, table in enumerate(self._tables):
            images[:, channel] = table[draws[:, channel]]
        return images.reshape(len(indices), *self.input_shape)

    def _words(self, indices: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Return each input's own words of the stream: uint64 `[B, words]`."""
        per_input = self._steps * _WORDS_PER_STEP
        if len(indices) and np.array_equal(
            indices, np.arange(indices[0], indices[0] + len(indices))
        ):
            start = [int(indices[0]) * self._steps, 0, 0, 0]
            generator = np.random.Philox(key=self._key, counter=start)
            block: NDArray[np.uint64] = generator.random_raw(len(indices) * per_input)
            return block.reshape(len(indices), per_input)
        words = np.empty((len(indices), per_input), dtype=np.uint64)
        # One generator moved forward costs a tenth of a new one for each input.
        generator = np.random.Philox(key=self._key)
        position = 0
        for row in np.argsort(indices, kind="stable"):
            first = int(indices[row]) * self._steps
            # Backwards only where an index is repeated; the counter wraps, so that this works, too.
            generator.advance(first - position)
            words[row] = generator.random_raw(per_input)
            position = first + self._steps
        return words

    def _features(self, draws: NDArray[np.uint32]) -> NDArray[np.float32]:
        from scipy.special import ndtri

        values = ndtri((draws + 0.5) / 2**32) * self._deviation + self._mean
        shaped: NDArray[np.float32] = values.astype(np.float32).reshape(-1, *self.input_shape)
        return shaped


def white_noise_name(size: int) -> str:
    """Return the name of white noise of `size` inputs, which may be endless."""
    return "white_noise" if size == _ENDLESS else f"white_noise:{size}"


def white_noise_size(name: str) -> int | None:
    """Return the number of inputs of `white_noise` or `white_noise:SIZE`; None for other names.

    Errors: `DataError` for a size that is no whole number, 1 or more.
    """
    form, colon, size = name.partition(":")
    if form != "white_noise":
        return None
    if not colon:
        return _ENDLESS
    if size.isascii() and size.isdigit() and len(size) <= 13 and 1 <= int(size) <= 10**12:
        return int(size)
    raise DataError(
        f"'{name}' has no possible size; after the colon comes how many images, a whole number "
        "from 1 to 10^12, as in white_noise:20000"
    )


def level_probabilities(mean: float, variance: float) -> NDArray[np.float64]:
    """Return the probabilities of the levels 0 to 255, `[256]`, of a rounded, clipped normal.

    Their mean and variance are the given ones to a relative 1e-6. Where no normal can have them,
    since the data has only the levels 0 and 255, or only two neighbouring ones, these two are used.

    Arguments:
        mean: 0 to 255.
        variance: of whole numbers from 0 to 255 with that mean.
    """
    from scipy.optimize import brentq

    below = min(int(mean), _LEVELS - 2)
    smallest = (mean - below) * (below + 1 - mean)
    largest = mean * (_LEVELS - 1 - mean)
    if variance <= smallest * (1 + 1e-9) + 1e-12:
        return _two_levels(below, below + 1, mean)
    if variance >= largest * (1 - 1e-6):
        return _two_levels(0, _LEVELS - 1, mean)

    # One root inside another, since both brackets are certain: the mean grows with the centre, and
    # at a given mean the variance grows with the deviation from the smallest to the largest
    # possible. A solver for both at once stalls where nearly all mass is on one level, for all
    # slopes are zero there.
    def at_mean(log_deviation: float) -> NDArray[np.float64]:
        centre = brentq(
            lambda centre: _moments(_clipped_normal(centre, log_deviation))[0] - mean,
            -40.0,
            _LEVELS / np.exp(log_deviation) + 40.0,
            xtol=1e-13,
        )
        return _clipped_normal(centre, log_deviation)

    log_deviation = brentq(
        lambda log_deviation: _moments(at_mean(log_deviation))[1] - variance,
        *_LOG_DEVIATIONS,
        xtol=1e-13,
    )
    return at_mean(log_deviation)


def _clipped_normal(centre: float, log_deviation: float) -> NDArray[np.float64]:
    """Return the level probabilities of a normal of deviation exp(log_deviation).

    `centre` is in deviations.
    """
    from scipy.special import ndtr

    edges = (np.arange(_LEVELS - 1) + 0.5) / np.exp(log_deviation) - centre
    # Differences of whichever tail is smaller, since 1 − 1 + tiny would lose the tiny.
    lower, upper = ndtr(edges), ndtr(-edges)
    below = np.diff(lower, prepend=0.0, append=1.0)
    above = -np.diff(upper, prepend=1.0, append=0.0)
    probabilities: NDArray[np.float64] = np.where(np.append(edges, np.inf) <= 0, below, above)
    return probabilities


def _moments(probabilities: NDArray[np.float64]) -> tuple[float, float]:
    levels = np.arange(_LEVELS)
    mean = float(probabilities @ levels)
    return mean, float(probabilities @ (levels - mean) ** 2)


def _two_levels(low: int, high: int, mean: float) -> NDArray[np.float64]:
    probabilities = np.zeros(_LEVELS)
    probabilities[high] = (mean - low) / (high - low)
    probabilities[low] = 1 - probabilities[high]
    return probabilities


def _table(probabilities: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return levels, uint8 `[65536]`, of 16-bit numbers: uniform ones give `probabilities`."""
    edges = np.cumsum(probabilities) * _TABLE
    # Each rounding makes up for those before it, so that the mean stays right.
    rounded = np.empty(_LEVELS)
    owed = 0.0
    for level, edge in enumerate(edges):
        rounded[level] = np.rint(edge + owed)
        owed += edge - rounded[level]
    ends = np.clip(np.maximum.accumulate(rounded), 0, _TABLE).astype(np.int64)
    ends[-1] = _TABLE
    return np.repeat(np.arange(_LEVELS, dtype=np.uint8), np.diff(ends, prepend=0))
