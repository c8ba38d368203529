"""What a figure of the paper is to this package: runs at three scales, a table, a picture, claims."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from dilute.study.claims import Claim
from dilute.runs import RunRecord, RunSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Scale = Literal["smoke", "laptop", "paper"]
SCALES: tuple[str, ...] = get_args(Scale)


COLUMNS = (
    "key",
    "status",
    "data",
    "model",
    "num_clean",
    "alpha",
    "pattern",
    "order",
    "delta",
    "noisy_images",
    "copies",
    "batch_size",
    "optimizer",
    "learning_rate",
    "schedule",
    "seed",
    "steps",
    "images",
    "examples",
    "accuracy",
    "last_accuracy",
    "top5_accuracy",
    "heldout_nll",
    "num_test",
    "seconds",
)


def run_table(records: Sequence[RunRecord]) -> Any:
    """Return a pandas data frame with a row per record and the columns `COLUMNS`.

    `accuracy` is that of the model selected on held-out labels, on the test set; NaN where there is none.
    """
    import pandas as pd

    return pd.DataFrame([_row(record) for record in records], columns=list(COLUMNS))


def _row(record: RunRecord) -> dict[str, Any]:
    spec, noise = record.spec, record.spec["noise"]
    chosen = [point for point in record.curve if point.step == record.selected_step]
    is_done = record.status == "done"
    names = ("data", "model", "alpha", "noisy_images", "copies", "batch_size", "optimizer")
    return {
        **{name: spec.get(name) for name in (*names, "learning_rate", "schedule", "seed")},
        "key": record.key,
        "status": record.status,
        "num_clean": record.num_clean,
        "pattern": noise["pattern"],
        "order": noise.get("order"),
        "delta": noise.get("delta"),
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


def _no_runs(scale: Scale) -> list[RunSpec]:  # noqa: ARG001
    return []


@dataclass(frozen=True)
class Study:
    """One figure of the paper.

    Attributes:
        name: `fig1`, … as the command line has it.
        title: what it shows, in a line.
        source: where in the paper, and what is our reading.
        notes: for each scale what the runs are, and how they depart from the paper's; printed on the
            figure's page.
        specs: from a scale and the records of the references to the runs that the figure is made of.
        select: from the runs' table and the scale to what the figure shows: a pandas data frame, a row
            per point and seed, written as CSV.
        draw: from that frame and the scale to the picture.
        claims: what the paper says of it, each with the rule that judges it from that frame.
        references: runs whose outcome the specs need (a confusion matrix), by scale.
        extras: runs that are evidence where the store has them, and are not trained for this figure.
        table: from records to the table that `select` takes.
        summary: from what the figure shows and the scale to a Markdown table of it, where there is one.
        illustrates: the figure shows no runs.
        in_all: it is one of those that `all` stands for.
    """

    name: str
    title: str
    source: str
    notes: dict[Scale, str]
    specs: Callable[[Scale, Sequence[RunRecord]], list[RunSpec]]
    select: Callable[[Any, Scale], Any]
    draw: Callable[[Any, Scale], Figure]
    claims: tuple[Claim, ...] = ()
    references: Callable[[Scale], list[RunSpec]] = _no_runs
    extras: Callable[[Scale], list[RunSpec]] = _no_runs
    table: Callable[[Sequence[RunRecord]], Any] = run_table
    summary: Callable[[Any, Scale], str] | None = None
    illustrates: bool = False
    in_all: bool = True
