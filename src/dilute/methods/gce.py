"""Generalised cross-entropy."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from dilute.methods.method import LossMethod


class GCE(LossMethod):
    """Generalised cross-entropy: between cross-entropy and half the mean absolute error.

    Needs nothing but labels.

    Source: Zhang and Sabuncu 2018, *Generalized Cross Entropy Loss for Training Deep Neural
        Networks with Noisy Labels*, equation 6, without truncation.
    """

    title: ClassVar[str] = "GCE"
    q: float = Field(
        default=0.7,
        gt=0,
        le=1,
        description="from cross-entropy (near 0) to half the MAE (1); more is more robust",
    )

    def losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return `Σ target · (1 − softmax(logits)^q) / q`."""
        powers = (self.q * logits.log_softmax(dim=1)).exp()
        return (targets * (1 - powers)).sum(dim=1) / self.q


METHODS = {"gce": GCE}
