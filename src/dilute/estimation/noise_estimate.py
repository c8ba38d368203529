"""The type of all estimates: matrix, rate, equivalent `alpha` and worth, each with an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dilute.laws import LEVEL, Predicted, interval_of, labels_information
from dilute.noise import Matrix

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
    """

    given: NDArray[np.int64]
    suggested: NDArray[np.int64]
    wrong: Array


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
        alpha: of uniform noise with as many wrong labels: noisy labels drawn for each clean one;
            without a value if labels are no better than random.
        worth: the number of items with clean labels that would say as much about the classes.
        warnings: what a reader should know.
        is_doubtful: whether the estimate is not to be trusted, as the first warning then says.
        rows: which labels are probably wrong; None if items were not looked at one by one.
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

    def noise(self) -> tuple[float, Matrix]:
        """Return the noise as a dilution: `alpha`, and the matrix of noisy labels, `[K, K]`.

        A share `1/(1+alpha)` of the labels is clean, and the rest is drawn from the matrix, which
        together gives `laws`. The clean share is that of uniform noise with as many wrong labels,
        or the share of right labels in the class with the fewest, if that is lower.
        """
        num_classes = len(self.laws)
        wrong = self.wrong_rate.value or 0.0
        clean = float(_clean_share(np.array(wrong), num_classes))
        clean = max(min(clean, float(np.diag(self.laws).min())), 1e-3)
        if clean >= 1:
            return 0.0, np.full((num_classes, num_classes), 1 / num_classes)
        drawn = np.maximum((self.laws - clean * np.eye(num_classes)) / (1 - clean), 0)
        return (1 - clean) / clean, drawn / drawn.sum(axis=1, keepdims=True)


def estimate_from(
    draws: Sequence[Matrix],
    shares: Sequence[Array],
    laws: Matrix,
    *,
    source: Source,
    class_names: tuple[str, ...],
    num_items: int,
    num_labels: int,
    num_evidence: int,
    warnings: tuple[str, ...] = (),
    is_doubtful: bool = False,
    rows: DoubtfulRows | None = None,
) -> NoiseEstimate:
    """Return the estimate that draws of the matrix give.

    Arguments:
        draws: float64 `[K, K]` each.
        shares: float64 `[K]` each, shares of the true classes; as many as draws.
        laws: float64 `[K, K]`, the best single value of the matrix.

    The other arguments are those of `NoiseEstimate`.
    """
    stack, weights = np.stack(draws), np.stack(shares)
    num_classes = len(laws)
    wrong = 1 - (weights * np.einsum("dkk->dk", stack)).sum(axis=1)
    best_wrong = 1 - float(weights.mean(axis=0) @ np.diag(laws))
    clean = _clean_share(wrong, num_classes)
    with np.errstate(divide="ignore"):
        alphas = np.where(clean > 0, (1 - clean) / np.maximum(clean, 1e-12), np.inf)
    low, high = np.quantile(stack, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    low = np.where(laws < _PERHAPS_ZERO, 0.0, low)
    best_clean = float(_clean_share(np.array(best_wrong), num_classes))
    best_alpha = (1 - best_clean) / best_clean if best_clean > 0 else None
    return NoiseEstimate(
        source=source,
        class_names=class_names,
        num_items=num_items,
        num_labels=num_labels,
        num_evidence=num_evidence,
        laws=laws,
        low=low,
        high=high,
        class_shares=weights.mean(axis=0),
        wrong_rate=_around(best_wrong, wrong),
        alpha=_around(best_alpha, alphas),
        worth=_worth(stack, laws, num_items, num_labels),
        warnings=warnings,
        is_doubtful=is_doubtful,
        rows=rows,
    )


def _clean_share(wrong: Array, num_classes: int) -> Array:
    """Return the share of clean labels under uniform noise, of which a share `wrong` is wrong.

    It is below 0 if more labels are wrong than random ones would be.
    """
    return np.asarray(1 - wrong * num_classes / (num_classes - 1))


def _around(value: float | None, draws: Array) -> Predicted:
    found = interval_of(draws)
    return Predicted(value, found.low, found.high)


def _worth(stack: Array, laws: Matrix, num_items: int, num_labels: int) -> Predicted:
    """Return how many items with clean labels would say as much about the classes.

    Random differences between the rows of a draw look like information. So the interval keeps its
    width and is moved to the best value.
    """
    per_item = max(1, round(num_labels / num_items))
    step = max(1, len(stack) // _MOST_DRAWS_OF_WORTH)
    informations = np.array([labels_information(matrix, per_item) for matrix in stack[::step]])
    best = labels_information(laws, per_item)
    centred = np.clip(informations - informations.mean() + best, 0, 1)
    found = interval_of(num_items * centred)
    return Predicted(num_items * best, found.low, found.high)


def likeliest(posterior: Array, given: NDArray[np.int64]) -> DoubtfulRows:
    """Return how probable it is that each label is wrong.

    Arguments:
        posterior: float64 `[N, K]`, probabilities of the true class.
        given: int64 `[N]`, given labels.
    """
    return DoubtfulRows(
        given=given,
        suggested=posterior.argmax(axis=1),
        wrong=1 - posterior[np.arange(len(given)), given],
    )


def alpha_text(found: Predicted) -> str:
    """Return `alpha` with its interval as text."""
    if found.value is None or not math.isfinite(found.value):
        return "without bound"
    high = "no bound" if found.high is None else f"{found.high:.3g}"
    return f"{found.value:.3g} ({found.low:.3g} to {high})"
