"""Bootstrapping: targets that mix labels with what the network believes."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor
from torch.nn import functional

from dilute.methods.cross_entropy import cross_entropy
from dilute.methods.method import LossMethod


class BootstrapSoft(LossMethod):
    """Mix the target with the network's own prediction. Needs nothing but labels.

    It assumes that the network is right about most images before it has fitted the noise.

    Source: Reed et al. 2015, *Training Deep Neural Networks on Noisy Labels with Bootstrapping*,
        equation 6; gradients flow through the prediction on both sides, as there.
    """

    title: ClassVar[str] = "bootstrapping, soft"
    beta: float = Field(
        default=0.95, gt=0, le=1, description="share of the label in the target; 1 is cross-entropy"
    )

    def losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy against `beta · target + (1 − beta) · softmax(logits)`."""
        mixed = self.beta * targets + (1 - self.beta) * logits.softmax(dim=1)
        return -(mixed * logits.log_softmax(dim=1)).sum(dim=1)


class BootstrapHard(LossMethod):
    """Mix the target with the class that the network finds likeliest. Needs nothing but labels.

    It assumes that the network is right about most images before it has fitted the noise.

    Source: Reed et al. 2015, equation 7.
    """

    title: ClassVar[str] = "bootstrapping, hard"
    beta: float = Field(
        default=0.8, gt=0, le=1, description="share of the label in the target; 1 is cross-entropy"
    )

    def losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return cross-entropy against `beta · target + (1 − beta) · one-hot(argmax logits)`."""
        likeliest = functional.one_hot(logits.argmax(dim=1), logits.shape[1])
        return cross_entropy(logits, self.beta * targets + (1 - self.beta) * likeliest)


METHODS = {"bootstrap_soft": BootstrapSoft, "bootstrap_hard": BootstrapHard}
