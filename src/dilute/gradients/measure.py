"""The gradient at given weights: length and direction of its parts, and how noisy visits are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from dilute.dilution import Copies, NoisySet, Visits
from dilute.errors import SpecError
from dilute.gradients import moments
from dilute.gradients.grams import Grams, grams_of, products
from dilute.gradients.moments import UNKNOWN, Noise
from dilute.gradients.probe import WHOLE, Probe, drawn
from dilute.gradients.report import GradientReport, Signal, VisitNoise
from dilute.methods import cross_entropy
from dilute.training.curve import Interval

_MOST_BYTES = 4 * 2**30
_FEWEST_BATCHES = 4


@dataclass(frozen=True)
class Sampling:
    """How much is measured.

    Arguments:
        signal_batches: large batches, ≥ 4, for the mean gradient.
        signal_batch_size: images in each, ≥ 1.
        noise_batches: small batches, ≥ 4, for the noise about it; an eighth of them where they have
            several visits, whose noise then averages.
        noise_batch_size: visits in each, ≥ 1; None for 1, or 32 if the model normalises over
            batches.

    Errors: `SpecError` for less.
    """

    signal_batches: int = 32
    signal_batch_size: int = 64
    noise_batches: int = 256
    noise_batch_size: int | None = None

    def __post_init__(self) -> None:
        for name, least in (
            ("signal_batches", _FEWEST_BATCHES),
            ("signal_batch_size", 1),
            ("noise_batches", _FEWEST_BATCHES),
            ("noise_batch_size", 1),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise SpecError(f"{name} = {value} cannot be; it must be at least {least}")

    def of_noise(self, probe: Probe) -> tuple[int, int]:
        """Return how many small batches the model in `probe` is given, and of how many visits."""
        size = self.noise_batch_size or probe.smallest_batch
        if size == 1:
            return self.noise_batches, size
        return max(_FEWEST_BATCHES, self.noise_batches // 8), size


def measure_gradients(
    model: nn.Module,
    noisy: NoisySet,
    *,
    copies: Sequence[Copies] = (1, "all", "expected"),
    sampling: Sampling = Sampling(),
    seed: int = 0,
    device: torch.device | None = None,
    on_progress: Callable[[str], object] = lambda text: None,
) -> GradientReport:
    """Return the mean gradient of `model` on `noisy` with its parts, and how noisy visits are.

    The loss is cross-entropy. It is linear in its target, so that the mean gradient can be taken on
    the distributions that labels were drawn from, `lambda·G_clean + (1 − lambda)·G_noise`, which is
    far surer than the mean over drawn labels; noise is that of visits as training makes them. The
    model is in training mode, so that dropout counts as noise.

    Arguments:
        model: maps raw inputs to logits, at the weights to look at; nothing in it changes.
        noisy: the set. Images and visits are drawn from it with replacement.
        copies: which kinds of visits to look at.
        sampling: how much to look at.
        seed: at which images and visits.
        device: where the model is; the CPU if None.
        on_progress: called with a line of text before each measurement.

    Errors: `SpecError` for a set that is smaller than two large batches, or more memory than is
        sensible; `ModelError` for a model without gradients, or with some that are not finite.

    Source: section 5 of the paper, *effective batch size*; McCandlish et al. 2018 (arXiv
        1812.06162).
    """
    device = device or torch.device("cpu")
    probe = Probe(model, cross_entropy, device, seed)
    if not noisy.is_planted:
        raise SpecError(
            "which labels are right is not known of labels as given, and the gradient's noise is "
            "measured against them; plant noise (alpha or rate)"
        )
    _check(noisy, probe, sampling)
    assert noisy.num_clean is not None
    assert noisy.alpha is not None
    share = noisy.num_clean / len(noisy)
    clean_set, noise_set = noisy.clean_part(), noisy.noise_part()
    on_progress("the mean gradient")
    grams = _mean_gradients(probe, clean_set, noise_set, sampling, seed)

    def noise_of(of: NoisySet, kind: Copies, share: float) -> dict[str, Noise]:
        number, size = sampling.of_noise(probe)
        batches = drawn(Visits(of, kind, seed), number, size, "visits", str(kind))
        squares = probe.squared_lengths(batches)
        return {
            name: moments.noise(squares[name], size, gram.mixed(share))
            for name, gram in grams.items()
        }

    on_progress("the noise of clean labels")
    reference = noise_of(clean_set, 1, 1.0)
    found = []
    for kind in copies:
        on_progress(f"the noise of visits with copies = {kind}")
        of_kind = noise_of(noisy, kind, share)
        worth = _worth(reference[WHOLE], of_kind[WHOLE], grams[WHOLE], share)
        labels_per_visit = Visits(noisy, kind, seed).examples_per_visit
        found.append(_visit_noise(kind, labels_per_visit, of_kind, worth))
    sizes = {layer.name: layer.stop - layer.start for layer in probe.layers}
    return GradientReport(
        alpha=noisy.alpha,
        clean_share=share,
        signals=[
            _signal(name, sizes.get(name, probe.num_parameters), gram, share)
            for name, gram in grams.items()
        ],
        clean=_visit_noise("clean", 1.0, reference, Interval(1.0, 1.0, 1.0)),
        visits=found,
    )


def class_scales(
    model: nn.Module,
    noisy: NoisySet,
    *,
    copies: Sequence[Copies],
    sampling: Sampling,
    seed: int = 0,
    device: torch.device | None = None,
    on_progress: Callable[[str], object] = lambda text: None,
) -> list[Interval]:
    """Return, for each kind of visit, the noise scale over the gradient that separates classes.

    That part is what labels drawn without regard to the image would not give. For a network that
    starts at the uniform distribution it is the whole gradient before the first step; for others,
    the whole gradient also undoes their first guesses, which has nothing to do with the data.
    Arguments and errors are those of `measure_gradients`, which takes several times as long.
    """
    device = device or torch.device("cpu")
    probe = Probe(model, cross_entropy, device, seed)
    _check(noisy, probe, sampling)
    on_progress("the part of the gradient that separates classes")
    shares = noisy.label_shares().astype(np.float32)
    number, size = sampling.signal_batches, sampling.signal_batch_size
    best: Copies = "expected" if noisy.is_planted else "all"
    of_law = drawn(Visits(noisy, best, seed), number, size, "classes")
    means = probe.gradients(batch._replace(targets=batch.targets - shares) for batch in of_law)
    gram = products(probe.layers, means, means)[WHOLE]
    found = []
    number, size = sampling.of_noise(probe)
    for kind in copies:
        on_progress(f"the noise of visits with copies = {kind}")
        visits = drawn(Visits(noisy, kind, seed), number, size, "visits", str(kind))
        found.append(moments.scale_of(*probe.trace(visits, size), gram))
    return found


def _check(noisy: NoisySet, probe: Probe, sampling: Sampling) -> None:
    size = max(sampling.signal_batch_size, sampling.of_noise(probe)[1])
    if noisy.n < 2 * size:
        raise SpecError(
            f"a set of {noisy.n} images is too small for batches of {size}; it must have at least "
            f"{2 * size}, or take smaller batches"
        )
    needed = 2 * sampling.signal_batches * probe.num_parameters * 4
    if needed > _MOST_BYTES:
        raise SpecError(
            f"{sampling.signal_batches} gradients of {probe.num_parameters:,} parameters need "
            f"{needed / 2**30:.1f} GiB; take at most {_MOST_BYTES // (8 * probe.num_parameters)} "
            "signal batches"
        )


def _mean_gradients(
    probe: Probe, clean: NoisySet, noise: NoisySet | None, sampling: Sampling, seed: int
) -> dict[str, Grams]:
    """Return the products of gradients over right and over drawn labels; 0 for these without."""
    number, size = sampling.signal_batches, sampling.signal_batch_size
    of_clean = probe.gradients(drawn(Visits(clean, 1, seed), number, size, "clean"))
    if noise is None:
        return grams_of(probe.layers, of_clean, torch.zeros_like(of_clean))
    of_noise = probe.gradients(drawn(Visits(noise, "expected", seed), number, size, "noise"))
    return grams_of(probe.layers, of_clean, of_noise)


def _signal(name: str, num_parameters: int, gram: Grams, share: float) -> Signal:
    parts = (gram.mixed(share), gram.with_clean(share), gram.clean)
    squared, inner, clean_squared = (np.float64(moments.product_of_means(part)) for part in parts)
    each_squared, each_inner, each_clean = (moments.without_each(part) for part in parts)
    with np.errstate(invalid="ignore", divide="ignore"):  # of a layer without a gradient
        cosine = moments.jackknife_interval(
            float(inner / np.sqrt(squared * clean_squared)),
            each_inner / np.sqrt(each_squared * each_clean),
        )
        surviving = moments.jackknife_interval(
            float(inner / clean_squared), each_inner / each_clean
        )
    return Signal(
        layer=name,
        num_parameters=num_parameters,
        length=moments.length(gram.mixed(share)),
        clean_length=moments.length(gram.clean),
        noise_length=moments.length(gram.noise),
        cosine=cosine,
        surviving=surviving,
    )


def _visit_noise(
    kind: Copies | str, labels_per_visit: float, found: dict[str, Noise], worth: Interval
) -> VisitNoise:
    return VisitNoise(
        copies=kind,
        labels_per_visit=labels_per_visit,
        trace=found[WHOLE].trace,
        scale=found[WHOLE].scale,
        layer_scales={name: one.scale for name, one in found.items() if name != WHOLE},
        worth=worth,
    )


def _worth(clean: Noise, visit: Noise, gram: Grams, share: float) -> Interval:
    """Return the noise scale of clean labels over that of visits.

    The interval is Student's, of the logarithm.
    """
    mixed = gram.mixed(share)
    with np.errstate(invalid="ignore", divide="ignore"):
        without = np.log(moments.without_each(mixed) / moments.without_each(gram.clean))
        value = clean.trace / visit.trace * visit.squared_length / clean.squared_length
        of_lengths = moments.jackknife_variance(without)
    if not (value > 0 and math.isfinite(of_lengths)):
        return UNKNOWN
    deviation = math.sqrt(clean.log_trace_variance + visit.log_trace_variance + of_lengths)
    factor = math.exp(moments.student(len(without)) * deviation)
    return Interval(value, value / factor, value * factor)
