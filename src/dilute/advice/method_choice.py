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
_MOST_POOLED = 200_000
_FEWEST_IMAGES, _FEWEST_FEATURES = 200, 500
_TIMED_IMAGES, _TIMED_NEIGHBOURS = 1000, 4000


def choose_method(noisy: NoisySet) -> tuple[str, str]:
    """Return the method that was best where labels were like these (docs/methods.md), and why.

    Of planted noise it takes nothing to be known. Of labels as given it takes the law of labels, or
    of each annotator's, that the set has.
    """
    if len(noisy.blocks) > 1:
        return PLAIN, "noisy labels stand beside images from elsewhere, which have no class to pool"
    is_known = not noisy.is_planted and noisy.law is not None
    knows = "known" if is_known else "estimated"
    if noisy.clean.is_streamed:
        return _without_pooling(noisy, "pooling needs all images in memory, and these are streamed")
    if noisy.num_images > _MOST_POOLED:
        return _without_pooling(
            noisy,
            f"pooling {noisy.num_images:,} images would take long, since it compares them in pairs",
        )
    is_features = not noisy.clean.is_images or len(noisy.clean.input_shape) != 3
    fewest = _FEWEST_FEATURES if is_features else _FEWEST_IMAGES
    if noisy.num_images < fewest:
        return PLAIN, (
            f"{noisy.num_images} inputs are too few to pool their labels: below {fewest} plain "
            "training was ahead where no label was wrong (docs/methods.md)"
        )
    labels_per_image = len(noisy) / noisy.num_images
    labels = f"{labels_per_image:.3g} label{'s' if labels_per_image > 1 else ''}"
    if is_features:
        return f"neighbours_{knows}", (
            f"with {labels} an input, labels pooled over neighbours were level with plain training "
            "where no label was wrong, and ahead of it where many were (docs/methods.md)"
        )
    return f"patches_{knows}", (
        f"with {labels} an image, labels pooled over images that look alike were level with plain "
        "training where no label was wrong, and ahead of it where many were (docs/methods.md)"
    )


def _without_pooling(noisy: NoisySet, why: str) -> tuple[str, str]:
    """Return the method where labels cannot be pooled, and why."""
    if noisy.is_planted:
        return PLAIN, why
    if noisy.law is None:
        return "sce", f"{why}; without pooling sce does well where labels may be wrong"
    several = len(noisy) > noisy.num_images
    return "em_known" if several else "forward_known", (
        f"{why}; without it the law of the labels can be used in the loss"
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
