"""Estimates of the unknown noise of a data set, from whichever evidence there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dilute.data import Annotations, LabelledSet
from dilute.errors import EstimateError
from dilute.estimation.annotators import check_comparable, posterior_of_annotators, quality
from dilute.estimation.confident import class_probabilities, confident_learning, row_posterior
from dilute.estimation.look_alikes import classes_of_look_alikes, draws_of_law, own_posterior
from dilute.estimation.noise_estimate import (
    Array,
    NoiseEstimate,
    estimate_from,
    exact_share,
    likeliest,
)
from dilute.estimation.trusted import posterior_of_trusted

_ASSUMES = (
    "it assumes that the right label is the most frequent one of every class, which only trusted "
    "labels can tell"
)
# Where the verification (docs/estimate.md) says that estimates begin to mislead.
_LEAST_SURE = 0.7
_MOST_WRONG = 0.4
_LEAST_CERTAINTY = 0.65
_LEAST_SURE_LOOK_ALIKES = 0.85
# With fewer, a class's row of the law is not known.
_FEWEST_ITEMS = 10
_FEWEST_TRUSTED = 3
_SHOWN = 5


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
    given = labelled.labels[rows]
    draws, shares, laws = posterior_of_trusted(given, truth, labelled.num_classes, seed)
    found = None
    if predictions is not None:
        posterior = row_posterior(predictions, labelled.labels, laws)
        posterior[rows] = np.eye(labelled.num_classes)[truth]
        found = likeliest(posterior, labelled.labels)
    return estimate_from(
        draws,
        shares,
        laws,
        wrong_rate=exact_share(int((given != truth).sum()), len(rows)),
        source="trusted labels",
        class_names=labelled.class_names,
        num_items=len(labelled),
        num_labels=len(labelled),
        num_evidence=len(rows),
        warnings=_few_of(truth, labelled.class_names, _FEWEST_TRUSTED, "trusted labels"),
        rows=found,
        labels_hash=labelled.labels_hash,
    )


def estimate_from_annotators(
    annotations: Annotations,
    class_names: tuple[str, ...],
    *,
    seed: int = 0,
    labels_hash: str = "",
) -> NoiseEstimate:
    """Return the noise of the labels in a table of annotations, by Dawid and Skene's model.

    Arguments:
        annotations: the table.
        class_names: K names.
        seed: of the bootstrap behind the intervals.
        labels_hash: that of the `LabelledSet` that the annotations are of, if there is one.

    Errors: `EstimateError` if no annotator has two labels, or fewer than 10 items have two.
    """
    check_comparable(annotations)
    draws, shares, best = posterior_of_annotators(annotations, seed)
    posterior = best.posterior
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
    annotators = quality(annotations, best)
    few = [one.name for one in annotators if one.has_few]
    if few:
        warnings.append(
            f"{len(few)} of {len(annotators)} annotators gave so few labels that they count as the "
            f"others do: {_listed(few)}"
        )
    likely = posterior[is_labelled].argmax(axis=1)
    warnings += _few_of(likely, class_names, _FEWEST_ITEMS, "items")
    return estimate_from(
        draws,
        shares,
        best.law,
        source="several labels per item",
        class_names=class_names,
        num_items=int(is_labelled.sum()),
        num_labels=len(annotations.labels),
        num_evidence=len(annotations.labels),
        warnings=tuple(warnings),
        is_doubtful=is_doubtful,
        rows=likeliest(posterior, counts.argmax(axis=1), counts),
        annotators=tuple(annotators),
        annotator_laws=best.annotator_laws,
        labels_hash=labels_hash,
    )


def estimate_from_look_alikes(labelled: LabelledSet, *, seed: int = 0) -> NoiseEstimate:
    """Return the noise of `labelled` from its labels alone: by other items that look alike.

    It trains no network. It takes all inputs into memory, and time as the square of their number.

    Arguments:
        labelled: items with one label each, as given.
        seed: of folds, of features, and of the bootstrap behind the intervals, which leave out the
            errors of what look-alikes say.

    Errors: `EstimateError` if fewer than two classes have 10 items; `SpecError` for streamed
        images.
    """
    labels, is_known = labelled.labels, _known_classes(labelled)
    classes, law = classes_of_look_alikes(labelled, seed)
    draws, shares = draws_of_law(labels, classes, law, seed)
    parts = [np.mean(shares, axis=0), *shares]
    laws = [
        _filled_in(one, is_known, part[is_known])
        for one, part in zip((law, *draws), parts, strict=True)
    ]
    sure = float(classes.max(axis=1).mean())
    is_doubtful = sure < _LEAST_SURE_LOOK_ALIKES
    warnings = [
        "the interval leaves out where look-alikes mislead, which counts as wrong labels here",
        _ASSUMES,
        *_few_of(labels, labelled.class_names, _FEWEST_ITEMS, "items"),
    ]
    if is_doubtful:
        warnings.insert(
            0,
            f"not to be trusted: what looks alike makes a class {sure:.0%} certain on average, and "
            f"below {_LEAST_SURE_LOOK_ALIKES:.0%} the noise comes out wrong (docs/estimate.md); "
            "get trusted labels",
        )
    return estimate_from(
        laws[1:],
        shares,
        laws[0],
        warnings=tuple(warnings),
        is_doubtful=is_doubtful,
        rows=likeliest(own_posterior(labels, classes, law), labels),
        **_of_labels_alone(labelled),
    )


def _of_labels_alone(labelled: LabelledSet) -> dict[str, Any]:
    """Return what an estimate from one label for each item says of its evidence."""
    size = len(labelled)
    return {
        "source": "the labels alone",
        "class_names": labelled.class_names,
        "num_items": size,
        "num_labels": size,
        "num_evidence": size,
        "labels_hash": labelled.labels_hash,
    }


def _known_classes(labelled: LabelledSet) -> NDArray[np.bool_]:
    """Return which classes have enough items.

    Errors: `EstimateError` if fewer than two have.
    """
    counts = np.bincount(labelled.labels, minlength=labelled.num_classes)
    is_known = np.asarray(counts >= _FEWEST_ITEMS)
    if is_known.sum() < 2:
        raise EstimateError(
            f"{int(is_known.sum())} of {len(counts)} classes have {_FEWEST_ITEMS} items or more; "
            "it takes two such classes to estimate from the labels alone; get trusted labels"
        )
    return is_known


def _filled_in(law: Array, is_known: NDArray[np.bool_], shares: Array) -> Array:
    """Return the law with rows of unknown classes as noisy as the known ones are on average.

    What is wrong in them is any other class.

    Arguments:
        law: float64 `[K, K]`; rows of unknown classes count for nothing.
        is_known: bool `[K]`.
        shares: of the known classes among the items, which the average is weighted by.
    """
    size = len(law)
    right = float(np.average(np.diag(law)[is_known], weights=shares))
    alike = np.full((size, size), (1 - right) / (size - 1))
    np.fill_diagonal(alike, right)
    return np.where(is_known[:, None], law, alike)


def estimate_from_labels(
    labelled: LabelledSet, predictions: Array, *, seed: int = 0
) -> NoiseEstimate:
    """Return the noise of `labelled` from its labels alone: confident learning.

    Arguments:
        labelled: items with labels as given.
        predictions: float64 `[N, K]` of `cross_validated`.
        seed: of the bootstrap behind the intervals, which leave out the errors of the model.
    """
    labels, is_known = labelled.labels, _known_classes(labelled)
    draws, shares, laws = _of_classes(labels, predictions, is_known, seed)
    sure = float(class_probabilities(predictions, laws).max(axis=1).mean())
    wrong = 1 - float(np.mean(shares, axis=0) @ np.diag(laws))
    warnings = [
        "the interval leaves out what the model gets wrong, which counts as wrong labels here",
        _ASSUMES,
        *_few_of(labels, labelled.class_names, _FEWEST_ITEMS, "items"),
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
        warnings=tuple(warnings),
        is_doubtful=is_doubtful,
        rows=likeliest(row_posterior(predictions, labels, laws), labels),
        **_of_labels_alone(labelled),
    )


def _of_classes(
    labels: NDArray[np.int64], predictions: Array, is_known: NDArray[np.bool_], seed: int
) -> tuple[list[Array], list[Array], Array]:
    """Return confident learning's draws and laws, from classes of enough items alone.

    Rows of the other classes are filled in.
    """
    known = np.flatnonzero(is_known)
    rows = is_known[labels]
    among = predictions[np.ix_(rows, is_known)]
    among = among / among.sum(axis=1, keepdims=True)
    numbers = np.cumsum(is_known) - 1
    draws, shares, laws = confident_learning(numbers[labels[rows]], among, seed)
    share = float(rows.mean())
    of_rest = np.bincount(labels[~rows], minlength=len(is_known)) / len(labels)

    def whole(law: Array, part: Array) -> tuple[Array, Array]:
        full = np.zeros((len(is_known), len(is_known)))
        full[np.ix_(known, known)] = law
        all_shares = of_rest.copy()
        all_shares[known] = share * part
        return _filled_in(full, is_known, part), all_shares

    found = [whole(law, part) for law, part in zip(draws, shares, strict=True)]
    best, _ = whole(laws, np.mean(shares, axis=0))
    return [law for law, _ in found], [part for _, part in found], best


def _few_of(
    labels: NDArray[np.int64], class_names: tuple[str, ...], fewest: int, what: str
) -> tuple[str, ...]:
    """Return the warning that some classes have too few items, which it names; or nothing."""
    counts = np.bincount(labels, minlength=len(class_names))
    few = [name for name, count in zip(class_names, counts, strict=True) if count < fewest]
    if not few:
        return ()
    return (
        f"{len(few)} of {len(class_names)} classes have fewer than {fewest} {what}, and their row "
        f"of the law is not known: {_listed(few)}; it is filled in as noise alike for all classes",
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
