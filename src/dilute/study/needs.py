"""How many clean examples a target accuracy needs: interpolated between runs, with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Need:
    """The number of clean examples needed, with a 95 % interval.

    Geometric means, since sizes are spaced so.

    Attributes:
        mean: geometric mean over seeds.
        low, high: Student's 95 % interval of its logarithm; None with a single seed.
        num_seeds: how many seeds.
    """

    mean: float
    low: float | None
    high: float | None
    num_seeds: int

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{_rounded(self.mean)} (n = 1)"
        return (
            f"{_rounded(self.mean)} ({_rounded(self.low)} to {_rounded(self.high)}, n = "
            f"{self.num_seeds})"
        )


def crossing(sizes: Sequence[float], accuracies: Sequence[float], target: float) -> float | None:
    """Return where accuracy first reaches `target`, linear in the logarithm of the size.

    None if the runs do not bracket it: the smallest is there already, or none gets there.

    Arguments:
        sizes: numbers of clean examples, ascending, > 0.
        accuracies: 0 to 1, one each.
    """
    if not accuracies or accuracies[0] >= target:
        return None
    for (size, low), (next_size, high) in pairwise(zip(sizes, accuracies, strict=True)):
        if low < target <= high:
            share = (target - low) / (high - low)
            return float(size * (next_size / size) ** share)
    return None


def per_seed(data: Any, target: float) -> dict[float, list[float | None]]:
    """Return, for each `alpha`, the needed number by seed.

    None where a seed's runs do not bracket the target.

    Arguments:
        data: a row per run with `alpha`, `num_clean`, `seed` and `accuracy` (NaN: the run did not
            finish).
    """
    found: dict[float, list[float | None]] = {}
    for (alpha, _), runs in data.groupby(["alpha", "seed"]):
        ordered = runs.sort_values("num_clean")
        sizes, accuracies = ordered["num_clean"].tolist(), ordered["accuracy"].tolist()
        is_whole = not ordered["accuracy"].isna().any()
        value = crossing(sizes, accuracies, target) if is_whole else None
        found.setdefault(float(alpha), []).append(value)
    return found


def needed(values: Sequence[float | None]) -> Need | None:
    """Return the need from the numbers of several seeds.

    None without any, or if one of them is not known.

    (The seeds that do cross would be the better or the worse ones, and their mean off to that
    side.)
    """
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    logs = np.log(known)
    mean = float(np.exp(logs.mean()))
    if len(values) < 2:
        return Need(mean, None, None, 1)
    half = float(stats.t.ppf(0.975, len(values) - 1) * logs.std(ddof=1) / np.sqrt(len(values)))
    return Need(mean, mean * float(np.exp(-half)), mean * float(np.exp(half)), len(values))


def _rounded(value: float) -> str:
    digits = max(0, len(str(int(value))) - 2)
    return f"{round(value, -digits):,.0f}"
