"""The noise from a trusted subset: given labels compared with true ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from dilute import seeds
from dilute.errors import EstimateError
from dilute.estimation.noise_estimate import Array
from dilute.noise import Matrix

_NUM_DRAWS = 400
_STRENGTHS = np.geomspace(0.3, 3000, 41)
_FEWEST = 20


def check_enough(number: int) -> None:
    """Refuse fewer trusted labels than say something.

    Errors: `EstimateError`.
    """
    if number < _FEWEST:
        raise EstimateError(
            f"{number} trusted labels are too few; give {_FEWEST} or more, drawn at random"
        )


def posterior_of_trusted(
    given: NDArray[np.int64], truth: NDArray[np.int64], num_classes: int, seed: int = 0
) -> tuple[list[Matrix], list[Array], Matrix]:
    """Return draws and the mean of the noise matrix, from items whose true label is known.

    Each row of the matrix has a Dirichlet prior around uniform noise, whose rate comes from the
    wrong labels of all classes together. How strong that prior is, is chosen so that the counts
    are likeliest. The trusted items must be a random sample of all items.

    Arguments:
        given, truth: int64 `[M]`, given and true labels, 0 to K − 1; M ≥ 20.
        num_classes: K.
        seed: of the draws.

    Returns:
        draws of the matrix, float64 `[K, K]` each; draws of the class shares, `[K]` each; the
        matrix's mean.

    Errors: `EstimateError` for fewer than 20 labels.
    """
    check_enough(len(given))
    counts = np.zeros((num_classes, num_classes))
    np.add.at(counts, (truth, given), 1)
    right, wrong = float(np.trace(counts)), float(counts.sum() - np.trace(counts))
    strength = _strength(counts, _prior(right / (right + wrong), num_classes))
    generator = np.random.default_rng(seeds.word(seed, "trusted"))
    draws, shares = [], []
    for _ in range(_NUM_DRAWS):
        prior = strength * _prior(generator.beta(right + 0.5, wrong + 0.5), num_classes)
        gammas = generator.standard_gamma(counts + prior)
        draws.append(gammas / gammas.sum(axis=1, keepdims=True))
        weights = generator.standard_gamma(counts.sum(axis=1) + 0.5)
        shares.append(weights / weights.sum())
    mean = counts + strength * _prior((right + 0.5) / (right + wrong + 1), num_classes)
    return draws, shares, mean / mean.sum(axis=1, keepdims=True)


def _prior(right: float, num_classes: int) -> Matrix:
    """Return the matrix of uniform noise with a share `right` of right labels; no entry is 0."""
    right = min(max(right, 1e-4), 1 - 1e-4)
    rows = np.full((num_classes, num_classes), (1 - right) / (num_classes - 1))
    np.fill_diagonal(rows, right)
    return rows


def _strength(counts: Matrix, prior: Matrix) -> float:
    """Return as how many labels a row's prior counts, so that the counts are likeliest."""
    totals = counts.sum(axis=1)

    def likelihood(strength: float) -> float:
        alphas = strength * prior
        return float(
            (gammaln(strength) - gammaln(strength + totals)).sum()
            + (gammaln(alphas + counts) - gammaln(alphas)).sum()
        )

    return float(max(_STRENGTHS, key=likelihood))
