"""Short training: with measurements of the gradient on the way, or to time a step."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from dilute.dilution import Copies, NoisySet
from dilute.errors import SpecError
from dilute.gradients import GradientReport, Sampling, measure_gradients
from dilute.interruption import Interrupted
from dilute.training import Recipe, Trained, train


@dataclass(frozen=True)
class PilotPoint:
    """The gradient after `step` steps."""

    step: int
    report: GradientReport


def pilot(
    model: nn.Module,
    noisy: NoisySet,
    recipe: Recipe,
    at_steps: Sequence[int],
    *,
    copies: Sequence[Copies],
    sampling: Sampling | None = None,
    seed: int = 0,
    device: torch.device,
    on_step: Callable[[int, int, Trained], None] = lambda step, num_steps, trained: None,
    on_progress: Callable[[str], object] = lambda text: None,
) -> list[PilotPoint]:
    """Train `model` in place by `recipe`, and return the gradient before it and on the way.

    Arguments:
        at_steps: after how many steps to look, ascending, each 0 to the recipe's budget.
        copies, sampling: as for `measure_gradients`; its defaults if None.
        seed: of the order of visits, and of what is looked at.
        on_step: as for `train`.
        on_progress: told what is measured next.

    Errors: those of `measure_gradients` and `train`; `SpecError` for a step beyond the budget.
    """
    found: list[PilotPoint] = []

    def look(step: int) -> None:
        report = measure_gradients(
            model,
            noisy,
            copies=copies,
            sampling=sampling or Sampling(),
            seed=seed,
            device=device,
            on_progress=lambda text: on_progress(f"step {step}: {text}"),
        )
        found.append(PilotPoint(step, report))

    def after_step(step: int, num_steps: int, trained: Trained) -> None:
        on_step(step, num_steps, trained)
        if step in at_steps:
            look(step)

    last = max(at_steps)
    if recipe.budget_steps is None or not 0 <= min(at_steps) <= last <= recipe.budget_steps:
        raise SpecError(f"steps {list(at_steps)} must be 0 to {recipe.budget_steps}, the budget")
    if 0 in at_steps:
        look(0)
    if last:
        train(model, noisy, recipe, seed=seed, device=device, on_step=after_step)
    return found


def step_seconds(
    model: nn.Module,
    noisy: NoisySet,
    recipe: Recipe,
    device: torch.device,
    *,
    seed: int = 0,
    most_seconds: float,
) -> float:
    """Return what a step of `recipe` takes: the median of its steps after a first one.

    Arguments:
        model: on `device`; it is trained a little.
        recipe: its budget is an upper bound on the steps.
        most_seconds: after which no step is begun, if there were three.

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
            should_stop=lambda: len(times) > 2 and times[-1] - times[0] > most_seconds,
        )
    return statistics.median(np.diff(times))
