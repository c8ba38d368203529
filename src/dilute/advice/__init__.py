"""Advice on method, batch size, labels per visit, learning rate and length of training."""

from dilute.advice.choices import Advice, advise, like
from dilute.advice.power_laws import AdviceLaw, PowerLaw, power_law, read_law, warmup_steps
from dilute.advice.timing import Timing

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
