"""What a stranger brings along: a loss, a method with a matrix, and a noise pattern."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from dilute.methods import GCE, LossMethod, cross_entropy
from dilute.noise import NoisePattern


class PolyLoss(LossMethod):
    """Cross-entropy with more weight on its linear term.

    Source: Leng et al. 2022, *PolyLoss*, equation 4.
    """

    title: ClassVar[str] = "PolyLoss"
    epsilon: float = Field(1.0, ge=-1, description="weight of 1 − p beside cross-entropy")

    def losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        p = (targets * logits.softmax(dim=1)).sum(dim=1)
        return cross_entropy(logits, targets) + self.epsilon * (1 - p)


class Renamed(GCE):
    """A method of the package under another name, which says nothing of itself."""


class Neighbouring(NoisePattern):
    """Classes near the true one are likelier, as of grades."""

    width: float = Field(1.0, gt=0, description="how far labels stray, in classes")

    def matrix(self, num_classes: int, alpha: float) -> NDArray[np.float64]:  # noqa: ARG002
        classes = np.arange(num_classes)
        near = np.exp(-(np.abs(classes[:, None] - classes) / self.width))
        return near / near.sum(axis=1, keepdims=True)


class Broken(NoisePattern):
    """A pattern that gives no matrix of shares."""

    how: str

    def matrix(self, num_classes: int, alpha: float) -> NDArray[np.float64]:  # noqa: ARG002
        if self.how == "raises":
            raise ZeroDivisionError("on purpose")
        shape = num_classes + (self.how == "shape")
        return np.full((shape, shape), -1.0 if self.how == "negative" else 1.0)


def a_function() -> None:
    """No class at all."""
