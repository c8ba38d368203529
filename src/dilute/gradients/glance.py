"""A quick measurement of the gradient during training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from dilute.dilution import Visits
from dilute.gradients import moments
from dilute.gradients.moments import Interval
from dilute.gradients.probe import WHOLE, Probe, drawn
from dilute.methods import Loss

_SIGNAL_BATCHES, _NOISE_BATCHES = 8, 16


@dataclass(frozen=True)
class GradientPoint:
    """The gradient at one point of a run.

    Attributes:
        length: `|G|`, the length of the mean gradient; None where the estimate of its square is not
            above 0.
        noise_scale: `tr(S)/|G|²` of visits as the run makes them, in visits.
        label_noise_scale: the same for visits to single labels.
    """

    length: float | None
    noise_scale: Interval
    label_noise_scale: Interval


def glance(
    model: nn.Module,
    visits: Visits,
    loss_of: Loss,
    *,
    num_images: int,
    seed: int,
    device: torch.device,
) -> GradientPoint:
    """Return length and noise scale of the gradient.

    They are estimated from about `num_images` images and a few single visits.

    Arguments:
        model: maps raw inputs to logits; nothing in it changes.
        visits: what training sees.
        loss_of: what training minimises; linear in its target, as cross-entropy is.
        num_images: for the mean gradient; at least 8 are taken.
        seed: of the images, and of randomness inside the model.
        device: where the model is.
    """
    probe = Probe(model, loss_of, device, seed)
    size = max(1, num_images // _SIGNAL_BATCHES)
    of_law = Visits(visits.noisy, "expected", seed)
    means = probe.gradients(drawn(of_law, _SIGNAL_BATCHES, size, "signal")).double()
    gram = (means @ means.T).numpy()

    def noise_scale(kind: Visits) -> Interval:
        batches = drawn(kind, _NOISE_BATCHES, probe.smallest_batch, "visits")
        squares = probe.squared_lengths(batches)[WHOLE]
        return moments.noise(squares, probe.smallest_batch, gram).scale

    own = noise_scale(Visits(visits.noisy, visits.copies, seed))
    return GradientPoint(
        length=moments.length(gram),
        noise_scale=own,
        label_noise_scale=own if visits.copies == 1 else noise_scale(Visits(visits.noisy, 1, seed)),
    )
