"""The numbers that `torchrun` gives a process in its environment; imports nothing that is slow."""

from __future__ import annotations

import os


def number(variable: str, default: int) -> int:
    """Return a number such as RANK or WORLD_SIZE; `default` if it is missing or no whole number."""
    value = os.environ.get(variable, "")
    return int(value) if value.isdigit() else default
