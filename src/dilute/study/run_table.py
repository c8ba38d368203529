"""Records as a table: a row per run, with what most studies ask of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dilute.runs import RunRecord

_OF_SPEC = (
    "noisy_images",
    "copies",
    "batch_size",
    "optimizer",
    "learning_rate",
    "schedule",
    "seed",
)


def run_table(records: Sequence[RunRecord]) -> Any:
    """Return a pandas data frame with a row per record.

    `accuracy` is the test accuracy (0 to 1) of the model that held-out labels selected; NaN where
    there is none.
    """
    import pandas as pd

    return pd.DataFrame([_row(record) for record in records])


def _row(record: RunRecord) -> dict[str, Any]:
    spec, noise = record.spec, record.spec.get("noise", {})
    chosen = [point for point in record.curve if point.step == record.selected_step]
    is_done = record.status == "done"
    return {
        "key": record.key,
        "status": record.status,
        "data": spec["data"],
        "model": spec["model"],
        "num_clean": record.num_clean,
        "alpha": spec.get("alpha"),
        "pattern": noise.get("pattern"),
        "order": noise.get("order"),
        "delta": noise.get("delta"),
        **{name: spec.get(name) for name in _OF_SPEC},
        "steps": record.steps,
        "images": record.images,
        "examples": record.examples,
        "accuracy": record.accuracy.selected if is_done else None,
        "last_accuracy": record.accuracy.last if is_done else None,
        "top5_accuracy": record.accuracy.top5_selected if is_done else None,
        "heldout_nll": chosen[0].heldout_nll if chosen and is_done else None,
        "num_test": record.num_test,
        "seconds": record.seconds,
    }
