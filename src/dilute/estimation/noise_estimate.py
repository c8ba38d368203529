"""The type of all estimates: matrix, rate, equivalent `alpha` and worth, each with an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from dilute.laws import LEVEL, Predicted, interval_of, labels_information
from dilute.noise import Matrix

if TYPE_CHECKING:
    from dilute.estimation.annotators import Annotator

Array = NDArray[np.float64]
Source = Literal["trusted labels", "several labels per item", "the labels alone"]
_MOST_DRAWS_OF_WORTH = 60
_PERHAPS_ZERO = 0.005


@dataclass(frozen=True)
class DoubtfulRows:
    """How probable it is that each item's label is wrong, in the order of the data.

    Attributes:
        given: int64 `[N]`, the given label; of several, the most frequent.
        suggested: int64 `[N]`, the likeliest label.
        wrong: float64 `[N]`, the probability that the given label is wrong.
        probability: float64 `[N]`, that of the likeliest label.
        agreement: float64 `[N]`, share of an item's labels that are the likeliest; None where each
            item has one label.
    """

    given: NDArray[np.int64]
    suggested: NDArray[np.int64]
    wrong: Array
    probability: Array
    agreement: Array | None = None


@dataclass(frozen=True)
class NoiseEstimate:
    """The noise of a data set, with 90 % intervals.

    Intervals cover the uncertainty of the source alone; `warnings` say what they leave out.

    Attributes:
        source: the evidence: trusted labels, several labels per item, or the labels alone.
        class_names: K names.
        num_items, num_labels: in the data set.
        num_evidence: how many trusted labels, labels on items that have several, or
            cross-validated predictions there were.
        laws: float64 `[K, K]`, by true class the distribution of a given label.
        low, high: float64 `[K, K]`, the interval of `laws`; it contains 0 where a value is below
            0.005.
        class_shares: float64 `[K]`, shares of the true classes.
        wrong_rate: share of labels that are wrong, 0 to 1.
        alpha: of a dilution that gives such labels: noisy labels drawn for each clean one. Where
            noise is uniform, it has as many wrong labels. Without a value if labels are no better
            than random.
        worth: the number of items with clean labels that would say as much about the classes.
        warnings: what a reader should know.
        is_doubtful: whether the estimate is not to be trusted, as the first warning then says.
        rows: which labels are probably wrong; None if items were not looked at one by one.
        annotators: how good each annotator is; empty where labels are nobody's.
        annotator_laws: float64 `[A, K, K]`, the law of each annotator's labels; None without these.
        labels_hash: of the labels that the estimate is of; empty where they were not in a
            `LabelledSet`.
    """

    source: Source
    class_names: tuple[str, ...]
    num_items: int
    num_labels: int
    num_evidence: int
    laws: Matrix
    low: Matrix
    high: Matrix
    class_shares: Array
    wrong_rate: Predicted
    alpha: Predicted
    worth: Predicted
    warnings: tuple[str, ...] = ()
    is_doubtful: bool = False
    rows: DoubtfulRows | None = field(default=None, repr=False)
    annotators: tuple[Annotator, ...] = ()
    annotator_laws: Array | None = field(default=None, repr=False)
    labels_hash: str = ""

    def noise(self) -> Matrix:
        """Return the matrix of noisy labels, `[K, K]`.

        A share `1/(1+alpha)` of the labels is clean, and the rest is drawn from the matrix, which
        together gives `laws`. Without a value of `alpha` all labels are drawn.
        """
        num_classes = len(self.laws)
        if self.alpha.value == 0:
            return np.full((num_classes, num_classes), 1 / num_classes)
        clean = 0.0 if self.alpha.value is None else 1 / (1 + self.alpha.value)
        drawn = np.maximum(self.laws - clean * np.eye(num_classes), 0)
        return np.asarray(drawn / drawn.sum(axis=1, keepdims=True))


def estimate_from(
    draws: Sequence[Matrix],
    shares: Sequence[Array],
    laws: Matrix,
    *,
    wrong_rate: Predicted | None = None,
    num_items: int,
    num_labels: int,
    **facts: Any,
) -> NoiseEstimate:
    """Return the estimate that draws of the matrix give.

    Arguments:
        draws: float64 `[K, K]` each.
        shares: float64 `[K]` each, shares of the true classes; as many as draws.
        laws: float64 `[K, K]`, the best single value of the matrix.
        wrong_rate: where it is known better than by the draws.
        facts: other fields of `NoiseEstimate`.
    """
    stack, weights = np.stack(draws), np.stack(shares)
    mean_shares = weights.mean(axis=0)
    if wrong_rate is None:
        drawn = 1 - (weights * np.einsum("dkk->dk", stack)).sum(axis=1)
        found = interval_of(drawn)
        best = 1 - float(mean_shares @ np.diag(laws))
        # Where hardly any label is wrong, draws from what was seen know no other.
        least = exact_share(round(_within(best) * num_items), num_items)
        low, high = _within(found.low), _within(found.high)
        wrong_rate = Predicted(
            _within(best), min(low, least.low or 0.0), max(high, least.high or 1.0)
        )
    lows, highs = np.quantile(stack, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return NoiseEstimate(
        num_items=num_items,
        num_labels=num_labels,
        laws=laws,
        low=np.where(laws < _PERHAPS_ZERO, 0.0, lows),
        high=highs,
        class_shares=mean_shares,
        wrong_rate=wrong_rate,
        alpha=_alpha(wrong_rate, laws),
        worth=_worth(stack, laws, wrong_rate, num_items, num_labels),
        **facts,
    )


def exact_share(number: int, of: int) -> Predicted:
    """Return a share with its exact interval, by Clopper and Pearson's method of the binomial."""
    from scipy.stats import binomtest

    ends = binomtest(number, of).proportion_ci(LEVEL, method="exact")
    return Predicted(number / of, float(ends.low), float(ends.high))


