"""How long a step of training takes."""

from __future__ import annotations

import statistics
import time
from contextlib import suppress

import numpy as np
import torch
from torch import nn

from dilute.dilution import NoisySet
from dilute.interruption import Interrupted
from dilute.training.loop import train
from dilute.training.recipe import Recipe

_FEWEST_STEPS = 3


def step_seconds(
    model: nn.Module,
    noisy: NoisySet,
    recipe: Recipe,
    device: torch.device,
    *,
    seed: int = 0,
    most_seconds: float,
) -> float:
    """Return how many seconds a step of `recipe` takes: the median of its steps after the first.

    Arguments:
        model: on `device`; it is trained a little.
        recipe: its budget is an upper bound on the steps.
        most_seconds: after this time no step is begun, if three were done.

    Errors: those of `train`.
    """
    times: list[float] = []
    with suppress(Interrupted):
        train(
            model,
            noisy,
            recipe,
            seed=seed,
            device=device,
            on_step=lambda *_: times.append(time.perf_counter()),
            on_curve_point=lambda *_: None,  # only steps are timed
            should_stop=lambda: len(times) >= _FEWEST_STEPS and times[-1] - times[0] > most_seconds,
        )
    return statistics.median(np.diff(times))
