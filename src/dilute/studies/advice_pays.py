"""Does it pay to train as advised, on settings that the advice was not fitted on?

Against batches of 128 whose learning rate is tuned by grid on held-out noisy labels: on single
labels with AdaDelta at a constant rate, as the paper trains, and, a stronger rival, on all labels
of an image with AdamW falling to zero. What `advise` said is part of the study: `advised.json`
beside this file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dilute.advice import Timing, advise
from dilute.files import write_file
from dilute.runs import Material, RunRecord, RunSpec
from dilute.studies.paper.setup import GROUPED, SINGLE_DRAWS, SMOKE
from dilute.study import Scale, Study
from dilute.study.pages import markdown_table

ADVISED = Path(__file__).parent / "advised.json"
ALPHAS = (5, 20, 50)


@dataclass(frozen=True)
class Place:
    """Data, model and amount of noise; the law was fitted on no such pair of data and model."""

    data: str
    model: str
    alpha: float

    @property
    def name(self) -> str:
        """Its name among the advice that was given."""
        return f"{self.data}-{self.model}-{self.alpha:g}"

    def spec(self, **recipe: Any) -> RunSpec:
        """Return a run here."""
        return RunSpec(data=self.data, model=self.model, alpha=self.alpha, **recipe)


PLACES = [
    Place(data, model, alpha)
    for data, model in (("mnist", "mlp2"), ("cifar10", "mlp2"), ("cifar10", "conv6"))
    for alpha in ALPHAS
]


def grouped_grid(one: Place) -> list[RunSpec]:
    """Return the rival on all labels of an image, at each learning rate."""
    if one.model == "conv6":  # slower: fewer rates, steps and evaluations
        recipe = {**GROUPED, "budget_steps": 300, "curve_points": 3, "test_curve": False}
        return [one.spec(**recipe, learning_rate=rate) for rate in (3e-4, 1e-3, 3e-3)]
    recipe = {**GROUPED, "budget_steps": 600, "curve_points": 20}
    return [one.spec(**recipe, learning_rate=rate) for rate in (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)]


def single_grid(one: Place) -> list[RunSpec]:
    """Return the rival that trains as the paper does, at each learning rate.

    Conv6 would take hours.
    """
    if one.model == "conv6":
        return []
    steps = {"mnist": 3000, "cifar10": 1200}[one.data]
    recipe = {**SINGLE_DRAWS, "budget_steps": steps, "curve_points": 20}
    return [one.spec(**recipe, learning_rate=rate) for rate in (0.03, 0.1, 0.3, 1.0)]


def ask(places: Sequence[Place] = tuple(PLACES), path: Path = ADVISED) -> None:
    """Ask for advice where it was not given yet, and keep it in a file.

    Advice is asked for once: it depends on the speed of the machine.
    """
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for place in places:
        if place.name in known:
            continue
        found = advise(place.model, Material.of(place.spec()).noisy)
        recipe = found.recipe().canonical()
        known[place.name] = {**asdict(found), "recipe": recipe}
        write_file(path, (json.dumps(known, indent=1) + "\n").encode())


def advised(one: Place) -> tuple[RunSpec, Timing]:
    """Return the run as advised, and the time of its steps."""
    document = json.loads(ADVISED.read_text())[one.name]
    points = 6 if one.model == "conv6" else 20
    recipe = {**document["recipe"], "curve_points": points}
    return one.spec(**recipe), Timing(**document["timing"])


def specs(scale: Scale) -> list[RunSpec]:
    """Return the study's runs: the rivals' and, for each setting, the advised one."""
    if scale == "smoke":
        return [RunSpec(data="mnist5k", model="mlp1", alpha=2, **SMOKE)]
    grids = [spec for one in PLACES for spec in (*single_grid(one), *grouped_grid(one))]
    return [*grids, *(advised(one)[0] for one in PLACES)]


def table(records: Sequence[RunRecord]) -> Any:
    """Return a pandas data frame with a row per setting: the cells of the table in Markdown."""
    import pandas as pd

    by_key = {record.key: record for record in records}
    rows = [row(one, by_key) for one in PLACES if advised(one)[0].key() in by_key]
    return pd.DataFrame(rows, columns=list(HEADS))


HEADS = (
    "data",
    "model",
    "alpha",
    "advised: batch, rate, steps",
    "accuracy, %",
    "as the paper trains: % (rate)",
    "it takes, times the advised: images, seconds (with its grid)",
    "all labels, 128: % (rate)",
    "it takes, times the advised: images, seconds (with its grid)",
)


def tuned(records: Sequence[RunRecord]) -> RunRecord | None:
    """Return the record with the lowest held-out noisy NLL, which chooses the learning rate."""
    known = [record for record in records if record.accuracy.selected is not None]
    return min(known, key=lowest_nll) if known else None


def lowest_nll(record: RunRecord) -> float:
    """Return the lowest held-out noisy NLL along the run."""
    return min(point.heldout_nll for point in record.curve if point.heldout_nll is not None)


def images_to(record: RunRecord, accuracy: float) -> int | None:
    """Return after how many images the run's test accuracy is at least `accuracy`.

    None if it never is.
    """
    return next(
        (
            p.images
            for p in record.curve
            if p.test_accuracy is not None and p.test_accuracy >= accuracy
        ),
        None,
    )


def row(one: Place, records: Mapping[str, RunRecord]) -> list[str]:
    """Return the table's cells for a place."""
    spec, timing = advised(one)
    record = records[spec.key()]
    cells = [
        one.data,
        one.model,
        f"{one.alpha:g}",
        f"{spec.batch_size}, {spec.learning_rate:.2g}, {spec.budget_steps}",
        f"{100 * (record.accuracy.selected or 0.0):.1f}",
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
    """Return how many times more images and seconds the rival took for its accuracy.

    With its grid, in brackets.

    Where the advised run never has that accuracy: by how many points it ends below, and the same
    ratios for all of that run.
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


def summary(data: Any, scale: Scale) -> str:
    """Return the Markdown table of all settings."""
    return markdown_table(HEADS, data.itertuples(index=False))


STUDY = Study(
    name="advice-pays",
    title="Training as advised, against a tuned learning rate",
    source="Ours.",
    notes={
        "smoke": "A few steps on 5,000 digits.",
        "laptop": "Nine settings of MNIST and CIFAR-10 that the advice was not fitted on; one "
        "seed.",
        "paper": "As on a laptop.",
    },
    specs=specs,
    table=table,
    summary=summary,
)
