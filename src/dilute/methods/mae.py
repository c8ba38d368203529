"""Mean absolute error."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from dilute.methods.method import LossMethod


class MAE(LossMethod):
    """Mean absolute error between label and prediction, over classes. Needs nothing but labels.

    Its sum over all possible labels is the same whatever the prediction: under uniform noise its
    minimum is that of clean labels. Images that the network is wrong about hardly move it, so
    that it learns slowly.

    Source: Ghosh, Kumar and Sastry 2017, *Robust Loss Functions under Label Noise for Deep Neural
        Networks*.
    """

    title: ClassVar[str] = "MAE"

    def losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return `2 − 2 · Σ target · softmax(logits)`.

        It is the L1 distance from a single label, averaged over labels.
        """
        return 2 - 2 * (targets * logits.softmax(dim=1)).sum(dim=1)


METHODS = {"mae": MAE}
