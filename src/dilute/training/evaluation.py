"""How good a model is on labels, clean or noisy."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from dilute.dilution import NoisySet, in_order

_BATCH_SIZE = 500


@dataclass(frozen=True)
class Score:
    """Means over labels.

    Attributes:
        nll: negative log-likelihood per label, in nats.
        accuracy: share of labels that are the predicted class, 0 to 1.
        num_labels: how many labels the means are over.
    """

    nll: float
    accuracy: float
    num_labels: int


def evaluate(model: nn.Module, labels: NoisySet, device: torch.device) -> Score:
    """Return the model's score on all labels of `labels` (a set at `alpha = 0` has the clean ones alone)."""
    was_training = model.training
    model.eval()
    log_likelihood, hits, num_labels = 0.0, 0, 0
    with torch.inference_mode():
        for inputs, counts in in_order(labels, _BATCH_SIZE):
            logits = (
                model(torch.from_numpy(inputs).to(device)).cpu().double()
            )  # not every device has doubles
            seen = torch.from_numpy(counts)
            log_likelihood += float((functional.log_softmax(logits, dim=1) * seen).sum())
            hits += int(seen.gather(1, logits.argmax(dim=1, keepdim=True)).sum())
            num_labels += int(counts.sum())
    model.train(was_training)
    return Score(-log_likelihood / num_labels, hits / num_labels, num_labels)
