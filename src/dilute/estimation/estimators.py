"""Estimates of the unknown noise of a data set, from whichever evidence there is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dilute.data import Annotations, LabelledSet
from dilute.estimation.annotators import check_comparable, posterior_of_annotators
from dilute.estimation.confident import class_probabilities, confident_learning, row_posterior
from dilute.estimation.noise_estimate import Array, NoiseEstimate, estimate_from, likeliest
from dilute.estimation.trusted import posterior_of_trusted

_ASSUMES = (
    "it assumes that the right label is the most frequent one of every class, which only trusted "
    "labels can tell"
)
# Where the verification (docs/estimate.md) says that estimates begin to mislead.
_LEAST_SURE = 0.7
_MOST_WRONG = 0.4
_LEAST_CERTAINTY = 0.65


def estimate_from_trusted(
    labelled: LabelledSet,
    rows: NDArray[np.int64],
    truth: NDArray[np.int64],
    *,
    predictions: Array | None = None,
    seed: int = 0,
) -> NoiseEstimate:
    """Return the noise of `labelled`, from the true labels of some of its items, drawn at random.

    Arguments:
        labelled: items with labels as given.
        rows: int64 `[M]`, which items are trusted; M ≥ 20.
        truth: int64 `[M]`, their true labels, 0 to K − 1.
        predictions: float64 `[N, K]` of `cross_validated`, if it is wanted which rows are wrong.
        seed: of the draws behind the intervals.

    Errors: `EstimateError` for fewer than 20 trusted labels.
    """
    draws, shares, laws = posterior_of_trusted(
        labelled.labels[rows], truth, labelled.num_classes, seed
    )
    found = None
    if predictions is not None:
        posterior = row_posterior(predictions, labelled.labels, laws)
        posterior[rows] = np.eye(labelled.num_classes)[truth]
        found = likeliest(posterior, labelled.labels)
    return estimate_from(
        draws,
        shares,
        laws,
        source="trusted labels",
        class_names=labelled.class_names,
        num_items=len(labelled),
        num_labels=len(labelled),
        num_evidence=len(rows),
        rows=found,
    )


def estimate_from_annotators(
    annotations: Annotations, class_names: tuple[str, ...], *, seed: int = 0
) -> NoiseEstimate:
    """Return the noise of the labels in a table of annotations, by Dawid and Skene's model.

    Arguments:
        annotations: the table.
        class_names: K names.
        seed: of the bootstrap behind the intervals.

    Errors: `EstimateError` if no annotator has two labels, or fewer than 10 items have two.
    """
    check_comparable(annotations)
    draws, shares, laws, posterior = posterior_of_annotators(annotations, seed)
    counts = annotations.counts()
    is_labelled = counts.sum(axis=1) > 0
    certainty = float(posterior[is_labelled].max(axis=1).mean())
    is_doubtful = certainty < _LEAST_CERTAINTY
    warnings = [_ASSUMES]
    if is_doubtful:
        warnings.insert(
            0,
            f"not to be trusted: the labels of an item make its class {certainty:.0%} certain on "
            f"average, and below {_LEAST_CERTAINTY:.0%} the noise comes out wrong "
            "(docs/estimate.md); get more labels per item, or trusted labels",
        )
    return estimate_from(
        draws,
        shares,
        laws,
        source="several labels per item",
        class_names=class_names,
        num_items=int(is_labelled.sum()),
        num_labels=len(annotations.labels),
        num_evidence=len(annotations.labels),
        warnings=tuple(warnings),
        is_doubtful=is_doubtful,
        rows=likeliest(posterior, counts.argmax(axis=1)),
    )


def estimate_from_labels(
    labelled: LabelledSet, predictions: Array, *, seed: int = 0
) -> NoiseEstimate:
    """Return the noise of `labelled` from its labels alone: confident learning.

    Arguments:
        labelled: items with labels as given.
        predictions: float64 `[N, K]` of `cross_validated`.
        seed: of the bootstrap behind the intervals, which leave out the errors of the model.
    """
    draws, shares, laws = confident_learning(labelled.labels, predictions, seed)
    sure = float(class_probabilities(predictions, laws).max(axis=1).mean())
    wrong = 1 - float(np.mean(shares, axis=0) @ np.diag(laws))
    warnings = [
        "the interval leaves out what the model gets wrong, which counts as wrong labels here",
        _ASSUMES,
    ]
    is_doubtful = sure < _LEAST_SURE or wrong > _MOST_WRONG
    if is_doubtful:
        warnings.insert(
            0,
            f"not to be trusted: {wrong:.0%} of the labels seem wrong and the model seems "
            f"{sure:.0%} sure of the class; the line is at {_MOST_WRONG:.0%} and "
            f"{_LEAST_SURE:.0%} (docs/estimate.md); get trusted labels",
        )
    return estimate_from(
        draws,
        shares,
        laws,
        source="the labels alone",
        class_names=labelled.class_names,
        num_items=len(labelled),
        num_labels=len(labelled),
        num_evidence=len(labelled),
        warnings=tuple(warnings),
        is_doubtful=is_doubtful,
        rows=likeliest(row_posterior(predictions, labelled.labels, laws), labelled.labels),
    )
