"""The points of a training curve: what is measured on the way, and what is stored of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval.

    Attributes:
        value: the estimate; None where the noise hides the signal.
        low, high: the interval's ends; None where there is no bound.
    """

    value: float | None
    low: float | None
    high: float | None


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


@dataclass(frozen=True)
class CurvePoint:
    """What was measured after `step` steps; None where it was not.

    Attributes:
        step: steps done.
        images: images that went through the network.
        examples: image–label pairs that they stood for.
        train_loss: mean loss since the point before, in nats; None before the first step.
        heldout_nll: mean negative log-likelihood of the held-out labels, in nats.
        heldout_mixed_nll: the same of predictions mixed with the labels' frequencies in the share
            that fits best: fair to methods whose network predicts true labels, and to overconfident
            ones.
        heldout_accuracy: share of held-out labels predicted, 0 to 1 (low where they are noisy).
        test_accuracy: share of test labels predicted, 0 to 1.
        test_top5_accuracy: share of test labels among the five likeliest classes, 0 to 1; None for
            up to 10 classes.
        gradient: length and noise of the gradient, where it was measured.
    """

    step: int
    images: int
    examples: int
    train_loss: float | None = None
    heldout_nll: float | None = None
    heldout_mixed_nll: float | None = None
    heldout_accuracy: float | None = None
    test_accuracy: float | None = None
    test_top5_accuracy: float | None = None
    gradient: GradientPoint | None = None
