"""What `fit` takes where nothing is said: model, length of training and held-out share."""

from __future__ import annotations

import math

from dilute.data import LabelledSet
from dilute.training import Recipe

BATCH_SIZE = 128
PASSES, FEWEST_STEPS = 20, 1000
_BUDGETS = ("budget_steps", "budget_epochs", "budget_examples")
_SMALLEST_SIDE, _SMALL_SIDE = 8, 64
_FEW, _VERY_FEW = 10_000, 40


def choose_model(labelled: LabelledSet) -> tuple[str, str]:
    """Return the network for such inputs, and why."""
    if not labelled.is_images or len(labelled.input_shape) != 3:
        return "mlp1", "the inputs are features"
    channels, height, width = labelled.input_shape
    side = min(height, width)
    if side < _SMALLEST_SIDE:
        return "mlp1", f"images of {height}×{width} pixels are too small for convolutions"
    if max(height, width) > _SMALL_SIDE:
        return "resnet18", f"images of {height}×{width} pixels are large"
    kind, name = ("grey", "conv4") if channels == 1 else ("colour", "conv6")
    return name, f"{kind} images of {height}×{width} pixels are small"


def choose_recipe(num_train: int, given: Recipe | None = None) -> tuple[Recipe, str]:
    """Return how to train on so many inputs, and why; what `given` says itself is kept."""
    fields = {name: getattr(given, name) for name in given.model_fields_set} if given else {}
    batch_size = fields.setdefault("batch_size", min(BATCH_SIZE, max(8, num_train // 8)))
    if any(fields.get(name) for name in _BUDGETS):
        return Recipe(**fields), "as asked"
    steps = max(FEWEST_STEPS, math.ceil(PASSES * num_train / batch_size))
    return Recipe(**fields, budget_steps=steps), (
        f"{steps:,} steps of {batch_size}: {PASSES} passes over {num_train:,} inputs, and "
        f"{FEWEST_STEPS:,} steps at least"
    )


def choose_heldout(num_items: int) -> float:
    """Return which share of so many items is held out to select the model.

    It is more of few items, and nothing of very few.
    """
    if num_items < _VERY_FEW:
        return 0.0
    return 0.1 if num_items < _FEW else 0.05
