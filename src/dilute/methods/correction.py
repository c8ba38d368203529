"""Forward and backward correction: the loss seen through the noise matrix."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from dilute.errors import SpecError
from dilute.methods.cross_entropy import cross_entropy
from dilute.methods.looking import look_steps, probabilities
from dilute.methods.matrices import MatrixMethod, anchor_law
from dilute.methods.method import Objective, TensorBatch, as_tensor, weighted_mean
from dilute.methods.observed import Observed

_Direction = Literal["forward", "backward"]
_WORST_CONDITION = 1e6


class _Correction(MatrixMethod):
    direction: ClassVar[_Direction]
    only_estimated: ClassVar[frozenset[str]] = frozenset({"quantile"})
    quantile: float = Field(
        default=0.97,
        gt=0,
        le=1,
        description="image that a row is read off: its quantile of the class's probability",
    )

    @property
    def looks(self) -> int:
        """Once, to estimate the matrix; never if it is known."""
        return 1 if self.estimates else 0

    def make_objective(self, observed: Observed, model: nn.Module, seed: int) -> Objective:  # noqa: ARG002
        """Return the corrected loss, from half of the training on if the matrix is estimated."""
        if self.estimates:
            return _Corrected(self.direction, observed.num_classes, observed, self.quantile)
        objective = _Corrected(self.direction, observed.num_classes)
        objective.put_law(self.given_law(observed))
        return objective


class Forward(_Correction):
    """Cross-entropy of the noisy labels that the predicted class would give.

    The network predicts true labels, and the matrix turns them into noisy ones: with the true
    matrix the minimum over all functions is that of clean labels.

    An estimated matrix needs nothing but labels. Half of the training is cross-entropy; then each
    class's row is what the network predicts for an image that it is nearly surest of, and
    training goes on with the correction. It assumes that every class has images whose noisy
    labels the network predicts well.

    Source: Patrini et al. 2017, *Making Deep Neural Networks Robust to Label Noise: a Loss
        Correction Approach*, theorem 2; estimation: section 3.3, which trains anew, where here
        training goes on.
    """

    title: ClassVar[str] = "forward correction"
    direction: ClassVar[_Direction] = "forward"


class Backward(_Correction):
    """The combination of losses whose mean over noisy labels is the clean loss.

    It is unbiased, and its variance grows as the matrix becomes hard to invert; losses can be
    negative without bound. A known matrix must have an inverse; it is estimated as in `Forward`.

    Source: Patrini et al. 2017, theorem 1 and sections 3.1 and 3.3; Natarajan et al. 2013.
    """

    title: ClassVar[str] = "backward correction"
    direction: ClassVar[_Direction] = "backward"


class _Corrected(Objective):
    """Cross-entropy until there is a matrix, then the corrected loss."""

    law: Tensor
    inverse: Tensor
    has_law: Tensor

    def __init__(
        self,
        direction: _Direction,
        num_classes: int,
        observed: Observed | None = None,
        quantile: float = 1.0,
    ) -> None:
        super().__init__()
        self._direction, self._observed, self._quantile = direction, observed, quantile
        self.register_buffer("law", torch.eye(num_classes))
        self.register_buffer("inverse", torch.eye(num_classes))
        self.register_buffer("has_law", torch.tensor(False))

    def put_law(self, law: NDArray[np.float64]) -> None:
        """Correct by this law (float64 `[K, K]`) from now on.

        Of an estimated one without inverse the pseudo-inverse serves.

        Errors: `SpecError` if a known one has no inverse where one is needed.
        """
        if self._direction == "backward":
            condition = float(np.linalg.cond(law))
            if self._observed is None and not condition < _WORST_CONDITION:
                raise SpecError(
                    "backward correction needs the inverse of the noise matrix, whose condition "
                    f"number is {condition:.1g}; take forward correction"
                )
            self.inverse.copy_(as_tensor(np.linalg.pinv(law)))
        self.law.copy_(as_tensor(law))
        self.has_law.fill_(True)

    def before_step(self, step: int, num_steps: int, model: nn.Module) -> None:
        """Estimate the matrix, at half of the training."""
        if self._observed is not None and step in look_steps(num_steps, 1):
            predicted = probabilities(model, self._observed).numpy()
            self.put_law(anchor_law(predicted, self._quantile))

    def forward(self, model: nn.Module, batch: TensorBatch) -> Tensor:
        """Return the corrected mean loss."""
        logits = model(batch.inputs)
        if not self.has_law:
            return weighted_mean(cross_entropy(logits, batch.targets), batch)
        if self._direction == "forward":
            noisy = (logits.softmax(dim=1) @ self.law + 1e-12).log()
            losses = -(batch.targets * noisy).sum(dim=1)
        else:
            losses = -((batch.targets @ self.inverse) * logits.log_softmax(dim=1)).sum(dim=1)
        return weighted_mean(losses, batch)


METHODS = {"forward": Forward, "backward": Backward}
