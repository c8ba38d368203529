"""How the runs behind a plan are trained: one recipe for all sizes and amounts of noise, nothing tuned."""

from __future__ import annotations

import math
from typing import Any

BATCH_SIZE = 128
_LEAST_STEPS = 40
_CLEAN_PASSES = 16
_LEARNING_RATE = 1e-3
_MOST_ALPHA = 20


def pilot_recipe(
    num_images: int, alpha: float, *, patience: float = 1.0, rate_power: float = 0.0
) -> dict[str, Any]:
    """Return the fields of a `RunSpec` that train on so many images with so much noise: the last model counts, nothing is held out.

    AdamW, its rate falling to zero over `16 / √(1 + alpha)` passes and 40 steps more: later passes memorise
    the noise. Beyond `alpha = 20` there are no fewer passes, and the rate falls with `√(1 + alpha)` instead. Held-out
    clean labels chose all this, for MLPs and Conv4 on MNIST (docs/laws.md).

    Arguments:
        num_images: to train on.
        alpha: noisy examples per clean one.
        patience: times as many steps; more for networks that are slow to begin.
        rate_power: how the rate falls with noise, as `(1 + alpha)` to minus this power; a half for a perceptron.
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
