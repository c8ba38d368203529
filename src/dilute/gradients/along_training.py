"""Short training, with measurements of the gradient on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from dilute.dilution import Copies, NoisySet
from dilute.errors import SpecError
from dilute.gradients.measure import Sampling, measure_gradients
from dilute.gradients.report import GradientReport
from dilute.training import Recipe, Trained, train


@dataclass(frozen=True)
class MeasuredPoint:
    """The gradient after `step` steps."""

    step: int
    report: GradientReport


def measure_along_training(
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
) -> list[MeasuredPoint]:
    """Train `model` in place by `recipe`, and return the gradient before it and on the way.

    Arguments:
        at_steps: after how many steps to measure, ascending, each 0 to the recipe's budget.
        copies, sampling: as for `measure_gradients`; its defaults if None.
        seed: of the order of visits, and of the images that are measured.
        on_step: as for `train`.
        on_progress: called with what is measured next.

    Errors: those of `measure_gradients` and `train`; `SpecError` for a step beyond the budget.
    """
    found: list[MeasuredPoint] = []

    def measure(step: int) -> None:
        report = measure_gradients(
            model,
            noisy,
            copies=copies,
            sampling=sampling or Sampling(),
            seed=seed,
            device=device,
            on_progress=lambda text: on_progress(f"step {step}: {text}"),
        )
        found.append(MeasuredPoint(step, report))

    def after_step(step: int, num_steps: int, trained: Trained) -> None:
        on_step(step, num_steps, trained)
        if step in at_steps:
            measure(step)

    last = max(at_steps)
    if recipe.budget_steps is None or not 0 <= min(at_steps) <= last <= recipe.budget_steps:
        raise SpecError(f"steps {list(at_steps)} must be 0 to {recipe.budget_steps}, the budget")
    if 0 in at_steps:
        measure(0)
    if last:
        train(model, noisy, recipe, seed=seed, device=device, on_step=after_step)
    return found
