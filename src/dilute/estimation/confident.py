"""The noise from the labels alone, by confident learning; and which rows are probably wrong."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dilute import seeds
from dilute.estimation.noise_estimate import Array
from dilute.noise import Matrix

_NUM_DRAWS = 60
_ROUNDS = 200
_CHUNK = 20_000


def confident_learning(
    labels: NDArray[np.int64], predictions: Array, seed: int = 0
) -> tuple[list[Matrix], list[Array], Matrix]:
    """Return draws and the best value of the noise matrix, by confident learning (cleanlab).

    The draws come from a bootstrap over items. They leave out the errors of the model.

    Arguments:
        labels: int64 `[N]`, as given.
        predictions: float64 `[N, K]`, `cross_validated` probabilities of the given labels.
        seed: of the bootstrap.

    Returns:
        draws of the matrix, float64 `[K, K]` each; draws of the class shares, `[K]` each; the
        matrix.

    Source: Northcutt, Jiang and Chuang 2021, *Confident Learning: Estimating Uncertainty in Dataset
    Labels*.
    """
    generator = np.random.default_rng(seeds.word(seed, "confident"))
    laws, _ = _joint(labels, predictions)
    found = []
    for _ in range(_NUM_DRAWS):
        rows = generator.integers(len(labels), size=len(labels))
        found.append(_joint(labels[rows], predictions[rows]))
    return [matrix for matrix, _ in found], [shares for _, shares in found], laws


def _joint(labels: NDArray[np.int64], predictions: Array) -> tuple[Matrix, Array]:
    """Return matrix `[K, K]` and class shares `[K]` by confident learning."""
    from cleanlab.count import estimate_joint

    joint = np.asarray(estimate_joint(labels, predictions), dtype=np.float64).T  # truth, given
    shares = joint.sum(axis=1)
    safe = np.where(shares > 0, shares, 1)[:, None]
    laws = np.where(shares[:, None] > 0, joint / safe, np.eye(len(joint)))
    return laws, shares


def class_probabilities(predictions: Array, laws: Matrix) -> Array:
    """Return float64 `[N, K]`: the probabilities of the true class behind predictions of the label.

    For each prediction it is the likeliest mixture of the rows of `laws`, by EM (which is
    Richardson and Lucy's iteration) from equal probabilities.

    Arguments:
        predictions: float64 `[N, K]`, probabilities of the given label.
        laws: float64 `[K, K]`, by true class the distribution of a given label.
    """
    answer = np.empty_like(predictions)
    for start in range(0, len(predictions), _CHUNK):
        part = predictions[start : start + _CHUNK]
        classes = np.full_like(part, 1 / part.shape[1])
        for _ in range(_ROUNDS):
            classes = classes * ((part / np.maximum(classes @ laws, 1e-12)) @ laws.T)
            classes /= classes.sum(axis=1, keepdims=True)
        answer[start : start + _CHUNK] = classes
    return answer


def row_posterior(predictions: Array, labels: NDArray[np.int64], laws: Matrix) -> Array:
    """Return float64 `[N, K]`: the probability of each true class, from prediction and given label.

    Arguments:
        predictions: float64 `[N, K]`, probabilities of the given label.
        labels: int64 `[N]`, as given.
        laws: float64 `[K, K]`, by true class the distribution of a given label.
    """
    scores = class_probabilities(predictions, laws) * laws[:, labels].T
    scores = np.maximum(scores, 1e-12)
    return np.asarray(scores / scores.sum(axis=1, keepdims=True))
