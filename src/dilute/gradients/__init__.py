"""The gradient at given weights: what noise leaves of its signal, and how noisy a batch is."""

from dilute.gradients.along_training import MeasuredPoint, measure_along_training
from dilute.gradients.effective_batch import clean_examples, signal_over_noise
from dilute.gradients.glance import Glances, glance
from dilute.gradients.measure import Sampling, class_scales, measure_gradients
from dilute.gradients.report import GradientReport, Signal, VisitNoise
from dilute.training.curve import GradientPoint, Interval

__all__ = [
    "Glances",
    "GradientPoint",
    "GradientReport",
    "Interval",
    "MeasuredPoint",
    "Sampling",
    "Signal",
    "VisitNoise",
    "class_scales",
    "clean_examples",
    "glance",
    "measure_along_training",
    "measure_gradients",
    "signal_over_noise",
]
