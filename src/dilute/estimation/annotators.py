"""The noise from several labels per item, whose true labels are not known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

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
_FEW_LABELS = 5


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


@dataclass(frozen=True)
class Annotator:
    """How good an annotator is.

    Attributes:
        num_labels: how many labels the annotator gave.
        agreement: share of them that equal the item's likeliest class; None without labels.
        quality: the probability that a label of the annotator is right, by the annotator's law; of
            few labels it is mostly that of all annotators.
    """

    name: str
    num_labels: int
    agreement: float | None
    quality: float

    @property
    def has_few(self) -> bool:
        """Whether there are too few labels to tell the annotator from the others."""
        return self.num_labels < _FEW_LABELS


class DawidSkene(NamedTuple):
    """What the labels of several annotators say.

    Fields:
        posterior: float64 `[N, K]`, each item's class probabilities.
        law: float64 `[K, K]`, by true class the distribution of a label.
        shares: float64 `[K]`, shares of the true classes.
        annotator_laws: float64 `[A, K, K]`, the law of each annotator's labels.
    """

    posterior: Array
    law: Matrix
    shares: Array
    annotator_laws: Array


def dawid_skene(
    annotations: Annotations,
    weights: Array | None = None,
    start: Array | None = None,
    rounds: int = _ROUNDS,
) -> DawidSkene:
    """Return each item's class probabilities, the laws of labels, and class shares.

    EM takes turns: classes from labels and each annotator's own matrix, and matrices from classes.
    In each row of an annotator's matrix, that of all annotators counts as twenty labels.

    Arguments:
        annotations: the table.
        weights: `[N]`, how much each item counts, ≥ 0; 1 if None.
        start: `[N, K]`, class probabilities to start from; the shares of the item's labels if None.
        rounds: of EM at most.

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
    return DawidSkene(posterior, pooled.T, shares, own.transpose(0, 2, 1))


def _shares_of_labels(annotations: Annotations) -> Array:
    counts = 0.1 + annotations.counts()
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def posterior_of_annotators(
    annotations: Annotations, seed: int = 0
) -> tuple[list[Matrix], list[Array], DawidSkene]:
    """Return draws and the best value of the noise matrix, from a Bayesian bootstrap over items.

    Returns:
        draws of the matrix, float64 `[K, K]` each; draws of the class shares, `[K]` each; the best
        value of everything.
    """
    best = dawid_skene(annotations)
    generator = np.random.default_rng(seeds.word(seed, "annotators"))
    draws, shares = [], []
    for _ in range(_NUM_DRAWS):
        weights = generator.standard_exponential(annotations.num_items)
        drawn = dawid_skene(annotations, weights, best.posterior, _ROUNDS_OF_DRAWS)
        draws.append(drawn.law)
        shares.append(drawn.shares)
    return draws, shares, best


def quality(annotations: Annotations, found: DawidSkene) -> list[Annotator]:
    """Return how good each annotator is, in the order of their numbers."""
    consensus = found.posterior.argmax(axis=1)
    agrees = (consensus[annotations.items] == annotations.labels).astype(np.float64)
    times = np.bincount(annotations.annotators, minlength=annotations.num_annotators)
    agreed = np.bincount(annotations.annotators, agrees, minlength=annotations.num_annotators)
    right = np.einsum("k,akk->a", found.shares, found.annotator_laws)
    return [
        Annotator(name, int(number), float(both / number) if number else None, float(share))
        for name, number, both, share in zip(annotations.names, times, agreed, right, strict=True)
    ]
