"""Plain cross-entropy, as the paper trains."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from dilute.methods.method import LossMethod


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy of each target distribution against the softmax of its logits.

    Arguments:
        logits: float `[B, K]`.
        targets: float `[B, K]`, rows ≥ 0 that sum to 1.

    Returns: float `[B]`, in nats. It is linear in the targets, so that the loss against an image's
        label counts is the mean of the losses against its single labels.
    """
    return functional.cross_entropy(logits, targets, reduction="none")


class CrossEntropy(LossMethod):
    """Take the labels at their word. Needs nothing but labels; predicts the noisy ones.

    Where the right label is the most frequent one of its class, the likeliest label is the right
    class.
    """

    title: ClassVar[str] = "cross-entropy"
    predicts_clean: ClassVar[bool] = False

    def losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return `cross_entropy`."""
        return cross_entropy(logits, targets)


METHODS = {"cross_entropy": CrossEntropy}
