"""What label counts say of an image's class, by the law of the noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dilute.data import Annotations
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


def annotators_log_likelihood(
    annotations: Annotations, laws: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return float64 `[N, K]`: by class, the log-likelihood of the labels of each of N items.

    Each annotator's labels are drawn from the class's row of the annotator's own law.

    Arguments:
        annotations: labels of N items by A annotators.
        laws: float64 `[A, K, K]`, by annotator and true class the distribution of a label.

    Source: Dawid and Skene 1979.
    """
    from scipy import sparse  # slow to import, and not for every run

    with np.errstate(divide="ignore"):
        logs = np.maximum(np.log(laws), _NEVER)
    columns = annotations.annotators * annotations.num_classes + annotations.labels
    given = sparse.csr_array(
        (np.ones(len(columns)), (annotations.items, columns)),
        shape=(annotations.num_items, laws.shape[0] * laws.shape[2]),
    )
    return np.asarray(given @ logs.transpose(0, 2, 1).reshape(-1, laws.shape[1]))
