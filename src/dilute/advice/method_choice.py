"""Which method suits the labels at hand, and how long it takes on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from dilute.dilution import NoisySet
from dilute.methods import PLAIN, Observed, make_method
from dilute.runs import fresh_model

POOLED = "patches_estimated"
_LEAST_RATE = 0.5
_TIMED_IMAGES, _TIMED_NEIGHBOURS = 1000, 4000


def choose_method(noisy: NoisySet) -> tuple[str, str]:
    """Return the method that was best where labels were like these (docs/methods.md), and why."""
    labels_per_image = len(noisy) / noisy.num_images
    shape = noisy.clean.input_shape
    if len(noisy.blocks) > 1:
        return PLAIN, "noisy labels stand beside images from elsewhere, which have no class to pool"
    if len(shape) != 3:
        return PLAIN, "the inputs are no images, on which alone other methods were compared"
    if labels_per_image < 2 and (noisy.rate or 0.0) < _LEAST_RATE:
        return PLAIN, (
            f"with one label an image, other methods were compared from rate = {_LEAST_RATE:g} on "
            "(docs/methods.md); if yours are as noisy as that, which dilute estimate tells, take "
            f"{POOLED}"
        )
    return POOLED, (
        f"with {labels_per_image:.3g} label{'s' if labels_per_image > 1 else ''} an image, labels "
        "pooled over images that look alike beat plain training in all settings that were run "
        "(docs/methods.md); if the noise matrix is known, take patches_known"
    )


def preparation_seconds(
    name: str,
    model: str,
    noisy: NoisySet,
    device: torch.device,
    on_progress: Callable[[str], object] = lambda text: None,
) -> float:
    """Return about how long the method takes before its first step, in seconds.

    It is measured on two small parts of the set. Filters and labels take time in proportion to the
    number of images, and the search for neighbours in proportion to its square.
    """
    if name == PLAIN:
        return 0.0
    on_progress("the time of pooling labels")
    times = []
    for size in (_TIMED_IMAGES, 2 * _TIMED_IMAGES):
        part = noisy if size >= noisy.n else noisy.split(size / noisy.n, 0)[1]
        assert part is not None
        network = fresh_model(model, part, 0, device)
        started = time.perf_counter()
        objective = make_method(name).objective(Observed(part), network, 0)
        objective.before_step(0, 1, network)
        times.append(time.perf_counter() - started)
        if size >= noisy.n:
            return times[-1]
    per_image = max(times[1] - times[0], 0.0) / _TIMED_IMAGES
    return times[1] + per_image * (noisy.n - 2 * _TIMED_IMAGES) + _search_seconds(noisy.n)


def _search_seconds(num_images: int) -> float:
    """Return about how long the search for neighbours among so many images takes, in seconds."""
    from dilute.methods.graph import walk_between

    points = np.random.default_rng(0).normal(size=(_TIMED_NEIGHBOURS, 50)).astype(np.float32)
    started = time.perf_counter()
    walk_between(points, 10)
    return (time.perf_counter() - started) * (num_images / _TIMED_NEIGHBOURS) ** 2
