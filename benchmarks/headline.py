"""`make headline`: the paper's headline on MNIST, run for real, and the table and figure that quote it.

Trains what is missing in `results/headline/` (Conv4, uniform noise, `alpha` 0, 20 and 100, three seeds,
all labels of an image in one visit), then writes `headline.png` and the table between the markers in the
README. With every record present it only draws.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from readme import write_table

import dilute
from dilute.cli.console import training_progress
from dilute.figures import draw_curves
from dilute.runs import Execution, RunRecord, RunSpec
from dilute.store import Store

RESULTS = Path(__file__).parent.parent / "results"
ALPHAS = (0.0, 20.0, 100.0)
SEEDS = (0, 1, 2)


def specs() -> list[RunSpec]:
    """Return the runs, as `dilute run mnist --model conv4 --alpha A --copies all --seed S` has them."""
    return [
        RunSpec(data="mnist", model="conv4", copies="all", alpha=a, seed=s)
        for a in ALPHAS
        for s in SEEDS
    ]


def run_missing(store: Store) -> list[RunRecord]:
    """Return the records of all runs, after running those that the store lacks."""
    records = []
    for spec in specs():
        with training_progress(f"alpha {spec.alpha:g}, seed {spec.seed}") as on_step:
            records.append(store.run(spec, Execution(on_step=on_step), keep_weights=False)[0])
    return records


def table(records: Sequence[RunRecord]) -> str:
    """Return the Markdown table of the runs: mean and range over seeds."""
    lines = [
        "| `alpha` | labels that are wrong | test accuracy, selected model | last model | seconds a run |",
        "| --- | --- | --- | --- | --- |",
    ]
    for alpha in ALPHAS:
        group = [record for record in records if record.spec["alpha"] == alpha]
        wrong = np.mean([record.wrong_rate for record in group])
        selected = [record.accuracy.selected for record in group]
        last = [record.accuracy.last for record in group]
        seconds = [record.seconds for record in group]
        lines.append(
            f"| {alpha:g} | {wrong:.1%} | {_percent(selected)} | {_percent(last)} | {min(seconds):.0f} to {max(seconds):.0f} |"
        )
    first = records[0]
    lines += [
        "",
        f"Mean (lowest to highest) of {len(SEEDS)} seeds; MNIST, Conv4, uniform noise, {first.num_clean:,} training images "
        f"and {first.num_heldout:,} held out with their noisy labels to select the model, {first.num_test:,} test "
        f"images; {first.steps:,} steps of {first.spec['batch_size']} images with all their labels "
        f"(`copies = all`; the paper draws single labels). Machine: {first.hardware['processor']} "
        f"({first.hardware['capability']}), {first.hardware['threads']} threads, PyTorch {first.versions['torch']}.",
    ]
    return "\n".join(lines)


def _percent(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return f"{len(values) - len(known)} of {len(values)} runs gave none"
    return f"{100 * float(np.mean(known)):.1f} % ({100 * min(known):.1f} to {100 * max(known):.1f})"


def main() -> int:
    """Run what is missing, draw the figure and write the table."""
    try:
        records = run_missing(Store(RESULTS / "headline"))
        draw_curves(
            records, RESULTS / "headline.png", title="MNIST, Conv4: wrong labels for each right one"
        )
        write_table("headline", table(records))
    except dilute.DiluteError as error:
        print(f"headline: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        print(f"headline: interrupted: {error}", file=sys.stderr)
        return 130
    print(table(records))
    return 0


if __name__ == "__main__":
    sys.exit(main())
