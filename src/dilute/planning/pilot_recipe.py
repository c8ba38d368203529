"""How the runs of a pilot are trained: one recipe for all sizes and amounts of noise, not tuned."""

from __future__ import annotations

import math
from typing import Literal, TypedDict

BATCH_SIZE = 128
_LEAST_STEPS = 40
_CLEAN_PASSES = 16
_LEARNING_RATE = 1e-3
_MOST_ALPHA = 20


class PilotRecipe(TypedDict):
    """The fields of a `RunSpec` that say how a run of a pilot is trained."""

    copies: Literal["all"]
    batch_size: int
    budget_steps: int
    learning_rate: float
    curve_points: int
    heldout_fraction: float


def pilot_recipe(
    num_images: int, alpha: float, *, patience: float = 1.0, rate_power: float = 0.0
) -> PilotRecipe:
    """Return how to train on so many images with so much noise.

    The model after the last step counts, and no images are held out. The optimiser is AdamW. Its
    rate falls to zero over `16 / √(1 + alpha)` passes and 40 steps more, because later passes
    memorise the noise. Above `alpha = 20` the passes stay the same, and the rate falls with
    `√(1 + alpha)` instead. All this was chosen by held-out clean labels, for MLPs and Conv4 on
    MNIST (docs/laws.md).

    Arguments:
        num_images: images to train on, ≥ 1.
        alpha: noisy examples per clean one, ≥ 0.
        patience: how many times as many steps to take; above 1 for networks that start slowly.
        rate_power: the rate is multiplied by `(1 + alpha)` to minus this power; 0.5 for a
            perceptron.
    """
    passes = _CLEAN_PASSES / math.sqrt(1 + min(alpha, _MOST_ALPHA))
    rate = _LEARNING_RATE * (1 + alpha) ** -rate_power
    rate *= min(1.0, math.sqrt((1 + _MOST_ALPHA) / (1 + alpha)))
    return {
        "copies": "all",
        "batch_size": BATCH_SIZE,
        "budget_steps": math.ceil(patience * (_LEAST_STEPS + passes * num_images / BATCH_SIZE)),
        "learning_rate": float(f"{rate:.3g}"),
        "curve_points": 1,
        "heldout_fraction": 0.0,
    }
