"""How good a model is on labels, clean or noisy."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from dilute.dilution import NoisySet, in_order

_BATCH_SIZE = 500
_MOST_CLASSES_WITHOUT_TOP5 = 10


@dataclass(frozen=True)
class Score:
    """Means over labels.

    Attributes:
        nll: negative log-likelihood per label, in nats.
        accuracy: share of labels that are the predicted class, 0 to 1.
        num_labels: how many labels the means are over.
        confusion: int64 `[K, K]`: how many labels there are of each class (row) on inputs of each
            predicted class (column).
        top5_accuracy: share of labels among the five classes with the highest logits, 0 to 1; None
            for up to 10 classes.
    """

    nll: float
    accuracy: float
    num_labels: int
    confusion: NDArray[np.int64] = field(repr=False, compare=False)
    top5_accuracy: float | None = None


def evaluate(model: nn.Module, labels: NoisySet, device: torch.device) -> Score:
    """Return the model's score on all labels of `labels` (a set at `alpha = 0` has the clean ones alone)."""
    was_training = model.training
    model.eval()
    log_likelihood, top5_hits = 0.0, 0
    has_top5 = labels.num_classes > _MOST_CLASSES_WITHOUT_TOP5
    by_prediction = torch.zeros(labels.num_classes, labels.num_classes, dtype=torch.int64)
    with torch.inference_mode():
        for inputs, counts in in_order(labels, _BATCH_SIZE):
            logits = (
                model(torch.from_numpy(inputs).to(device)).cpu().double()
            )  # not every device has doubles
            seen = torch.from_numpy(counts)
            log_likelihood += float((functional.log_softmax(logits, dim=1) * seen).sum())
            by_prediction.index_add_(0, logits.argmax(dim=1), seen)
            if has_top5:
                top5_hits += int(seen.gather(1, logits.topk(5, dim=1).indices).sum())
    model.train(was_training)
    num_labels = int(by_prediction.sum())
    return Score(
        nll=-log_likelihood / num_labels,
        accuracy=int(by_prediction.trace()) / num_labels,
        num_labels=num_labels,
        confusion=by_prediction.T.contiguous().numpy(),
        top5_accuracy=top5_hits / num_labels if has_top5 else None,
    )
