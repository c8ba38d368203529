"""Early-learning regularisation."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from dilute.methods.cross_entropy import cross_entropy
from dilute.methods.method import Method, Objective, TensorBatch, weighted_mean
from dilute.methods.observed import Observed


class ELR(Method):
    """Early-learning regularisation: hold the network to what it said of an image before.

    Needs nothing but labels, and visits that come back. It assumes that networks learn what is
    right first: a running mean of the predictions for each image is the target of a regulariser,
    which keeps later steps from fitting that image's noise.

    Source: Liu et al. 2020, *Early-Learning Regularization Prevents Memorization of Noisy Labels*,
        equation 6, with its values for CIFAR-10.
    """

    title: ClassVar[str] = "ELR"
    weight: float = Field(
        default=3.0, ge=0, description="weight of the regulariser (the paper's lambda)"
    )
    memory: float = Field(
        default=0.7,
        ge=0,
        lt=1,
        description="share of the running mean that a visit keeps (the paper's beta)",
    )

    def make_objective(self, observed: Observed, model: nn.Module, seed: int) -> Objective:  # noqa: ARG002
        """Return the regularised loss; see `Method.objective`."""
        return _Regularised(self.weight, self.memory, observed.num_images, observed.num_classes)


class _Regularised(Objective):
    believed: Tensor

    def __init__(self, weight: float, memory: float, num_images: int, num_classes: int) -> None:
        super().__init__()
        self._weight, self._memory = weight, memory
        self.register_buffer("believed", torch.zeros(num_images, num_classes))

    def forward(self, model: nn.Module, batch: TensorBatch) -> Tensor:
        """Return cross-entropy plus `weight · log(1 − ⟨prediction, its running mean⟩)`."""
        logits = model(batch.inputs)
        predicted = logits.softmax(dim=1).clamp(1e-4, 1 - 1e-4)
        with torch.no_grad():
            now = predicted / predicted.sum(dim=1, keepdim=True)
            mean = self._memory * self.believed[batch.images] + (1 - self._memory) * now
            # An image may be there twice.
            images, place = torch.unique(batch.images, return_inverse=True)
            sums = torch.zeros_like(mean[: len(images)]).index_add_(0, place, mean)
            self.believed[images] = sums / place.bincount()[:, None]
        agreement = (mean * predicted).sum(dim=1).clamp(max=1 - 1e-4)
        losses = cross_entropy(logits, batch.targets) + self._weight * torch.log1p(-agreement)
        return weighted_mean(losses, batch)


METHODS = {"elr": ELR}
