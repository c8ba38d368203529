"""Advice on method, batch size, labels per visit, learning rate and length of training."""

from dilute.advice.choices import Advice, advise, like
from dilute.advice.method_choice import choose_method
from dilute.advice.power_laws import AdviceLaw, PowerLaw, power_law, read_law, warmup_steps
from dilute.advice.timing import Timing

__all__ = [
    "Advice",
    "AdviceLaw",
    "PowerLaw",
    "Timing",
    "advise",
    "choose_method",
    "like",
    "power_law",
    "read_law",
    "warmup_steps",
]
