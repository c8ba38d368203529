"""What a method is: how it plugs into the one training loop, and what it needs to know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from dilute.errors import SpecError
from dilute.methods.observed import Observed

Loss = Callable[[Tensor, Tensor], Tensor]
"""From logits `[B, K]` and target distributions `[B, K]` to losses `[B]`."""
Uses = Literal["nothing", "known noise rate", "known matrix", "estimated matrix"]
"""What a method uses of the noise: nothing, its rate, or its matrix, known or estimated."""


class TensorBatch(NamedTuple):
    """What a `dilute.dilution.Batch` holds, on the device.

    Fields: inputs `[B, …]`, targets float32 `[B, K]`, weights float32 `[B]`, images int64 `[B]`.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor
    images: Tensor


class Objective(nn.Module):
    """What one training minimises. Its buffers are the method's state, and checkpoints keep them.

    Its own parameters, as those of a second network, are trained with the model's.
    """

    def before_step(self, step: int, num_steps: int, model: nn.Module) -> None:
        """Do what the method does between steps: step `step` of `num_steps` is the next one."""

    def forward(self, model: nn.Module, batch: TensorBatch) -> Tensor:
        """Return the loss of a batch, one number."""
        raise NotImplementedError(f"{type(self).__name__} has no function forward; write it")


class Method(BaseModel):
    """A way to learn from noisy labels; its fields are its options.

    Attributes:
        title: its name in tables, in the field's words; the class's name if not given.
        labels: what it reads: labels one by one, or the counts of an image's labels.
        uses: what it uses of the noise besides labels.
        predicts_clean: whether the trained network predicts true labels; else the noisy ones.
        networks: networks that each image goes through.
        copies: labels per visit that it is meant for: `"all"`, or 1 if it chooses among labels.
        images_from_elsewhere: whether noisy examples may be on other images than the clean ones.
        is_sum_over_rows: whether a batch's loss is the mean of what its rows give one by one, and
            leaves nothing behind; such a batch may be divided among ranks and micro-batches.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    title: ClassVar[str]
    labels: ClassVar[Literal["single labels", "counts"]] = "single labels"
    predicts_clean: ClassVar[bool] = True
    networks: ClassVar[int] = 1
    copies: ClassVar[Any] = "all"
    images_from_elsewhere: ClassVar[bool] = True
    is_sum_over_rows: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "title" not in vars(cls):
            cls.title = cls.__name__

    @property
    def uses(self) -> Uses:
        """What it uses of the noise besides labels."""
        return "nothing"

    @property
    def knows(self) -> str:
        """What it knows, in words for tables: what it uses, and how it reads labels."""
        return self.labels if self.uses == "nothing" else f"{self.uses}, {self.labels}"

    @property
    def looks(self) -> int:
        """How often it looks at all training images between steps: a pass without gradients."""
        return 0

    def objective(self, observed: Observed, model: nn.Module, seed: int) -> Objective:
        """Return what training minimises, on the CPU.

        Arguments:
            observed: what the method may see of the training set.
            model: the network to train.
            seed: of the method's own randomness.

        Errors: `SpecError` if the method cannot be used on that set.
        """
        self.check_source(observed.has_one_source)
        return self.make_objective(observed, model, seed)

    def check_source(self, has_one_source: bool) -> None:
        """Refuse noisy examples on other images, where the method cannot be used on them.

        Arguments:
            has_one_source: whether noisy examples are on the clean ones' images.

        Errors: `SpecError`.
        """
        if not (has_one_source or self.images_from_elsewhere):
            raise SpecError(
                f"{self.title} ({self.knows}) needs noisy_images = same; "
                "images from elsewhere have no true class"
            )

    def make_objective(self, observed: Observed, model: nn.Module, seed: int) -> Objective:
        """Return the objective, on a set that the method can be used on; see `objective`."""
        raise NotImplementedError(f"{type(self).__name__} has no function make_objective; write it")


class LossMethod(Method):
    """A method that is a loss per visit, linear in the target distribution.

    The loss against an image's label counts is then the mean of the losses against its single
    labels: whatever the grouping, the method sees labels one by one.
    """

    is_sum_over_rows: ClassVar[bool] = True

    def losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return float `[B]`, the loss of each visit.

        Arguments:
            logits: float `[B, K]`.
            targets: float `[B, K]`, rows ≥ 0 that sum to 1.
        """
        raise NotImplementedError(f"{type(self).__name__} has no function losses; write it")

    def make_objective(self, observed: Observed, model: nn.Module, seed: int) -> Objective:  # noqa: ARG002
        """Return the mean of the losses; see `Method.objective`."""
        return LossObjective(self.losses)


class LossObjective(Objective):
    """The mean over labels of a loss per visit."""

    def __init__(self, loss_of: Loss) -> None:
        super().__init__()
        self._loss_of = loss_of

    def forward(self, model: nn.Module, batch: TensorBatch) -> Tensor:
        """Return the mean loss over the labels of a batch."""
        return weighted_mean(self._loss_of(model(batch.inputs), batch.targets), batch)


def weighted_mean(losses: Tensor, batch: TensorBatch) -> Tensor:
    """Return the mean over labels of losses `[B]` per visit."""
    return (losses * batch.weights).mean()


def as_tensor(values: Any) -> Tensor:
    """Return float32 values on the CPU, for a buffer."""
    return torch.as_tensor(values, dtype=torch.float32)
