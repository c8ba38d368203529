"""Advice on batch size, labels per visit, learning rate and length of training, and the law behind it."""

from dilute.advice.choices import Advice, Timing, advise, like
from dilute.advice.power_laws import AdviceLaw, PowerLaw, power_law, read_law, warmup_steps

__all__ = [
    "Advice",
    "AdviceLaw",
    "PowerLaw",
    "Timing",
    "advise",
    "like",
    "power_law",
    "read_law",
    "warmup_steps",
]
