"""Predictions of labels by models that have not seen them: cross-validation, calibrated on the labels themselves."""

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
    model: str,
    *,
    seed: int = 0,
    device: torch.device | None = None,
    on_progress: Callable[[str], object] = lambda text: None,
) -> Array:
    """Return float64 `[N, K]`: for each item the probabilities of its given label, by a model that was trained without it.

    Five folds. How long is trained is chosen among 2, 6 and 18 passes by the likelihood of the first
    fold's labels, noisy as they are; one temperature makes the probabilities likeliest for all.

    Arguments:
        labelled: items with the labels as given.
        model: a name or `module:callable`.
        seed: of folds, initialisation and order.
        device: the CPU if None.
        on_progress: told what is trained next.

    Errors: `DataError` for fewer items than 10 a fold; those of `fresh_model` and `train`.
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
    """Return the logits of the items `fold` by a model that is trained on the rest."""
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
    """Return the temperature at which `labels` are likeliest, and their mean negative log-likelihood."""

    def nll(log_temperature: float) -> float:
        logs = log_softmax(logits / math.exp(log_temperature), axis=1)
        return -float(logs[np.arange(len(labels)), labels].mean())

    bounds = (math.log(_COLDEST), math.log(_HOTTEST))
    best = minimize_scalar(nll, bounds=bounds, method="bounded")
    return math.exp(best.x), float(best.fun)
