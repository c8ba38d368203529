"""Label smoothing."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from dilute.methods.cross_entropy import cross_entropy
from dilute.methods.method import LossMethod


class LabelSmoothing(LossMethod):
    """Mix every target with the uniform distribution. Needs nothing but labels.

    It predicts noisy labels, smoothed.

    Source: Szegedy et al. 2016, *Rethinking the Inception Architecture*, section 7; for noisy
        labels Lukasik et al. 2020, *Does Label Smoothing Mitigate Label Noise?*
    """

    title: ClassVar[str] = "label smoothing"
    predicts_clean: ClassVar[bool] = False
    epsilon: float = Field(
        default=0.1, ge=0, lt=1, description="share of the uniform distribution in the target"
    )

    def losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy against `(1 − epsilon) · target + epsilon / K`."""
        smooth = (1 - self.epsilon) * targets + self.epsilon / targets.shape[1]
        return cross_entropy(logits, smooth)


METHODS = {"label_smoothing": LabelSmoothing}
