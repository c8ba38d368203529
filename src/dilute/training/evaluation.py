"""How good a model is on labels, clean or noisy."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from dilute.dilution import NoisySet, in_order
from dilute.errors import DataError
from dilute.world import ALONE, World

_BATCH_SIZE, _VALUES_AT_ONCE = 500, 2**24  # of large images fewer, as activations take memory
_MOST_CLASSES_WITHOUT_TOP5 = 10


@dataclass(frozen=True)
class Score:
    """Means over labels.

    Attributes:
        nll: negative log-likelihood per label, in nats.
        mixed_nll: the same of predictions that are mixed with the frequencies of the labels, in the
            share that makes it least; None if not asked for.
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
    mixed_nll: float | None = None


class Mirrored(nn.Module):
    """A network that predicts from an image and its mirror image: the mean of both probabilities.

    Arguments:
        model: maps raw images `[B, C, H, W]` to logits.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Return the logarithms of the mean probabilities, float32 `[B, K]`."""
        both = [self.model(images), self.model(images.flip(-1))]
        logs = torch.stack([functional.log_softmax(logits, dim=1) for logits in both])
        return torch.logsumexp(logs, dim=0) - math.log(len(both))


def evaluate(
    model: nn.Module,
    labels: NoisySet,
    device: torch.device,
    world: World = ALONE,
    *,
    mixes: bool = False,
) -> Score:
    """Return the model's score on all labels of `labels`.

    Arguments:
        labels: a set at `alpha = 0` has the clean labels alone.
        world: each of its ranks looks at a share of the images, and all return the same score.
        mixes: whether `mixed_nll` is wanted, which takes 12 bytes per image and class.

    Errors: `DataError` if none of the images decodes.
    """
    was_training = model.training
    model.eval()
    log_likelihood, top5_hits = 0.0, 0
    has_top5 = labels.num_classes > _MOST_CLASSES_WITHOUT_TOP5
    by_prediction = torch.zeros(labels.num_classes, labels.num_classes, dtype=torch.int64)
    # Filled in place: pieces kept from each batch would leave as much memory again unused.
    shares = [world.rows(len(block)) for block in labels.blocks]
    kept, done = sum(last - first for first, last in shares) if mixes else 0, 0
    predicted = torch.empty(kept, labels.num_classes, dtype=torch.float64)
    beside = torch.empty(kept, labels.num_classes, dtype=torch.int32)
    fitting = max(1, _VALUES_AT_ONCE // math.prod(labels.clean.input_shape))
    with torch.inference_mode():
        for inputs, counts in in_order(labels, min(_BATCH_SIZE, fitting), world.rows):
            logits = model(torch.from_numpy(inputs).to(device))
            logits = logits.cpu().double()  # not every device has doubles
            seen = torch.from_numpy(counts)
            log_probabilities = functional.log_softmax(logits, dim=1)
            log_likelihood += float((log_probabilities * seen).sum())
            if mixes:
                predicted[done : done + len(seen)] = log_probabilities.exp()
                beside[done : done + len(seen)] = seen
                done += len(seen)
            by_prediction.index_add_(0, logits.argmax(dim=1), seen)
            if has_top5:
                top5_hits += int(seen.gather(1, logits.topk(5, dim=1).indices).sum())
    model.train(was_training)
    sums = world.sum(torch.tensor([log_likelihood, top5_hits], dtype=torch.float64)).tolist()
    by_prediction = world.sum(by_prediction)
    num_labels = int(by_prediction.sum())
    if num_labels == 0:
        raise DataError(
            f"{labels.clean.name}: none of the {labels.num_images} images to evaluate the model on "
            "decodes; get the data again, or evaluate on others"
        )
    return Score(
        nll=-sums[0] / num_labels,
        accuracy=int(by_prediction.trace()) / num_labels,
        num_labels=num_labels,
        confusion=by_prediction.T.contiguous().numpy(),
        top5_accuracy=sums[1] / num_labels if has_top5 else None,
        mixed_nll=_mixed_nll(predicted[:done], beside[:done], world) if mixes else None,
    )


def _mixed_nll(predicted: Tensor, counts: Tensor, world: World) -> float:
    """Return the NLL per label of outputs mixed with the labels' frequencies at the best share.

    A network that predicts true labels is sure of what noisy ones often contradict; with the share
    that fits, its likelihood shows how much it knows of them. Every rank has the images of its
    share, and all search in step, by sums that are the same on all.

    Arguments:
        predicted: float64 `[N, K]`, N of this rank's share, which may be 0.
        counts: int32 `[N, K]`.
    """
    from scipy.optimize import minimize_scalar  # slow to import, and not for every run

    # A share that is empty is one batch. All at once, every intermediate result would be as large.
    starts = range(0, max(1, len(counts)), _BATCH_SIZE)
    batches = [(predicted[at : at + _BATCH_SIZE], counts[at : at + _BATCH_SIZE]) for at in starts]
    if world.any(not all(bool(batch.isfinite().all()) for batch, _ in batches)):
        return math.nan
    totals = world.sum(torch.stack([seen.sum(dim=0) for _, seen in batches]).sum(dim=0))
    number = int(totals.sum())
    frequencies = totals / number

    def nll(log_odds: float) -> float:
        share = 1 / (1 + math.exp(-log_odds))
        total = torch.zeros((), dtype=torch.float64)
        for batch, seen in batches:
            mixed = (share * batch + (1 - share) * frequencies).clamp_min_(1e-300)
            total += (mixed.log_() * seen).sum()
        return -float(world.sum(total)) / number

    return float(minimize_scalar(nll, bounds=(-16.0, 16.0), method="bounded").fun)
