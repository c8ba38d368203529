"""How many images a run took to reach an accuracy, read from its curve."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from dilute.runs import RunRecord

TARGET = 0.8
"""The accuracy on clean labels that runs race to."""


def images_to(record: RunRecord, target: float, on: str) -> float | None:
    """Return how many images went through the network before accuracy `target`.

    None if it was not reached.

    Arguments:
        target: 0 to 1.
        on: the curve's field, as `heldout_accuracy`.

    Between two points of the curve accuracy is taken to be linear; before the first it rises from a
    guess.
    """
    points = [(0.0, 0.0)] + [
        (float(point.images), float(getattr(point, on)))
        for point in record.curve
        if getattr(point, on) is not None
    ]
    for (images, low), (next_images, high) in pairwise(points):
        if low < target <= high:
            return images + (next_images - images) * (target - low) / (high - low)
    return None


def race_table(records: Sequence[RunRecord]) -> Any:
    """Return a pandas data frame with a row per run: its setting, and images to `TARGET`.

    `heldout_images` are those until held-out clean labels say so, which choose the learning rate;
    `images` those until the test set does, which chooses nothing.
    """
    import pandas as pd

    return pd.DataFrame([_race(record) for record in records])


def _race(record: RunRecord) -> dict[str, Any]:
    names = ("data", "model", "alpha", "copies", "batch_size", "learning_rate", "seed")
    return {
        **{name: record.spec[name] for name in names},
        "status": record.status,
        "heldout_images": images_to(record, TARGET, "heldout_accuracy"),
        "images": images_to(record, TARGET, "test_accuracy"),
        "images_per_second": record.images_per_second,
        "accuracy": record.accuracy.last,
        "num_test": record.num_test,
    }


def fastest(table: Any, by: Sequence[str]) -> Any:
    """Return, for each group of `by`, the run that reaches the target after the fewest images.

    Held-out labels say when. Groups in which none reaches it have no row. `is_inside` says whether
    slower and faster learning rates than the chosen one were tried.
    """
    known = table.dropna(subset=["heldout_images", "images"])
    best = table.loc[known.groupby(list(by))["heldout_images"].idxmin()]
    ends = table.groupby(list(by))["learning_rate"].agg(["min", "max"])
    best = best.join(ends, on=list(by))
    rates = best["learning_rate"]
    best["is_inside"] = (rates > best["min"]) & (rates < best["max"])
    return best.drop(columns=["min", "max"]).sort_values(list(by), ignore_index=True)
