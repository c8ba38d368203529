"""Method, batch size, labels per visit, learning rate and length of training, from a short measurement at hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from dilute.advice.method_choice import choose_method, preparation_seconds
from dilute.advice.power_laws import AdviceLaw, read_law, warmup_steps
from dilute.dilution import Copies, NoisySet, Visits
from dilute.errors import SpecError
from dilute.gradients import Interval, Sampling, class_scales
from dilute.pilot import step_seconds
from dilute.runs import RunRecord, RunSpec, fresh_model
from dilute.training import Recipe

SMALLEST_BATCH, LARGEST_BATCH = 16, 1024
_FEWEST_STEPS = 100
_TIMED_BATCHES = (16, 256)
_TIMED_STEPS, _TIMED_SECONDS = 12, 3.0
_LEAST_SHARE = 0.05
_NOISE_BATCHES = 128
DEFAULT_IMAGES, _MORE_TIMES = 8192, 4
_ALIKE = ("batch_size", "budget_steps", "budget_epochs", "budget_examples", "warmup_steps", "seed")


@dataclass(frozen=True)
class Timing:
    """What a step costs here: `step_seconds + batch · image_seconds`."""

    step_seconds: float
    image_seconds: float

    def seconds(self, batch_size: int, steps: float) -> float:
        """Return what so many steps take."""
        return steps * (self.step_seconds + batch_size * self.image_seconds)


@dataclass(frozen=True)
class Advice:
    """How to train, and why.

    Attributes:
        method: how to learn from the labels; method_seconds: what it takes here before the first step.
        copies: labels per visit.
        batch_size: visits per step.
        learning_rate: peak of AdamW's, which falls linearly to zero; its interval holds the best rate of
            a new setting in 95 of 100 cases, as far as those of the fit tell.
        steps: how many, with the interval of the same kind.
        seconds: what they take here.
        noise_scale: of visits with so many labels, in visits; label_noise_scale: of single labels.
        timing: of a step.
        num_runs: stored runs that the learning rate rests on; 0 if on the fitted law alone.
        reasons: a sentence for each choice.
    """

    method: str
    method_seconds: float
    copies: Copies
    batch_size: int
    learning_rate: Interval
    steps: Interval
    seconds: float
    noise_scale: Interval
    label_noise_scale: Interval
    timing: Timing
    num_runs: int
    reasons: dict[str, str]

    def recipe(self) -> Recipe:
        """Return the advice as a recipe."""
        steps = round(self.steps.value or 1)
        return Recipe(
            method=self.method,
            copies=self.copies,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate.value,
            warmup_steps=warmup_steps(steps),
            budget_steps=steps,
        )


def advise(
    model: str,
    noisy: NoisySet,
    *,
    runs: Iterable[RunRecord] = (),
    num_images: int = DEFAULT_IMAGES,
    seed: int = 0,
    device: torch.device | None = None,
    law: AdviceLaw | None = None,
    on_progress: Callable[[str], object] = lambda text: None,
) -> Advice:
    """Return how to train `model` on `noisy`: from the noise scale before the first step, and the time of a step.

    Arguments:
        model: a name or `module:callable`.
        noisy: the set; with `alpha = 0`, labels as they are, however noisy.
        runs: records of runs on the same data, model and noise (see `like`), if there are some: where they
            tried learning rates, the best by held-out likelihood counts more than the law.
        num_images: images that the gradient is taken over; four times as many if noise hides it.
        seed: of the network and of what is looked at.
        device: the CPU if None.
        law: the one that this package comes with if None.
        on_progress: told what is measured next.

    Errors: `SpecError` if the noise hides the gradient; those of `class_scales`.
    """
    device = device or torch.device("cpu")
    law = law or read_law()
    network = fresh_model(model, noisy, seed, device)
    timing = time_steps(network, noisy, device, on_progress)
    network = fresh_model(model, noisy, seed, device)
    for images in (num_images, _MORE_TIMES * num_images):
        single, grouped = class_scales(
            network,
            noisy,
            copies=(1, "all"),
            sampling=_sampling(noisy, images),
            seed=seed,
            device=device,
            on_progress=on_progress,
        )
        if grouped.high is not None:
            break
        on_progress(f"the gradient of {images:,} images is hidden by noise")
    labels_per_visit = Visits(noisy, "all", seed).examples_per_visit
    chosen = grouped if labels_per_visit > 1 else single
    scale = chosen.value
    if scale is None or chosen.high is None:
        raise SpecError(
            f"the gradient of {images:,} images is hidden by noise; look at more of them"
        )
    batch_size = _batch_size(scale, timing, law)
    needed = law.num_images(batch_size, scale)
    steps = Interval(
        *(max(1.0, math.ceil(needed * factor / batch_size)) for factor in _around(law.images.bound))
    )
    method, why_method = choose_method(noisy)
    rate, num_runs, why = _learning_rate(batch_size, scale, law, runs)
    return Advice(
        method=method,
        method_seconds=preparation_seconds(method, model, noisy, device, on_progress),
        copies="all" if labels_per_visit > 1 else 1,
        batch_size=batch_size,
        learning_rate=rate,
        steps=steps,
        seconds=timing.seconds(batch_size, steps.value or 0),
        noise_scale=chosen,
        label_noise_scale=single,
        timing=timing,
        num_runs=num_runs,
        reasons={
            "method": why_method,
            "copies": _why_copies(noisy, labels_per_visit, single, grouped),
            "batch_size": _why_batch(batch_size, scale, timing),
            "learning_rate": why,
            "steps": _why_steps(scale, law),
        },
    )


def like(spec: RunSpec, records: Iterable[RunRecord]) -> list[RunRecord]:
    """Return the finished runs on the data, model and noise of `spec`, with AdamW falling to zero."""
    names = ("data", "model", "alpha", "rate", "noise", "noisy_images", "num_clean", "method")
    fixed = {"optimizer": "adamw", "schedule": "linear"}
    wanted = {**spec.canonical(), **fixed}
    return [
        record
        for record in records
        if record.status == "done"
        and all(record.spec.get(name) == wanted.get(name) for name in (*names, *fixed))
    ]


def time_steps(
    model: nn.Module,
    noisy: NoisySet,
    device: torch.device,
    on_progress: Callable[[str], object] = lambda text: None,
) -> Timing:
    """Return what a step of training costs, from a few of two batch sizes. `model` is trained a little.

    Errors: those of `train`.
    """
    times = []
    for size in _TIMED_BATCHES:
        on_progress(f"the time of a step of {size} images")
        recipe = Recipe(batch_size=size, budget_steps=_TIMED_STEPS, curve_points=1)
        times.append(step_seconds(model, noisy, recipe, device, most_seconds=_TIMED_SECONDS))
    small, large = _TIMED_BATCHES
    # Of tiny networks and on busy machines the two times are alike, and their difference may be anything.
    per_image = max((times[1] - times[0]) / (large - small), _LEAST_SHARE * times[1] / large)
    return Timing(max(times[0] - small * per_image, _LEAST_SHARE * times[0]), per_image)


def _sampling(noisy: NoisySet, num_images: int) -> Sampling:
    """Return how to look at so many images, in batches no larger than half of the set."""
    size = max(1, min(num_images // Sampling.signal_batches, noisy.n // 2))
    return Sampling(signal_batch_size=size, noise_batches=_NOISE_BATCHES)


def _batch_size(scale: float, timing: Timing, law: AdviceLaw) -> int:
    """Return the power of two that reaches a given accuracy in the least time.

    A batch b needs images in proportion to `1 + b/scale`, each at `step_seconds/b + image_seconds`;
    the product is least at `sqrt(scale · step_seconds / image_seconds)`.
    """
    best = math.sqrt(scale * timing.step_seconds / timing.image_seconds)
    size: int = 2 ** round(math.log2(max(best, 1)))
    size = min(max(size, SMALLEST_BATCH), LARGEST_BATCH)
    while size > SMALLEST_BATCH and law.num_images(size, scale) / size < _FEWEST_STEPS:
        size //= 2
    return size


def _learning_rate(
    batch_size: int, scale: float, law: AdviceLaw, runs: Iterable[RunRecord]
) -> tuple[Interval, int, str]:
    """Return the rate with its interval, how many stored runs it rests on, and why."""
    by_law = law.learning_rate(batch_size, scale)
    tried = _tried_rates(runs)
    if not tried:
        why = (
            f"the best rate goes as (1 + noise scale / batch)^{law.rate.power:.2f}, by {law.rate.num_points} settings that "
            f"were tuned; another setting's may differ by a factor of {law.rate.bound:.1f}"
        )
        return Interval(*(by_law * factor for factor in _around(law.rate.bound))), 0, why
    # The batch size nearest to the advised one.
    size = min(tried, key=lambda size: abs(math.log(size / batch_size)))
    rates = tried[size]
    best = min(rates, key=lambda rate: rates[rate])
    moved = by_law / law.learning_rate(size, scale)
    ordered = sorted(rates)
    place = ordered.index(best)
    low, high = ordered[place - 1] * moved, ordered[place + 1] * moved
    why = (
        f"{len(rates)} stored runs with batches of {size} learned most at {best:g}, "
        + (f"which goes with the batch as {best * moved:.2g}; " if size != batch_size else "")
        + f"the law alone says {by_law:.2g}"
    )
    return Interval(best * moved, low, high), len(rates), why


def _tried_rates(runs: Iterable[RunRecord]) -> dict[int, dict[float, float]]:
    """Return held-out NLL by batch size and learning rate, where rates on both sides of the best were tried.

    Rates are compared between runs that are equal in all else; their visits use all labels of an image.
    """
    found: dict[tuple[Any, ...], dict[float, float]] = {}
    for record in runs:
        nlls = [point.heldout_nll for point in record.curve if point.heldout_nll is not None]
        if nlls and record.spec["copies"] == "all":
            kind = tuple(record.spec.get(name) for name in _ALIKE)
            found.setdefault(kind, {})[record.spec["learning_rate"]] = min(nlls)
    return {
        kind[0]: rates
        for kind, rates in found.items()
        if min(rates) < min(rates, key=lambda rate: rates[rate]) < max(rates)
    }


def _around(bound: float) -> tuple[float, float, float]:
    return 1.0, 1 / bound, bound


def _why_copies(
    noisy: NoisySet, labels_per_visit: float, single: Interval, grouped: Interval
) -> str:
    if labels_per_visit <= 1:
        return "every image has one label"
    ratio = (single.value or math.nan) / (grouped.value or math.nan)
    return (
        f"all {labels_per_visit:.3g} labels of an image cost one pass and have {ratio:.3g} times less noise over signal "
        f"than one of them ({noisy.num_clean / len(noisy):.1%} of the labels are clean)"
    )


def _why_batch(batch_size: int, scale: float, timing: Timing) -> str:
    images = timing.step_seconds / timing.image_seconds
    best = math.sqrt(scale * images)
    return (
        f"the noise scale is {scale:,.0f} visits and a step costs as much as {images:.3g} images besides its own: the "
        f"least time is near the root of their product, {best:,.0f}"
        + (
            ""
            if 0.5 < batch_size / best < 2
            else f", within {SMALLEST_BATCH} to {LARGEST_BATCH} and {_FEWEST_STEPS} steps"
        )
    )


def _why_steps(scale: float, law: AdviceLaw) -> str:
    beyond = (
        ""
        if law.images.lowest <= scale <= law.images.highest
        else (
            f"; the noise scale is outside what was fitted ({law.images.lowest:,.0f} to {law.images.highest:,.0f})"
        )
    )
    return (
        f"{law.learned_fraction:.0%} of what long training learns, by {law.images.num_points} settings; another setting's may "
        f"differ by a factor of {law.images.bound:.1f}{beyond}"
    )
