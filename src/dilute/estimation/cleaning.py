"""What to do with each row: keep its label, fix it, or drop it."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dilute.estimation.noise_estimate import Array, DoubtfulRows

Action = Literal["keep", "fix", "drop"]
PROBABLY = 0.5
SURE = 0.8
"""How probable another class must be for a label to be changed to it."""


class Cleaned(NamedTuple):
    """What to do with each of N rows.

    Fields:
        action: str `[N]`: `keep` the label where it is more probably right than wrong; else `fix`
            it where another class is likely enough (`SURE`); else `drop` the row.
        label: int64 `[N]`, the label to train on: the given one, or that to change it to.
        probability: float64 `[N]`, that this label is right.
    """

    action: NDArray[np.str_]
    label: NDArray[np.int64]
    probability: Array


def cleaned(rows: DoubtfulRows) -> Cleaned:
    """Return what to do with each row."""
    is_kept = (rows.wrong <= 1 - PROBABLY) | (rows.suggested == rows.given)
    is_sure = rows.probability >= SURE
    action = np.where(is_kept, "keep", np.where(is_sure, "fix", "drop"))
    label = np.where(action == "fix", rows.suggested, rows.given)
    probability = np.where(action == "fix", rows.probability, 1 - rows.wrong)
    return Cleaned(action, label, probability)
