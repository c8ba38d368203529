"""Method, batch size, labels per visit, learning rate and steps, from a short measurement."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from dilute.advice.method_choice import choose_method, preparation_seconds
from dilute.advice.power_laws import AdviceLaw, read_law, warmup_steps
from dilute.advice.timing import Timing, time_steps
from dilute.dilution import Copies, NoisySet, Visits
from dilute.errors import SpecError
from dilute.gradients import Interval, Sampling, class_scales
from dilute.runs import RunRecord, RunSpec, fresh_model
from dilute.training import Recipe

SMALLEST_BATCH, LARGEST_BATCH = 16, 1024
_FEWEST_STEPS = 100
_NOISE_BATCHES = 128
DEFAULT_IMAGES, _MORE_TIMES = 8192, 4
_ALIKE = ("batch_size", "budget_steps", "budget_epochs", "budget_examples", "warmup_steps", "seed")


@dataclass(frozen=True)
class Advice:
    """How to train, and why.

    Attributes:
        method: how to learn from the labels.
        method_seconds: how long the method takes on this machine before the first step.
        copies: labels per visit.
        batch_size: visits per step.
        learning_rate: peak rate of AdamW, which falls linearly to zero. The interval holds the best
            rate of a new data set and model in 95 of 100 cases, if it is like those of the fit.
        steps: how many steps, with an interval of the same kind.
        seconds: how long the steps take on this machine.
        noise_scale: of visits with so many labels, in visits.
        label_noise_scale: of visits with a single label, in visits.
        timing: the cost of a step.
        num_runs: how many stored runs the learning rate is taken from; 0 if from the power law
            alone.
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
    """Return how to train `model` on `noisy`.

    The advice comes from the noise scale of the gradient before the first step, from the time of a
    step, and from power laws that were fitted to many runs.

    Arguments:
        model: a name or `module:callable`.
        noisy: the set to train on; with `alpha = 0`, labels as they are, however noisy.
        runs: records of runs on the same data, model and noise (see `like`), if there are some. If
            they tried several learning rates, the best by held-out likelihood is taken instead of
            that of the power law.
        num_images: images that the gradient is taken over, 64 or more; four times as many if noise
            hides the gradient.
        seed: of the network and of the images looked at.
        device: where to measure; the CPU if None.
        law: the power laws; those that the package comes with if None.
        on_progress: called with a line of text before each measurement.

    Errors: `SpecError` if the noise hides the gradient; those of `class_scales`.
    """
    device = device or torch.device("cpu")
    law = law or read_law()
    network = fresh_model(model, noisy, seed, device)
    timing = time_steps(network, noisy, device, on_progress)
    network = fresh_model(model, noisy, seed, device)
    single, grouped, images = _noise_scales(network, noisy, num_images, seed, device, on_progress)
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
    """Return the finished runs on the data, model and noise of `spec`.

    Only those with AdamW whose learning rate falls to zero.
    """
    names = ("data", "model", "alpha", "rate", "noise", "noisy_images", "num_clean", "method")
    fixed = {"optimizer": "adamw", "schedule": "linear"}
    wanted = {**spec.canonical(), **fixed}
    return [
        record
        for record in records
        if record.status == "done"
        and all(record.spec.get(name) == wanted.get(name) for name in (*names, *fixed))
    ]


def _noise_scales(
    network: nn.Module,
    noisy: NoisySet,
    num_images: int,
    seed: int,
    device: torch.device,
    on_progress: Callable[[str], object],
) -> tuple[Interval, Interval, int]:
    """Return the noise scales of single and of all labels, and how many images they come from."""
    for images in (num_images, _MORE_TIMES * num_images):
        size = max(1, min(images // Sampling.signal_batches, noisy.n // 2))
        single, grouped = class_scales(
            network,
            noisy,
            copies=(1, "all"),
            sampling=Sampling(signal_batch_size=size, noise_batches=_NOISE_BATCHES),
            seed=seed,
            device=device,
            on_progress=on_progress,
        )
        if grouped.high is not None:
            break
        on_progress(f"the gradient of {images:,} images is hidden by noise")
    return single, grouped, images


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
    """Return the rate with its interval, from how many stored runs it is, and why."""
    by_law = law.learning_rate(batch_size, scale)
    tried = _tried_rates(runs)
    if not tried:
        why = (
            f"the best rate goes as (1 + noise scale / batch)^{law.rate.power:.2f}, by "
            f"{law.rate.num_points} settings that were tuned; another setting's may differ by a "
            f"factor of {law.rate.bound:.1f}"
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
    """Return held-out NLL by batch size and learning rate.

    Only if rates on both sides of the best were tried, in runs that are equal in all else and whose
    visits use all labels of an image.
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
        f"all {labels_per_visit:.3g} labels of an image cost one pass and have {ratio:.3g} times "
        f"less noise over signal than one of them"
        + ("" if noisy.num_clean is None else f" ({noisy.num_clean / len(noisy):.1%} are clean)")
    )


def _why_batch(batch_size: int, scale: float, timing: Timing) -> str:
    images = timing.step_seconds / timing.image_seconds
    best = math.sqrt(scale * images)
    return (
        f"the noise scale is {scale:,.0f} visits and a step costs as much as {images:.3g} images "
        f"besides its own: the least time is near the root of their product, {best:,.0f}"
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
            "; the noise scale is outside what was fitted "
            f"({law.images.lowest:,.0f} to {law.images.highest:,.0f})"
        )
    )
    return (
        f"{law.learned_fraction:.0%} of what long training learns, by {law.images.num_points} "
        f"settings; another setting's may differ by a factor of {law.images.bound:.1f}{beyond}"
    )
