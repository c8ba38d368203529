"""Where training stands: what was measured, what is resumed from, and both in one file."""

from __future__ import annotations

import logging
import time
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
_EVERY_SECONDS = 60.0
# Of the state, what a checkpoint describes as it is.
_PLAIN_FIELDS = (
    "status",
    "step",
    "selected",
    "training_seconds",
    "evaluation_seconds",
    "gradient_seconds",
    "unreadable",
)


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


@dataclass
class Checkpoint:
    """The file that a training goes on from.

    Arguments:
        path: the file.
        state, model, objective, optimizer: what changes from step to step, which it holds.
        world: rank 0 writes it, and reads it for all.
        every_steps: how often it is written; every minute if None.
        average: the average of the model's weights, where there is one.

    Errors: `StoreError` if it cannot be written.
    """

    path: Path
    state: Trained
    model: nn.Module
    objective: Objective
    optimizer: torch.optim.Optimizer
    world: World
    every_steps: int | None = None
    average: nn.Module | None = None
    _saved_at: float = field(init=False, default=0.0)

    def load(self) -> None:
        """Bring state, model, method and optimiser to where the file left them.

        Nothing happens without a file of this code.

        Errors: `StoreError` if it cannot be read; `ModelError` if it is of another model.
        """
        found = self.world.from_first(self._read)
        self._saved_at = time.monotonic()
        if found is None:
            return
        tensors, description = found
        checkpoints.put_weights(self.model, checkpoints.under_prefix("model", tensors))
        if self.average is not None:
            checkpoints.put_weights(self.average, checkpoints.under_prefix("average", tensors))
        self.objective.load_state_dict(checkpoints.under_prefix("method", tensors))
        checkpoints.put_optimizer_tensors(
            self.optimizer, checkpoints.under_prefix("optimizer", tensors)
        )
        state = self.state
        for name in _PLAIN_FIELDS:
            setattr(state, name, description[name])
        state.earlier_seconds = (
            state.training_seconds + state.evaluation_seconds + state.gradient_seconds
        )
        state.curve = _CURVE.validate_python(description["curve"])
        state.loss_sum = tensors["loss_sum"].item()
        state.selected_weights = checkpoints.under_prefix("selected", tensors)
        if "selected_confusion" in tensors:
            state.selected_confusion = tensors["selected_confusion"].numpy()

    def save_if_due(self, stops: bool) -> None:
        """Write the file if it is time to, or if training `stops` now."""
        if stops:
            self.world.from_first(self._write)  # all end when it is written
        elif self.world.is_first and self._is_due():
            self._write()
            self._saved_at = time.monotonic()

    def _is_due(self) -> bool:
        if self.every_steps is not None:
            return self.state.step % self.every_steps == 0
        return time.monotonic() - self._saved_at > _EVERY_SECONDS

    def _write(self) -> None:
        state = self.state
        tensors = {
            **checkpoints.with_prefix("model", self.model.state_dict()),
            **checkpoints.with_prefix("method", self.objective.state_dict()),
            **checkpoints.with_prefix("selected", state.selected_weights),
            **checkpoints.with_prefix("optimizer", checkpoints.optimizer_tensors(self.optimizer)),
            "loss_sum": torch.as_tensor(state.loss_sum),
        }
        if self.average is not None:
            tensors |= checkpoints.with_prefix("average", self.average.state_dict())
        if state.selected_confusion is not None:
            tensors["selected_confusion"] = torch.from_numpy(state.selected_confusion)
        description = {
            "code": code_hash(),
            "curve": [asdict(point) for point in state.curve],
            **{name: getattr(state, name) for name in _PLAIN_FIELDS},
        }
        checkpoints.save_weights(self.path, tensors, description)

    def _read(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return what the file holds, unless there is none or other code wrote it."""
        if not self.path.exists():
            return None
        tensors, description = checkpoints.load_weights(self.path)
        if description.get("code") != code_hash():
            _log.warning("%s is of another version of this package; starting again", self.path)
            return None
        return tensors, description
