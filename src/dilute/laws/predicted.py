"""A predicted value with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.90


@dataclass(frozen=True)
class Predicted:
    """A value with its 90 % interval.

    Attributes:
        value: the median of the draws; None if most of them have none (a target out of reach).
        low, high: ends of the interval; None where there is no bound.
        beyond: in which respect the question lies outside the runs behind the law; empty inside.
    """

    value: float | None
    low: float | None
    high: float | None
    beyond: str = ""

    def times(self, factor: float) -> Predicted:
        """Return the value and its interval times `factor`."""
        scaled = [
            None if end is None else end * factor for end in (self.value, self.low, self.high)
        ]
        return Predicted(scaled[0], scaled[1], scaled[2], self.beyond)


def interval_of(values: NDArray[np.float64], beyond: str = "") -> Predicted:
    """Return the median of draws `[D]`, and the interval that holds 90 % of them.

    Draws may be infinite. An infinite median or end becomes None.
    """
    ends = np.quantile(values, [0.5, (1 - LEVEL) / 2, (1 + LEVEL) / 2], method="nearest")
    value, low, high = (float(end) if np.isfinite(end) else None for end in ends)
    return Predicted(value, low, high, beyond)
