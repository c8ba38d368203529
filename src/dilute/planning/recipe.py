"""How the runs behind a plan are trained: one recipe for all sizes and amounts of noise, nothing tuned."""

from __future__ import annotations

import math
from typing import Any

BATCH_SIZE = 128
_LEAST_STEPS = 40
_CLEAN_PASSES = 16


def recipe(num_images: int, alpha: float, patience: float = 1.0) -> dict[str, Any]:
    """Return the fields of a `RunSpec` that train on so many images with so much noise: the last model counts, nothing is held out.

    Arguments:
        num_images: to train on.
        alpha: noisy examples per clean one.
        patience: times as many steps; more for networks that are slow to begin.

    AdamW at its defaults, falling to zero over `16 / √(1 + alpha)` passes and 40 steps more: noise is memorised
    in later passes. Held-out clean labels chose this from powers of two, for an MLP and Conv4 (`results/laws/passes.md`).
    """
    passes = _CLEAN_PASSES / math.sqrt(1 + alpha)
    return {
        "copies": "all",
        "batch_size": BATCH_SIZE,
        "budget_steps": math.ceil(patience * (_LEAST_STEPS + passes * num_images / BATCH_SIZE)),
        "curve_points": 1,
        "heldout_fraction": 0.0,
    }
