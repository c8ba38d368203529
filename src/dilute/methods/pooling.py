"""What the labels of other images say of an image's class.

Experts predict it; the likelihood of labels that they did not see weighs and joins them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize
from scipy.special import logsumexp, softmax

from dilute.methods.graph import FOLDS, Walk, folds, from_other_folds

_STRENGTHS = (0.1, 1.0, 10.0)
_LEAST, _MOST = -4.0, 14.0
_LARGEST_DOUBT = 3.0  # nats


def pooled(
    scores: NDArray[np.float64],
    seed: int,
    walks: Sequence[Walk],
    features: NDArray[np.float32] | None = None,
) -> NDArray[np.float64]:
    """Return float64 `[N, K]`: each image's class probabilities.

    The labels of other images give a prior, which its own labels update by Bayes. Arguments are
    those of `log_prior`.
    """
    return posterior(log_prior(scores, seed, walks, features), scores)


def posterior(prior: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return float64 `[N, K]`: each image's class probabilities, by Bayes.

    Arguments:
        prior: float64 `[N, K]`, of `log_prior`.
        scores: float64 `[N, K]`, the log-likelihood of each image's labels by class.
    """
    return np.asarray(softmax(prior + _relative(scores), axis=1))


def _relative(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.maximum(scores - scores.max(axis=1, keepdims=True), -100.0))


def log_prior(
    scores: NDArray[np.float64],
    seed: int,
    walks: Sequence[Walk],
    features: NDArray[np.float32] | None = None,
) -> NDArray[np.float64]:
    """Return float64 `[N, K]`: what the labels of other images say of each image's class.

    It is right up to a number per image.

    Arguments:
        scores: float64 `[N, K]`, the log-likelihood of each image's labels by class.
        seed: of the folds.
        walks: on graphs of the images; the mean of scores over where a walk leads is one expert
            each.
        features: float32 `[N, D]`, standardised; ridge regression on them is another expert.

    Each expert predicts an image from the images of other folds alone. So the likelihood of the
    image's own labels chooses hops, regularisation, and the weights with which experts are
    joined.
    """
    relative = _relative(scores)
    experts = [_best(_walking(walk, relative, seed), relative) for walk in walks]
    if features is not None:
        experts.append(_best(_regressing(features, relative, seed), relative))
    predictions = [predicted for _, predicted in experts]
    start = np.array([weight for weight, _ in experts]) - np.log2(len(experts))
    if len(experts) > 1:
        found = optimize.minimize(
            lambda weights: _cost(_joined(weights, predictions), relative),
            start,
            method="Nelder-Mead",
            options={"xatol": 0.05, "fatol": 1e-6, "maxfev": 60 * len(experts)},
        )
        start = found.x
    return np.asarray(_joined(start, predictions))


def _joined(weights: NDArray[np.float64], predictions: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return `[N, K]` log-priors: the sum of predictions, each times two to its weight."""
    return np.asarray(
        sum(2.0**weight * predicted for weight, predicted in zip(weights, predictions, strict=True))
    )


def _best(
    candidates: Iterable[NDArray[Any]], relative: NDArray[np.float64]
) -> tuple[float, NDArray[Any]]:
    """Return the candidate under which labels are likeliest, and its weight as a power of two."""
    best: tuple[float, float, NDArray[Any]] | None = None
    for predicted in candidates:

        def cost(weight: float, predicted: NDArray[Any] = predicted) -> float:
            return _cost(2.0**weight * predicted, relative)

        found = optimize.minimize_scalar(
            cost, bounds=(_LEAST, _MOST), method="bounded", options={"xatol": 0.05}
        )
        if best is None or found.fun < best[0]:
            best = (float(found.fun), float(found.x), predicted)
    assert best is not None
    return best[1:]


def _cost(log_prior: NDArray[Any], relative: NDArray[np.float64]) -> float:
    """Return the mean negative log-likelihood of the images' labels, up to a constant."""
    joint = log_prior - logsumexp(log_prior, axis=1, keepdims=True)
    return -float(logsumexp(joint + relative, axis=1).mean())


def _walking(walk: Walk, relative: NDArray[np.float64], seed: int) -> Iterable[NDArray[np.float32]]:
    """Yield predictions by walks of different lengths.

    A neighbour may be of another class: what it says against one is bounded.
    """
    bounded = np.maximum(relative, -_LARGEST_DOUBT)
    centred = (bounded - bounded.mean(axis=1, keepdims=True)).astype(np.float32)
    return (predicted for _, predicted in from_other_folds(walk, centred, seed))


def _regressing(
    features: NDArray[np.float32], relative: NDArray[np.float64], seed: int
) -> Iterable[NDArray[np.float32]]:
    """Yield predictions by ridge regressions of different strengths.

    Their targets are the posteriors that images' own labels give.
    """
    size, width = features.shape
    targets = (softmax(relative, axis=1) - 1 / relative.shape[1]).astype(np.float32)
    fold = folds(size, seed)
    parts = [(features[fold == number], targets[fold == number]) for number in range(FOLDS)]
    grams = [(seen.T @ seen, seen.T @ wanted) for seen, wanted in parts]
    gram, moment = sum(one for one, _ in grams), sum(one for _, one in grams)
    for strength in _STRENGTHS:
        predicted = np.empty_like(targets)
        for number, (own_gram, own_moment) in enumerate(grams):
            system = (gram - own_gram).astype(np.float64) + strength * size * np.eye(width)
            solved = linalg.solve(system, moment - own_moment, assume_a="pos")
            predicted[fold == number] = parts[number][0] @ solved.astype(np.float32)
        yield predicted
