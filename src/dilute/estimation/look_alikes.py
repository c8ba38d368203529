"""The noise from the labels alone, by the labels of other items that look alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dilute import seeds
from dilute.data import LabelledSet
from dilute.dilution import GivenSet
from dilute.estimation.noise_estimate import Array
from dilute.methods import Observed
from dilute.methods.neighbours import classes_by_others
from dilute.noise import Matrix

_ROUNDS, _ROUNDS_OF_DRAWS, _NUM_DRAWS = 8, 15, 60
_LEAST = 1e-9


def classes_of_look_alikes(labelled: LabelledSet, seed: int = 0) -> tuple[Array, Matrix]:
    """Return what items that look alike say of each item's class, and the law of labels.

    Neighbours and regressions on features that are learnt without labels predict each item's class
    from the labels of others; the likelihood of all labels weighs them. Law and classes are
    estimated in turn. For images the features are those of small patches, as of the method
    `patches`.

    Returns:
        float64 `[N, K]`, class probabilities, which the item's own label does not enter; float64
        `[K, K]`, by true class the distribution of a given label.

    Errors: `SpecError` for streamed images.
    """
    return classes_by_others(Observed(GivenSet(labelled)), seed, _ROUNDS)


def draws_of_law(
    labels: NDArray[np.int64], classes: Array, law: Matrix, seed: int = 0
) -> tuple[list[Matrix], list[Array]]:
    """Return draws of the law, `[K, K]` each, and of class shares, `[K]`, by a bootstrap of items.

    They leave out the errors of `classes`, which stay as they are.
    """
    generator = np.random.default_rng(seeds.word(seed, "look-alikes"))
    laws, shares = [], []
    for _ in range(_NUM_DRAWS):
        weights = generator.standard_exponential(len(labels))
        drawn, share = _fitted(labels, classes, law, weights)
        laws.append(drawn)
        shares.append(share)
    return laws, shares


def _fitted(
    labels: NDArray[np.int64], classes: Array, law: Matrix, weights: Array
) -> tuple[Matrix, Array]:
    """Return the law under which weighted labels are likeliest, by EM from `law`, and shares."""
    for _ in range(_ROUNDS_OF_DRAWS):
        posterior = own_posterior(labels, classes, law) * weights[:, None]
        joint = np.full_like(law, _LEAST)
        np.add.at(joint.T, labels, posterior)
        law = joint / joint.sum(axis=1, keepdims=True)
    share = posterior.sum(axis=0)
    return law, np.asarray(share / share.sum())


def own_posterior(labels: NDArray[np.int64], classes: Array, law: Matrix) -> Array:
    """Return float64 `[N, K]`: class probabilities that each item's own label enters, too."""
    joint = classes * law[:, labels].T + 1e-300
    return np.asarray(joint / joint.sum(axis=1, keepdims=True))
