"""What is measured of the gradient at one setting of the weights."""

from __future__ import annotations

from dataclasses import dataclass

from dilute.dilution import Copies
from dilute.training.curve import Interval


@dataclass(frozen=True)
class Signal:
    """The mean gradient of a layer, or of the whole model, and what noise makes of it.

    Attributes:
        layer: its name; `""` for the whole model.
        num_parameters: how many.
        length: `|G|`, over all labels; None where the estimate of its square is not above 0.
        clean_length, noise_length: `|G_clean|` over the right labels, `|G_noise|` over the drawn
            ones.
        cosine: between `G` and `G_clean`.
        surviving: the share of the signal that survives, `G·G_clean / |G_clean|²`.
    """

    layer: str
    num_parameters: int
    length: float | None
    clean_length: float | None
    noise_length: float | None
    cosine: Interval
    surviving: Interval


@dataclass(frozen=True)
class VisitNoise:
    """How noisy visits with so many labels are.

    Attributes:
        copies: labels per visit; `"clean"` for single clean labels.
        labels_per_visit: their mean number.
        trace: `tr(S)`, the summed variance of the gradient of one visit.
        scale: the noise scale `tr(S)/|G|²`, in visits.
        layer_scales: the same by layer.
        worth: how many visits to single clean labels have as much signal over noise as one of
            these, at these weights: the noise scale of those over that of these.
    """

    copies: Copies | str
    labels_per_visit: float
    trace: float
    scale: Interval
    layer_scales: dict[str, Interval]
    worth: Interval


@dataclass(frozen=True)
class GradientReport:
    """What was measured at one setting of the weights.

    Attributes:
        alpha: noisy examples per clean one.
        clean_share: `lambda`, the share of the labels that are clean.
        signals: of the whole model, then layer by layer.
        clean: the noise of single clean labels.
        visits: the noise of visits to the noisy set, by `copies`.
    """

    alpha: float
    clean_share: float
    signals: list[Signal]
    clean: VisitNoise
    visits: list[VisitNoise]
