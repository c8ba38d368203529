"""What a step of training costs on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from dilute.dilution import NoisySet
from dilute.training import Recipe, step_seconds

_TIMED_BATCHES = (16, 256)
_TIMED_STEPS, _TIMED_SECONDS = 12, 3.0
_LEAST_SHARE = 0.05


@dataclass(frozen=True)
class Timing:
    """What a step costs here, in seconds: `step_seconds + batch · image_seconds`."""

    step_seconds: float
    image_seconds: float

    def seconds(self, batch_size: int, steps: float) -> float:
        """Return how long so many steps take, in seconds."""
        return steps * (self.step_seconds + batch_size * self.image_seconds)


def time_steps(
    model: nn.Module,
    noisy: NoisySet,
    device: torch.device,
    on_progress: Callable[[str], object] = lambda text: None,
) -> Timing:
    """Return what a step of training costs, from a few steps of two batch sizes.

    `model` is trained a little by that.

    Errors: those of `train`.
    """
    times = []
    for size in _TIMED_BATCHES:
        on_progress(f"the time of a step of {size} images")
        recipe = Recipe(batch_size=size, budget_steps=_TIMED_STEPS, curve_points=1)
        times.append(step_seconds(model, noisy, recipe, device, most_seconds=_TIMED_SECONDS))
    small, large = _TIMED_BATCHES
    # With tiny networks and on busy machines the two times may be alike, or in the wrong order.
    per_image = max((times[1] - times[0]) / (large - small), _LEAST_SHARE * times[1] / large)
    return Timing(max(times[0] - small * per_image, _LEAST_SHARE * times[0]), per_image)
