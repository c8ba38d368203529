"""Where training stands: what was measured, what is resumed from, and both in one file."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from torch import Tensor, nn

from dilute.environment import code_hash
from dilute.methods import Objective
from dilute.training import checkpoints
from dilute.training.curve import CurvePoint
from dilute.world import World

_log = logging.getLogger(__name__)


_CURVE = TypeAdapter(list[CurvePoint])


@dataclass
class Trained:
    """What training gave, and all that a checkpoint must hold besides the weights.

    Attributes:
        status: `"done"`, or `"diverged"` if the loss became infinite or not a number.
        step: steps done.
        curve: the points measured.
        selected: index in `curve` of the model with the lowest held-out NLL (mixed, if its method
            predicts true labels); None without held-out data.
        training_seconds: time in steps.
        evaluation_seconds: time in evaluations.
        gradient_seconds: time in measuring gradients.
        loss_sum: sum of the losses since the last curve point (on the device, between checks).
        examples_per_visit: mean number of labels behind an image's visit.
        earlier_seconds: what interrupted sessions had spent.
        selected_weights: the weights at that point.
        unreadable: the rows that any rank found not to decode, by source (`Unreadable`); empty
            where none is skipped.
        selected_confusion: int64 `[K, K]`: the held-out labels at that point, by (label, predicted
            class).
    """

    status: Literal["done", "diverged"] = "done"
    step: int = 0
    curve: list[CurvePoint] = field(default_factory=list)
    selected: int | None = None
    training_seconds: float = 0.0
    evaluation_seconds: float = 0.0
    gradient_seconds: float = 0.0
    loss_sum: float | Tensor = 0.0
    examples_per_visit: float = 1.0
    earlier_seconds: float = 0.0
    unreadable: list[list[int]] = field(default_factory=list)
    selected_weights: dict[str, Tensor] = field(default_factory=dict)
    selected_confusion: NDArray[np.int64] | None = None


def save_state(
    path: Path,
    state: Trained,
    model: nn.Module,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Write a checkpoint: everything that training goes on from.

    Errors: `StoreError` if it cannot be written.
    """
    tensors = {
        **checkpoints.with_prefix("model", model.state_dict()),
        **checkpoints.with_prefix("method", objective.state_dict()),
        **checkpoints.with_prefix("selected", state.selected_weights),
        **checkpoints.with_prefix("optimizer", checkpoints.optimizer_tensors(optimizer)),
        "loss_sum": torch.as_tensor(state.loss_sum),
    }
    if state.selected_confusion is not None:
        tensors["selected_confusion"] = torch.from_numpy(state.selected_confusion)
    description = {
        "code": code_hash(),
        "status": state.status,
        "step": state.step,
        "curve": [asdict(point) for point in state.curve],
        "selected": state.selected,
        "training_seconds": state.training_seconds,
        "evaluation_seconds": state.evaluation_seconds,
        "gradient_seconds": state.gradient_seconds,
        "unreadable": state.unreadable,
    }
    checkpoints.save_weights(path, tensors, description)


def load_state(
    path: Path,
    state: Trained,
    model: nn.Module,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    world: World,
) -> None:
    """Bring state, model, method and optimiser to where the checkpoint left them.

    Rank 0 reads it for all. Nothing happens without a checkpoint of this code.

    Errors: `StoreError` if it cannot be read; `ModelError` if it is of another model.
    """
    found = world.from_first(lambda: _checkpoint(path))
    if found is None:
        return
    tensors, description = found
    checkpoints.put_weights(model, checkpoints.under_prefix("model", tensors))
    objective.load_state_dict(checkpoints.under_prefix("method", tensors))
    checkpoints.put_optimizer_tensors(optimizer, checkpoints.under_prefix("optimizer", tensors))
    state.status = description["status"]
    state.step = description["step"]
    state.curve = _CURVE.validate_python(description["curve"])
    state.selected = description["selected"]
    state.training_seconds = description["training_seconds"]
    state.evaluation_seconds = description["evaluation_seconds"]
    state.gradient_seconds = description["gradient_seconds"]
    state.earlier_seconds = (
        state.training_seconds + state.evaluation_seconds + state.gradient_seconds
    )
    state.unreadable = description["unreadable"]
    state.loss_sum = tensors["loss_sum"].item()
    state.selected_weights = checkpoints.under_prefix("selected", tensors)
    if "selected_confusion" in tensors:
        state.selected_confusion = tensors["selected_confusion"].numpy()


def _checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Return the checkpoint at `path`, unless there is none or other code wrote it."""
    if not path.exists():
        return None
    tensors, description = checkpoints.load_weights(path)
    if description.get("code") != code_hash():
        _log.warning("%s is of another version of this package; starting again", path)
        return None
    return tensors, description
