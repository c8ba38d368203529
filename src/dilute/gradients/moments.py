"""Signal and noise from gradients of batches: unbiased estimates, with intervals that hold."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dilute.training.curve import Interval

Array = NDArray[np.float64]
_LEVEL = 0.95
UNKNOWN = Interval(None, None, None)


def product_of_means(gram: Array) -> float:
    """Return the inner product of two mean gradients, unbiased, from that of independent batches.

    Arguments:
        gram: `[C, C]`, the inner products of the gradients of C batches: entry (i, j) is the
            product of gradient i of one kind with gradient j of the other (or the same) kind. Those
            of one and the same batch are left out, for there the noise of the two is the same.
    """
    number = len(gram)
    return float(gram.sum() - np.trace(gram)) / (number * (number - 1))


def length(gram: Array) -> float | None:
    """Return the length of a mean gradient; None if its estimated square is ≤ 0."""
    squared = product_of_means(gram)
    return math.sqrt(squared) if squared > 0 else None


def without_each(gram: Array) -> Array:
    """Return `[C]`: `product_of_means` of all batches but the first, but the second, …"""
    number = len(gram)
    off_diagonal = gram - np.diag(np.diag(gram))
    rest = off_diagonal.sum() - off_diagonal.sum(axis=0) - off_diagonal.sum(axis=1)
    answer: Array = rest / ((number - 1) * (number - 2))
    return answer


def jackknife_variance(without: Array) -> float:
    """Return the variance of an estimate from its values without each of the batches, `[C]`."""
    number = len(without)
    return float((number - 1) / number * ((without - without.mean()) ** 2).sum())


def jackknife_interval(value: float, without: Array) -> Interval:
    """Return Student's interval of an estimate, from its values without each batch, `[C]`."""
    if not (math.isfinite(value) and np.isfinite(without).all()):
        return UNKNOWN
    half = student(len(without)) * math.sqrt(jackknife_variance(without))
    return Interval(value, value - half, value + half)


@dataclass(frozen=True)
class Noise:
    """How noisy the gradient of a batch is.

    Attributes:
        trace: `tr(S)`, the summed variance of the gradient of a batch of one.
        squared_length: `|G|²`, unbiased, and so below zero at times.
        scale: `tr(S)/|G|²`, in visits: the batch whose noise is as long as its signal.
        log_trace_variance: variance of the logarithm of the trace's estimate.
    """

    trace: float
    squared_length: float
    scale: Interval
    log_trace_variance: float


def noise(squares: Array, batch_size: int, gram: Array) -> Noise:
    """Return the simple noise scale from gradients of two batch sizes.

    Arguments:
        squares: `[N]`, squared lengths of the gradients of small batches.
        batch_size: visits in each of them.
        gram: `[C, C]`, the inner products of the gradients of large batches, independent of the
            small ones and with the same mean.

    A small batch's squared length has the mean `|G|² + tr(S)/b`, and the products of different
    large batches have the mean `|G|²`. The interval is Fieller's, which has no upper end where
    `|G|²` cannot be distinguished from zero.

    Source: the simple noise scale of McCandlish et al. 2018 (arXiv 1812.06162), appendix A.
    """
    squared_length = product_of_means(gram)
    length_variance = jackknife_variance(without_each(gram))
    trace = batch_size * (float(squares.mean()) - squared_length)
    own_variance = batch_size**2 * float(squares.var(ddof=1)) / len(squares)
    scale = _ratio(
        trace,
        squared_length,
        own_variance + batch_size**2 * length_variance,
        length_variance,
        -batch_size * length_variance,
        student(min(len(gram), len(squares))),
    )
    return Noise(trace, squared_length, scale, own_variance / trace**2 if trace else math.inf)


def scale_of(trace: float, trace_variance: float, gram: Array) -> Interval:
    """Return `tr(S)` over the squared length of a mean gradient that was measured apart from it.

    Arguments:
        trace, trace_variance: `tr(S)`, and the variance of that estimate.
        gram: `[C, C]`, the inner products of the gradients of large batches.
    """
    below, below_variance = product_of_means(gram), jackknife_variance(without_each(gram))
    return _ratio(trace, below, trace_variance, below_variance, 0.0, student(len(gram)))


def student(number: int) -> float:
    """Return the bound of Student's two-sided interval with `number` − 1 degrees of freedom."""
    from scipy.special import stdtrit  # here, as few of the workers look at gradients

    return float(stdtrit(number - 1, (1 + _LEVEL) / 2))


def _ratio(
    above: float, below: float, var_above: float, var_below: float, covariance: float, bound: float
) -> Interval:
    """Return `above / below` with Fieller's interval, both being > 0 in truth."""
    square = below**2 - bound**2 * var_below
    middle = above * below - bound**2 * covariance
    rest = above**2 - bound**2 * var_above
    value = above / below if below > 0 else None
    root = middle**2 - square * rest
    if rest <= 0 or root < 0 or below == 0 or (square > 0 and below < 0):
        return Interval(value, None, None)
    low = rest / (middle + math.sqrt(root))  # the smaller root, without cancellation
    return Interval(value, low, (middle + math.sqrt(root)) / square if square > 0 else None)
