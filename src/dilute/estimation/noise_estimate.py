"""What is known of a data set's noise: matrix, rate, equivalent `alpha`, worth, each with an interval."""

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
    """Items whose label is in doubt, all of them in the order of the data.

    Attributes:
        given: int64 `[N]`, the label given (of several the most frequent); suggested: the likeliest.
        wrong: float64 `[N]`, the probability that the given label is wrong.
    """

    given: NDArray[np.int64]
    suggested: NDArray[np.int64]
    wrong: Array


@dataclass(frozen=True)
class NoiseEstimate:
    """The noise of a data set. Intervals hold 90 %, of what the source's own uncertainty is: see `warnings`.

    Attributes:
        source: what it rests on.
        class_names: K names.
        num_items, num_labels: in the data set.
        num_evidence: trusted labels, labels on items that have several, or cross-validated predictions.
        laws: float64 `[K, K]`, by true class the distribution of a given label; low and high its interval, which
            holds 0 where a value is below 0.005.
        class_shares: float64 `[K]`, of true classes.
        wrong_rate: share of labels that are wrong, 0 to 1.
        alpha: of uniform noise with as many wrong labels: noisy labels drawn for each clean one; without a value
            where labels are no better than drawn at random.
        worth: clean examples that the items stand for: how much their labels tell of the classes.
        warnings: what its reader should know.
        is_doubtful: whether it is not to be trusted, as the first warning says.
        rows: labels in doubt; None where items were not looked at one by one.
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
        """Return the noise as a dilution: `alpha`, and the matrix `[K, K]` of the noisy labels' distribution.

        `1/(1+alpha)` of the labels are clean and the rest drawn from the matrix, which gives `laws`. The
        division into the two is that of uniform noise, as far as no class has fewer right labels.
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
    """Return the estimate behind draws of the matrix.

    Arguments:
        draws: `[K, K]` each; shares: `[K]` each, of true classes, as many.
        laws: the best single value of the matrix.
        The rest: as of `NoiseEstimate`.
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
    """Return the share of clean labels of uniform noise with a share `wrong` of wrong ones; below 0 beyond random labels."""
    return np.asarray(1 - wrong * num_classes / (num_classes - 1))


def _around(value: float | None, draws: Array) -> Predicted:
    found = interval_of(draws)
    return Predicted(value, found.low, found.high)


def _worth(stack: Array, laws: Matrix, num_items: int, num_labels: int) -> Predicted:
    """Return what the items' labels are worth in clean examples.

    Random differences between rows look like information; what the draws have of it on average is taken off them.
    """
    per_item = max(1, round(num_labels / num_items))
    step = max(1, len(stack) // _MOST_DRAWS_OF_WORTH)
    told = np.array([labels_information(matrix, per_item) for matrix in stack[::step]])
    best = labels_information(laws, per_item)
    centred = np.clip(told - told.mean() + best, 0, 1)
    found = interval_of(num_items * centred)
    return Predicted(num_items * best, found.low, found.high)


def likeliest(posterior: Array, given: NDArray[np.int64]) -> DoubtfulRows:
    """Return the rows behind the probabilities of each class `[N, K]` and the labels given `[N]`."""
    return DoubtfulRows(
        given=given,
        suggested=posterior.argmax(axis=1),
        wrong=1 - posterior[np.arange(len(given)), given],
    )


def alpha_text(found: Predicted) -> str:
    """Return `alpha` with its interval in words."""
    if found.value is None or not math.isfinite(found.value):
        return "without bound"
    high = "no bound" if found.high is None else f"{found.high:.3g}"
    return f"{found.value:.3g} ({found.low:.3g} to {high})"
