"""Symmetric cross-entropy."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from dilute.methods.cross_entropy import cross_entropy
from dilute.methods.method import LossMethod


class SCE(LossMethod):
    """Symmetric cross-entropy: both ways between label and prediction. Needs nothing but labels.

    Reverse cross-entropy, of the label against the prediction, is robust.

    Source: Wang et al. 2019, *Symmetric Cross Entropy for Robust Learning with Noisy Labels*,
        with its values for CIFAR-10.
    """

    title: ClassVar[str] = "SCE"
    forward_weight: float = Field(
        default=0.1, ge=0, description="weight of cross-entropy (the paper's alpha)"
    )
    reverse_weight: float = Field(
        default=1.0, ge=0, description="weight of reverse cross-entropy (the paper's beta)"
    )
    log_zero: float = Field(
        default=-4.0, lt=0, description="logarithm of 0 in reverse cross-entropy (the paper's A)"
    )

    def losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the weighted sum.

        Of a single label y, reverse cross-entropy is `−log_zero · (1 − p_y)`.
        """
        reverse = -self.log_zero * (1 - (targets * logits.softmax(dim=1)).sum(dim=1))
        return self.forward_weight * cross_entropy(logits, targets) + self.reverse_weight * reverse


METHODS = {"sce": SCE}
