"""Predictions of labels by models that were trained without them: calibrated cross-validation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from dilute import seeds
from dilute.data import LabelledSet
from dilute.dilution import DilutedSet
from dilute.errors import DataError
from dilute.runs import fresh_model
from dilute.training import Recipe, train

Array = NDArray[np.float64]
_NUM_FOLDS = 5
_PASSES = (2, 6, 18)
_BATCH_SIZE = 128
_LEAST_STEPS = 40
_AT_ONCE = 500
_COLDEST, _HOTTEST = 0.05, 20.0


def cross_validated(
    labelled: LabelledSet,
    model: str = "mlp1",
    *,
    seed: int = 0,
    device: torch.device | None = None,
    on_progress: Callable[[str], object] = lambda text: None,
) -> Array:
    """Return the probabilities of each item's given label, by a model trained without that item.

    There are five folds. Models are trained for 2, 6 or 18 passes: the number under which the
    first fold's labels, noisy as they are, are likeliest. One temperature then makes the labels of
    all folds likeliest.

    Arguments:
        labelled: N items with labels as given, N ≥ 50.
        model: a name or `module:callable`.
        seed: of folds, initialisation and order.
        device: where to train; the CPU if None.
        on_progress: called with a line of text before each model is trained.

    Returns:
        float64 `[N, K]`, each row summing to 1.

    Errors: `DataError` for fewer than 50 items; those of building and training the model.
    """
    if len(labelled) < 10 * _NUM_FOLDS:
        raise DataError(
            f"{len(labelled)} items are too few for cross-validation; it takes {10 * _NUM_FOLDS}"
        )
    device = device or torch.device("cpu")
    order = seeds.Permutation(len(labelled), seed, "folds")(np.arange(len(labelled)))
    folds = [np.sort(part) for part in np.array_split(order, _NUM_FOLDS)]
    tried = {}
    for passes in _PASSES:
        on_progress(f"fold 1 of {_NUM_FOLDS}, {passes} passes")
        logits = _logits(labelled, folds[0], model, passes, seed, device)
        tried[passes] = (_calibrated(logits, labelled.labels[folds[0]])[1], logits)
    passes = min(tried, key=lambda number: tried[number][0])
    found = np.empty((len(labelled), labelled.num_classes))
    found[folds[0]] = tried[passes][1]
    for number, fold in enumerate(folds[1:], start=2):
        on_progress(f"fold {number} of {_NUM_FOLDS}, {passes} passes")
        found[fold] = _logits(labelled, fold, model, passes, seed, device)
    temperature, _ = _calibrated(found, labelled.labels)
    return np.asarray(np.exp(log_softmax(found / temperature, axis=1)))


def _logits(
    labelled: LabelledSet,
    fold: NDArray[np.int64],
    model: str,
    passes: int,
    seed: int,
    device: torch.device,
) -> Array:
    """Return logits `[M, K]` of the items `fold` (int64 `[M]`) by a model trained on the others."""
    is_left_out = np.zeros(len(labelled), dtype=bool)
    is_left_out[fold] = True
    rest = DilutedSet(labelled, 0.0, rows=np.flatnonzero(~is_left_out))
    network = fresh_model(model, rest, seed, device)
    steps = _LEAST_STEPS + math.ceil(passes * rest.n / _BATCH_SIZE)
    recipe = Recipe(batch_size=_BATCH_SIZE, budget_steps=steps, curve_points=1)
    train(network, rest, recipe, seed=seed, device=device)
    network.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(fold), _AT_ONCE):
            inputs = labelled.gather(fold[start : start + _AT_ONCE])
            parts.append(network(torch.from_numpy(inputs).to(device)).cpu().double().numpy())
    return np.concatenate(parts)


def _calibrated(logits: Array, labels: NDArray[np.int64]) -> tuple[float, float]:
    """Return the temperature at which `labels` are likeliest, and their NLL per label there."""

    def nll(log_temperature: float) -> float:
        logs = log_softmax(logits / math.exp(log_temperature), axis=1)
        return -float(logs[np.arange(len(labels)), labels].mean())

    bounds = (math.log(_COLDEST), math.log(_HOTTEST))
    best = minimize_scalar(nll, bounds=bounds, method="bounded")
    return math.exp(best.x), float(best.fun)
