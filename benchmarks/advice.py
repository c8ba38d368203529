"""`make advice`: does it pay to train as advised, on settings that the advice was not fitted on?

Against batches of 128 whose learning rate is tuned by grid on held-out noisy labels: on single labels with
AdaDelta at a constant rate, as the paper trains, and, a stronger rival, on all labels of an image with AdamW
falling to zero. Writes what `advise` said to `results/advice.json`, runs to `results/gradients/`, and a table.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from paper import ROOT
from readme import write_table
from studies import PAGE, STORE

from dilute.advice import Timing, advise
from dilute.files import write_file
from dilute.paper.setup import SINGLE_DRAWS
from dilute.runs import Material, RunRecord, RunSpec, Store
from dilute.sweeps import run_sweep

ADVICE = ROOT / "results" / "advice.json"
COMMAND = "make advice"
ALPHAS = (5, 20, 50)
GROUPED: dict[str, Any] = {"copies": "all", "batch_size": 128}


@dataclass(frozen=True)
class Setting:
    """Data, model and amount of noise, none of whose pairs of data and model the law was fitted on."""

    data: str
    model: str
    alpha: float

    @property
    def name(self) -> str:
        return f"{self.data}-{self.model}-{self.alpha:g}"

    def spec(self, **recipe: Any) -> RunSpec:
        return RunSpec(data=self.data, model=self.model, alpha=self.alpha, **recipe)


SETTINGS = [
    Setting(data, model, alpha)
    for data, model in (("mnist", "mlp2"), ("cifar10", "mlp2"), ("cifar10", "conv6"))
    for alpha in ALPHAS
]


def grouped_grid(one: Setting) -> list[RunSpec]:
    """Return the rival on all labels of an image, at each learning rate."""
    if one.model == "conv6":  # slower: fewer rates, steps and evaluations
        recipe = {**GROUPED, "budget_steps": 300, "curve_points": 3, "test_curve": False}
        return [one.spec(**recipe, learning_rate=rate) for rate in (3e-4, 1e-3, 3e-3)]
    recipe = {**GROUPED, "budget_steps": 600, "curve_points": 20}
    return [one.spec(**recipe, learning_rate=rate) for rate in (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)]


def single_grid(one: Setting) -> list[RunSpec]:
    """Return the rival that trains as the paper does, at each learning rate; Conv6 would take hours."""
    if one.model == "conv6":
        return []
    steps = {"mnist": 3000, "cifar10": 1200}[one.data]
    recipe = {**SINGLE_DRAWS, "budget_steps": steps, "curve_points": 20}
    return [one.spec(**recipe, learning_rate=rate) for rate in (0.03, 0.1, 0.3, 1.0)]


def advised(one: Setting) -> tuple[RunSpec, Timing]:
    """Return the run as advised, and the time of its steps; the advice is asked for once and kept."""
    documents = json.loads(ADVICE.read_text()) if ADVICE.exists() else {}
    if one.name not in documents:
        print(f"asking for advice: {one.name}", file=sys.stderr, flush=True)
        torch.set_num_threads(2)
        noisy = Material.of(one.spec()).noisy
        found = advise(one.model, noisy)
        recipe = found.recipe().canonical()
        documents[one.name] = {**asdict(found), "recipe": recipe}
        write_file(ADVICE, (json.dumps(dict(sorted(documents.items())), indent=1) + "\n").encode())
    document = json.loads(ADVICE.read_text())[one.name]
    points = 6 if one.model == "conv6" else 20
    recipe = {**document["recipe"], "curve_points": points}
    return one.spec(**recipe), Timing(**document["timing"])


def tuned(records: Sequence[RunRecord]) -> RunRecord | None:
    """Return the record with the lowest held-out noisy NLL, which chooses the learning rate."""
    known = [record for record in records if record.accuracy.selected is not None]
    return min(known, key=lowest_nll) if known else None


def lowest_nll(record: RunRecord) -> float:
    return min(point.heldout_nll for point in record.curve if point.heldout_nll is not None)


def images_to(record: RunRecord, accuracy: float) -> int | None:
    """Return after how many images the run's test accuracy is at least `accuracy`; None if it never is."""
    return next(
        (
            p.images
            for p in record.curve
            if p.test_accuracy is not None and p.test_accuracy >= accuracy
        ),
        None,
    )


def row(one: Setting, records: Mapping[str, RunRecord]) -> list[str]:
    """Return the table's cells for a setting."""
    spec, timing = advised(one)
    record = records[spec.key()]
    cells = [
        one.data,
        one.model,
        f"{one.alpha:g}",
        f"{spec.batch_size}, {spec.learning_rate:.2g}, {spec.budget_steps}",
        f"{100 * record.accuracy.selected:.1f}",
    ]
    for grid in (single_grid(one), grouped_grid(one)):
        rival = tuned([records[other.key()] for other in grid])
        if rival is None or rival.selected_step is None:
            cells += ["–", "–"]
            continue
        accuracy = rival.accuracy.selected or 0.0
        cells.append(f"{100 * accuracy:.1f} ({rival.spec['learning_rate']:g})")
        cells.append(against(record, rival, accuracy, timing, len(grid)))
    return cells


def against(
    record: RunRecord, rival: RunRecord, accuracy: float, timing: Timing, num_rates: int
) -> str:
    """Return how many times more images and seconds the rival took for its accuracy; with its grid, in brackets.

    Where the advised run never has that accuracy: by how many points it ends below, and the same ratios for all
    of that run.
    """
    reached = images_to(record, accuracy)
    images = reached or record.images or 0
    rival_batch, batch = rival.spec["batch_size"], record.spec["batch_size"]
    rival_steps = rival.selected_step or 0
    of_images = rival_steps * rival_batch / images
    of_seconds = timing.seconds(rival_batch, rival_steps) / timing.seconds(batch, images / batch)
    ratios = f"{of_images:.2g}, {of_seconds:.2g} ({num_rates * of_seconds:.2g})"
    if reached is not None:
        return ratios
    return f"{100 * (accuracy - (record.accuracy.selected or 0.0)):.1f} points below; {ratios}"


def table(store: Store) -> str:
    """Return the Markdown table of all settings."""
    specs = [advised(one)[0] for one in SETTINGS]
    specs += [spec for one in SETTINGS for spec in (*single_grid(one), *grouped_grid(one))]
    records = {spec.key(): store.get(spec.key()) for spec in specs}
    lines = [
        "| data | model | alpha | advised: batch, rate, steps | accuracy, % | as the paper trains: % (rate) | "
        "it takes, times the advised: images, seconds (with its grid) | all labels, 128: % (rate) | "
        "it takes, times the advised: images, seconds (with its grid) |",
        "| --- " * 9 + "|",
        *(f"| {' | '.join(row(one, records))} |" for one in SETTINGS),
    ]
    return "\n".join(lines)


def main() -> None:
    for specs in (
        [spec for one in SETTINGS for spec in (*single_grid(one), *grouped_grid(one))],
        [advised(one)[0] for one in SETTINGS],
    ):
        result = run_sweep(specs, STORE, keep_weights=False)
        assert not result.interrupted, "the same command goes on"
    write_table("advice", table(Store(STORE)), command=COMMAND, path=PAGE)


if __name__ == "__main__":
    main()
