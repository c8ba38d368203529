"""What label counts say of an image's class, by the law of the noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dilute.noise.pattern import Matrix

_NEVER = -1e6  # the logarithm of a probability of 0: finite, so that 0 times it is 0


def count_log_likelihood(counts: NDArray[np.int64], matrix: Matrix) -> NDArray[np.float64]:
    """Return float64 `[N, K]`: by class, the log-likelihood of an image's label counts.

    One of the labels is the image's own. The log-likelihood is right up to a number per image.

    Arguments:
        counts: int64 `[N, K]`, how often each label stands beside each image.
        matrix: float64 `[K, K]`, the distribution of the other labels by true class.

    With y the class, the other labels are multinomial with counts less one at y: their
    probability goes as `c_y / T_yy · ∏ T_yl^c_l`.
    """
    with np.errstate(divide="ignore"):
        logs = np.maximum(np.log(matrix), _NEVER)
        return np.asarray(np.log(counts) + counts @ logs.T - np.diag(logs))


def law_log_likelihood(counts: NDArray[np.int64], laws: Matrix) -> NDArray[np.float64]:
    """Return float64 `[N, K]`: by class, the log-likelihood of an image's label counts.

    All labels are drawn from the class's law. The log-likelihood is right up to a number per image.

    Arguments:
        counts: int64 `[N, K]`.
        laws: float64 `[K, K]`, the distribution of a label by true class.
    """
    with np.errstate(divide="ignore"):
        return np.asarray(counts @ np.maximum(np.log(laws), _NEVER).T)