def _within(share: float | None) -> float:
    """Return a share that rounding may have put outside 0 to 1."""
    return min(max(share or 0.0, 0.0), 1.0)


def _alpha(wrong: Predicted, laws: Matrix) -> Predicted:
    """Return `alpha` of the dilution that gives the law, with its interval.

    The clean share is that of uniform noise with as many wrong labels, or the share of right labels
    in the class with the fewest, if that is lower.
    """
    fewest = float(np.diag(laws).min()) if wrong.value else 1.0
    value = _alpha_of(min(clean_share(wrong.value or 0.0, len(laws)), fewest))
    low = _alpha_of(clean_share(wrong.low or 0.0, len(laws)))
    high = _alpha_of(clean_share(1.0 if wrong.high is None else wrong.high, len(laws)))
    if value is None:
        return Predicted(None, low, None)
    return Predicted(value, min(value, low or 0.0), None if high is None else max(value, high))


def _alpha_of(clean: float) -> float | None:
    return None if clean <= 0 else max(0.0, round((1 - clean) / clean, 9))


def clean_share(wrong: float, num_classes: int) -> float:
    """Return the share of clean labels under uniform noise, of which a share `wrong` is wrong.

    It is below 0 if more labels are wrong than random ones would be.
    """
    return 1 - wrong * num_classes / (num_classes - 1)


def _worth(
    stack: Array, laws: Matrix, wrong: Predicted, num_items: int, num_labels: int
) -> Predicted:
    """Return how many items with clean labels would say as much about the classes.

    Random differences between the rows of a draw look like information. So the interval keeps its
    width and is moved to the best value. It reaches as far as that of the share of wrong labels.
    """
    per_item = max(1, round(num_labels / num_items))
    step = max(1, len(stack) // _MOST_DRAWS_OF_WORTH)
    informations = np.array([labels_information(matrix, per_item) for matrix in stack[::step]])
    best = labels_information(laws, per_item)
    centred = np.clip(informations - informations.mean() + best, 0, 1)
    ends = [
        labels_information(_with_wrong(laws, end, wrong.value or 0.0), per_item)
        for end in (wrong.low, wrong.high)
        if end is not None
    ]
    found = interval_of(num_items * centred)
    low, high = found.low or 0.0, num_items if found.high is None else found.high
    reach = [num_items * end for end in ends]
    return Predicted(num_items * best, min(low, *reach), max(high, *reach))


def _with_wrong(laws: Matrix, wrong: float, now: float) -> Matrix:
    """Return the law with its wrong labels in proportion, so that a share `wrong` is wrong."""
    size = len(laws)
    off = laws * (1 - np.eye(size)) * (wrong / now) if now > 0 else np.zeros_like(laws)
    if now == 0:
        off = (1 - np.eye(size)) * wrong / (size - 1)
    off = off / np.maximum(off.sum(axis=1, keepdims=True), 1)
    return np.asarray(off + np.diag(1 - off.sum(axis=1)))


def likeliest(
    posterior: Array, given: NDArray[np.int64], counts: NDArray[np.int64] | None = None
) -> DoubtfulRows:
    """Return how probable it is that each label is wrong.

    Arguments:
        posterior: float64 `[N, K]`, probabilities of the true class.
        given: int64 `[N]`, given labels.
        counts: int64 `[N, K]`, how often each label was given, where there are several.
    """
    suggested = posterior.argmax(axis=1)
    rows = np.arange(len(given))
    agreement = None
    if counts is not None:
        agreement = counts[rows, suggested] / np.maximum(counts.sum(axis=1), 1)
    return DoubtfulRows(
        given=given,
        suggested=suggested,
        wrong=np.clip(1 - posterior[rows, given], 0, 1),
        probability=posterior[rows, suggested],
        agreement=agreement,
    )


def alpha_text(found: Predicted) -> str:
    """Return `alpha` with its interval as text."""
    if found.value is None or not math.isfinite(found.value):
        return "without bound"
    high = "no bound" if found.high is None else f"{found.high:.3g}"
    return f"{found.value:.3g} ({found.low:.3g} to {high})"
