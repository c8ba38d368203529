"""Mixup."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from dilute.methods.cross_entropy import cross_entropy
from dilute.methods.method import Method, Objective, TensorBatch
from dilute.methods.observed import Observed


class Mixup(Method):
    """Train on convex combinations of two images and of their targets. Needs nothing but labels.

    It predicts noisy labels.

    Source: Zhang et al. 2018, *mixup: Beyond Empirical Risk Minimization*. Raw inputs are mixed,
        which is the same as mixing scaled ones, in float32.
    """

    title: ClassVar[str] = "mixup"
    predicts_clean: ClassVar[bool] = False
    concentration: float = Field(
        default=1.0,
        ge=0.01,
        description="of the mixing share's Beta distribution (the paper's alpha)",
    )

    def make_objective(self, observed: Observed, model: nn.Module, seed: int) -> Objective:  # noqa: ARG002
        """Return the loss on mixed batches; see `Method.objective`."""
        return _Mixed(self.concentration)


class _Mixed(Objective):
    def __init__(self, concentration: float) -> None:
        super().__init__()
        self._share = torch.distributions.Beta(concentration, concentration)

    def forward(self, model: nn.Module, batch: TensorBatch) -> Tensor:
        """Return the cross-entropy of a batch mixed with itself in another order."""
        share = float(self._share.sample())
        other = torch.randperm(len(batch.targets)).to(batch.targets.device)

        def mixed(values: Tensor) -> Tensor:
            return share * values + (1 - share) * values[other]

        logits = model(mixed(batch.inputs.float()))
        return cross_entropy(logits, mixed(batch.targets * batch.weights[:, None])).mean()


METHODS = {"mixup": Mixup}
