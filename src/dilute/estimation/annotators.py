"""The noise from several labels per item, whose true labels are not known."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.special import softmax

from dilute import seeds
from dilute.data import Annotations
from dilute.errors import EstimateError
from dilute.estimation.noise_estimate import Array
from dilute.noise import Matrix

_ROUNDS = 200
_TOLERANCE = 1e-5
_PRIOR_LABELS = 20.0
_NUM_DRAWS = 40
_ROUNDS_OF_DRAWS = 15
_LEAST = 1e-3


def check_comparable(annotations: Annotations) -> None:
    """Refuse annotations that say nothing about annotators.

    Errors: `EstimateError` if no annotator has two labels, or fewer than 10 items have two.
    """
    per_item = np.bincount(annotations.items, minlength=annotations.num_items)
    per_annotator = np.bincount(annotations.annotators, minlength=annotations.num_annotators)
    if per_annotator.max() < 2:
        raise EstimateError(
            f"all {annotations.num_annotators:,} annotators have one label each, which says "
            "nothing about them; give more of their labels, or one name to annotators of a kind"
        )
    if (per_item > 1).sum() < 10:
        raise EstimateError(
            f"{int((per_item > 1).sum())} items have more than one label; "
            "it takes 10 or more to compare annotators"
        )


def dawid_skene(
    annotations: Annotations,
    weights: Array | None = None,
    start: Array | None = None,
    rounds: int = _ROUNDS,
) -> tuple[Array, Matrix, Array]:
    """Return each item's class probabilities, the noise matrix of all labels, and class shares.

    EM takes turns: classes from labels and each annotator's own matrix, and matrices from classes.
    In each row of an annotator's matrix, that of all annotators counts as twenty labels.

    Arguments:
        annotations: the table.
        weights: `[N]`, how much each item counts, ≥ 0; 1 if None.
        start: `[N, K]`, class probabilities to start from; the shares of the item's labels if None.
        rounds: of EM at most.

    Returns:
        float64 `[N, K]`, class probabilities; `[K, K]`, by true class the distribution of a label;
        `[K]`, shares of the true classes.

    Source: Dawid and Skene 1979, *Maximum likelihood estimation of observer error-rates using the
    EM algorithm*.
    """
    num_items, num_classes = annotations.num_items, annotations.num_classes
    # A column for each annotator and label: how often that annotator gave the item that label.
    columns = annotations.annotators * num_classes + annotations.labels
    given = sparse.csr_array(
        (np.ones(len(columns)), (annotations.items, columns)),
        shape=(num_items, annotations.num_annotators * num_classes),
    )
    transposed = given.T.tocsr()
    weights = np.ones(num_items) if weights is None else weights
    posterior = _shares_of_labels(annotations) if start is None else start
    for _ in range(rounds):
        weighted = posterior * weights[:, None]
        # annotator, label, class
        own = (transposed @ weighted).reshape(-1, num_classes, num_classes)
        pooled = own.sum(axis=0) + _LEAST
        pooled /= pooled.sum(axis=0)
        own = own + _PRIOR_LABELS * pooled
        own /= own.sum(axis=1, keepdims=True)
        shares = (weighted.sum(axis=0) + 1) / (weighted.sum() + num_classes)
        scores = np.log(shares) + given @ np.log(own.reshape(-1, num_classes))
        found = softmax(scores, axis=1)
        change = float(np.abs(found - posterior).mean())
        posterior = found
        if change < _TOLERANCE:
            break
    return posterior, pooled.T, shares


def _shares_of_labels(annotations: Annotations) -> Array:
    counts = 0.1 + annotations.counts()
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def posterior_of_annotators(
    annotations: Annotations, seed: int = 0
) -> tuple[list[Matrix], list[Array], Matrix, Array]:
    """Return draws and the best value of the noise matrix, from a Bayesian bootstrap over items.

    Returns:
        draws of the matrix, float64 `[K, K]` each; draws of the class shares, `[K]` each; the best
        matrix; class probabilities of each item, `[N, K]`.
    """
    posterior, laws, _ = dawid_skene(annotations)
    generator = np.random.default_rng(seeds.word(seed, "annotators"))
    draws, shares = [], []
    for _ in range(_NUM_DRAWS):
        weights = generator.standard_exponential(annotations.num_items)
        _, drawn, drawn_shares = dawid_skene(annotations, weights, posterior, _ROUNDS_OF_DRAWS)
        draws.append(drawn)
        shares.append(drawn_shares)
    return draws, shares, laws, posterior
