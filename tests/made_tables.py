"""Made-up tables of the figures' runs, for the tests of verdicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dilute.studies.paper import fig10

SEEDS = (0, 1, 2)


def table(rows: list[dict[str, Any]], seeds: tuple[int, ...] = SEEDS) -> pd.DataFrame:
    """Return a frame with each row once per seed, accuracies within 0.001 of the given one."""
    made = [
        {
            "num_test": 10_000,
            "heldout_nll": 2.0,
            "learning_rate": 1.0,
            "key": f"{number}-{seed}",
            **row,
            "seed": seed,
            "accuracy": row["accuracy"] + 0.0005 * (seed - 1),
        }
        for number, row in enumerate(rows)
        for seed in seeds
    ]
    return pd.DataFrame(made)


def fig1_table(at_top: dict[str, float], single: float | None = None) -> pd.DataFrame:
    rows = [
        {"sampling": "grouped", "model": model, "alpha": alpha, "accuracy": value}
        for alpha in (0, 100)
        for model, value in at_top.items()
    ]
    if single is not None:
        rows.append({"sampling": "single", "model": "conv4", "alpha": 100, "accuracy": single})
    return table(rows)


ORDERED = {"perceptron": 0.80, "mlp1": 0.85, "mlp2": 0.86, "mlp4": 0.87, "conv4": 0.93}


def fig5_table(at: dict[str, dict[float, float]]) -> pd.DataFrame:
    return table(
        [
            {"order": order, "delta": delta, "accuracy": value}
            for order, row in at.items()
            for delta, value in row.items()
        ]
    )


def runs_with_needs(needs: dict[float, float]) -> pd.DataFrame:
    """Return runs of three sizes around each need, whose accuracy is 90 % exactly there."""
    rows = []
    for alpha, need in needs.items():
        for factor in (0.5, 1.4, 3.0):
            accuracy = 0.9 + 0.03 * np.log2(factor)
            rows.append({"alpha": alpha, "num_clean": need * factor, "accuracy": accuracy})
    return table(rows)


def fig10_table(gain: dict[int, float], expected_drop: float = 0.0) -> pd.DataFrame:
    rows = [
        {
            "batch": str(size),
            "alpha": alpha,
            "accuracy": 0.8 + gain[alpha] * number,
        }
        for alpha in gain
        for number, size in enumerate(fig10.BATCH_SIZES)
    ]
    rows += [
        {"batch": "expected loss", "alpha": alpha, "accuracy": 0.97 - (alpha > 0) * expected_drop}
        for alpha in gain
    ]
    return table(rows)
