"""The gradient at given weights: what noise leaves of its signal, and how noisy a batch is."""

from dilute.gradients.glance import GradientPoint, glance
from dilute.gradients.measure import GradientReport, Sampling, Signal, VisitNoise, measure
from dilute.gradients.moments import Interval

__all__ = [
    "GradientPoint",
    "GradientReport",
    "Interval",
    "Sampling",
    "Signal",
    "VisitNoise",
    "glance",
    "measure",
]
