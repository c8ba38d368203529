"""The gradient at given weights: what noise leaves of its signal, and how noisy a batch is."""

from dilute.gradients.effective_batch import clean_examples, signal_over_noise
from dilute.gradients.glance import GradientPoint, glance
from dilute.gradients.measure import (
    GradientReport,
    Sampling,
    Signal,
    VisitNoise,
    class_scales,
    measure_gradients,
)
from dilute.gradients.moments import Interval

__all__ = [
    "GradientPoint",
    "GradientReport",
    "Interval",
    "Sampling",
    "Signal",
    "VisitNoise",
    "class_scales",
    "clean_examples",
    "glance",
    "measure_gradients",
    "signal_over_noise",
]
