"""How much noise there is: `alpha`, the share of noisy examples, the share of wrong labels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dilute.errors import NoiseError
from dilute.noise.pattern import Matrix, square_matrix


def noise_rate(alpha: float) -> float:
    """Return the share of examples that were added as noise, `alpha / (1 + alpha)`, 0 to 1.

    Some of them carry the true label by chance: for uniform noise this is the literature's
    symmetric noise rate *with the true class included*.
    """
    return 1.0 if math.isinf(alpha) else alpha / (1 + alpha)


def alpha_from_rate(rate: float) -> float:
    """Return noisy examples per clean one, `rate / (1 − rate)`, for a share `rate` of noise.

    Errors: `NoiseError` outside 0 to 1. A rate of 1 gives infinity.
    """
    if not 0 <= rate <= 1:
        raise NoiseError(f"noise rate {rate:g} is out of range; it must be 0 to 1")
    return math.inf if rate == 1 else rate / (1 - rate)


def wrong_rate(
    alpha: float, matrix: Matrix, class_shares: NDArray[np.float64] | None = None
) -> float:
    """Return the expected share of labels that are wrong, 0 to 1.

    It is the literature's noise rate *without the true class*.

    Arguments:
        alpha: noisy examples per clean one, ≥ 0.
        matrix: float64 `[K, K]`, the pattern's matrix.
        class_shares: `[K]`, the share of each class in the clean examples; equal if not given.
    """
    wrong = 1 - np.diag(matrix)
    return noise_rate(alpha) * float(np.average(wrong, weights=class_shares))


def label_laws(alpha: float, matrix: Matrix) -> Matrix:
    """Return float64 `[K, K]`: by true class, the distribution of all labels, own and noisy.

    Arguments:
        alpha: noisy examples per clean one, ≥ 0, or infinite.
        matrix: float64 `[K, K]`, the pattern's matrix.
    """
    rate = noise_rate(alpha)
    return (1 - rate) * np.eye(len(matrix)) + rate * matrix


def checked_law(rows: Any, num_classes: int, what: str = "the law of labels") -> Matrix:
    """Return float64 `[K, K]`, the distribution of a label by true class; each row sums to 1.

    Arguments:
        rows: K rows of K shares.
        num_classes: K.
        what: how errors call the rows.

    Errors: `NoiseError` for rows that are no distributions of K labels for each of K classes.
    """
    law = square_matrix(rows, num_classes, what)
    sums = law.sum(axis=1)
    wrong = np.flatnonzero((law < 0).any(axis=1) | ~(np.abs(sums - 1) <= 1e-3))
    if len(wrong):
        row = int(wrong[0])
        raise NoiseError(
            f"row {row} of {what} has entries from {law[row].min():g} and sums to "
            f"{sums[row]:g}; every row must be ≥ 0 and sum to 1"
        )
    return np.asarray(law / sums[:, None])


def majority_is_true(laws: Matrix) -> NDArray[np.bool_]:
    """Return bool `[K]`: whether the true class is the single most frequent label, by `label_laws`.

    Where it is not, no amount of data lets plain training recover the class.
    """
    others = np.where(np.eye(len(laws), dtype=bool), -np.inf, laws)
    answer: NDArray[np.bool_] = np.diag(laws) > others.max(axis=1) + 1e-12
    return answer
