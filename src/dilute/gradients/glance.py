"""A quick measurement of the gradient during training."""

from __future__ import annotations

import math

import torch
from torch import nn

from dilute import seeds
from dilute.dilution import Visits
from dilute.gradients import moments
from dilute.gradients.probe import WHOLE, Probe, drawn
from dilute.methods import Loss, LossMethod
from dilute.training import Recipe, Trained
from dilute.training.curve import GradientPoint, Interval

_SIGNAL_BATCHES, _NOISE_BATCHES = 8, 16
_EVERY_STEPS, _EVERY_IMAGES, _SHARE_OF_IMAGES = 250, 32_000, 0.02


class Glances:
    """Quick measurements along a run, for `on_curve_point` of `train`.

    There is one before the first step, and then one at every so many steps.

    A glance takes about as long whatever the batch; at this distance it costs little beside the
    steps.

    Arguments:
        recipe: of the run; its method must be a loss per visit.
        device: where the model is.
    """

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        method = recipe.make_method()
        assert isinstance(method, LossMethod), method
        self._loss_of = method.losses
        self._device = device
        self._steps_between = max(_EVERY_STEPS, math.ceil(_EVERY_IMAGES / recipe.batch_size))
        self._num_images = round(_SHARE_OF_IMAGES * self._steps_between * recipe.batch_size)

    def __call__(self, state: Trained, model: nn.Module, visits: Visits) -> GradientPoint | None:
        """Return what the gradient is like now; None if the last glance was not long ago."""
        steps = [point.step for point in state.curve if point.gradient]
        if steps and state.step - steps[-1] < self._steps_between:
            return None
        return glance(
            model,
            visits,
            self._loss_of,
            num_images=self._num_images,
            seed=seeds.word(visits.seed, "glance", state.step),
            device=self._device,
        )


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
        num_images: about how many, for the mean gradient; at least 8 are taken.
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
