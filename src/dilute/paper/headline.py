"""The paper's headline at its own sampling, and beside it grouped copies on as many labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dilute.paper.drawing import finish_accuracy, line_style, new_figure
from dilute.paper.figure import PaperFigure, Scale
from dilute.paper.setup import GROUPED, SINGLE_DRAWS, SMOKE
from dilute.runs import RunRecord, RunSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SAMPLINGS = {"single": "single draws", "grouped": "grouped copies"}
# Alpha, learning rate, schedule, steps and curve points of each run, the longest first: 100,000 to five
# million labels. The rates were chosen on held-out noisy labels, with an MLP in place of Conv4.
_PAPERS_OPTIMIZER = (
    (100, 0.1, "linear", 40_000, 40),
    (50, 0.2, "linear", 20_000, 20),
    (20, 0.5, "linear", 5_200, 13),
    (20, 1.0, "constant", 5_200, 13),
)
_GROUPED_BATCHES = (128, 32)
_GROUPED_POINTS = 13


def single_draws(scale: Scale) -> list[RunSpec]:
    """Return Conv4's runs on single draws with AdaDelta and batches of 128."""
    base: dict[str, Any] = {"model": "conv4", **SINGLE_DRAWS}
    if scale == "smoke":
        return [RunSpec(data="mnist5k", alpha=20, **{**SMOKE, **base})]
    return [
        RunSpec(
            data="mnist",
            alpha=alpha,
            **{**base, "schedule": schedule},
            learning_rate=rate,
            budget_steps=steps,
            curve_points=points,
        )
        for alpha, rate, schedule, steps, points in _PAPERS_OPTIMIZER
    ]


def specs(scale: Scale, references: Sequence[RunRecord] = ()) -> list[RunSpec]:  # noqa: ARG001
    """Return the runs on single draws, and at each `alpha` runs on as many labels, all of an image's in one visit.

    Those have AdamW, which grouped copies have elsewhere; so that sampling and optimiser can be told
    apart there is one run of single draws with AdamW, too.
    """
    singles = single_draws(scale)
    largest = {single.alpha: single for single in reversed(singles)}
    grouped = [
        RunSpec(
            data=single.data,
            model=single.model,
            alpha=alpha,
            **{**GROUPED, "batch_size": batch_size},
            budget_examples=(single.budget_steps or 0) * single.batch_size,
            curve_points=_GROUPED_POINTS,
        )
        for alpha, single in largest.items()
        for batch_size in _GROUPED_BATCHES
    ]
    single = largest[20]
    with_adamw = RunSpec(
        data=single.data,
        model=single.model,
        alpha=20,
        copies=1,
        batch_size=single.batch_size,
        learning_rate=2e-4,
        budget_steps=single.budget_steps,
        curve_points=single.curve_points,
    )
    return [*singles, *grouped, with_adamw]


_COLUMNS = (
    "key",
    "status",
    "alpha",
    "sampling",
    "learning_rate",
    "seed",
    "step",
    "images",
    "labels",
    "training_seconds",
    "heldout_nll",
    "accuracy",
    "is_selected",
)


def curve_table(records: Sequence[RunRecord]) -> Any:
    """Return a pandas data frame with a row per curve point: `alpha`, sampling, labels seen, seconds in steps, accuracy."""
    import pandas as pd

    rows = [
        {
            "key": record.key,
            "status": record.status,
            "alpha": record.spec["alpha"],
            "sampling": "single" if record.spec["copies"] == 1 else "grouped",
            "learning_rate": record.spec["learning_rate"],
            "seed": record.spec["seed"],
            "step": point.step,
            "images": point.images,
            "labels": point.examples,
            "training_seconds": (record.training_seconds or 0.0) * point.step / (record.steps or 1),
            "heldout_nll": point.heldout_nll,
            "accuracy": point.test_accuracy,
            "is_selected": point.step == record.selected_step,
        }
        for record in records
        for point in record.curve
    ]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def select(table: Any, scale: Scale) -> Any:  # noqa: ARG001
    """Return the points in the order of `alpha`, learning rate, sampling and labels seen."""
    by = ["alpha", "learning_rate", "sampling", "labels"]
    return table.sort_values(by, ignore_index=True)


def draw(data: Any, scale: Scale) -> Figure:
    """Draw test accuracy against labels seen and against seconds in steps, full lines for single draws."""
    figure, panels = new_figure(
        "MNIST, Conv4, uniform noise: the paper's sampling and grouped copies",
        "AdaDelta, batches of 128 images; single draws, or all labels of an image in one visit; one seed"
        + ("; 5,000 digits, a few steps" if scale == "smoke" else ""),
        panels=2,
    )
    for axes, x in zip(panels, ("labels", "training_seconds"), strict=True):
        for number, ((alpha, rate), rows) in enumerate(data.groupby(["alpha", "learning_rate"])):
            style = line_style(number)
            for sampling in SAMPLINGS:
                points = rows[rows["sampling"] == sampling]
                if points.empty:
                    continue
                line = "-" if sampling == "single" else ":"
                name = f"{alpha:g}, {rate:g}, {sampling}"
                axes.plot(
                    points[x],
                    100 * points["accuracy"],
                    label=name,
                    **{**style, "linestyle": line, "markersize": 2.5},
                )
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter("")
        axes.axhline(90, color="0.6", linewidth=0.7)
    finish_accuracy(panels[0], "labels seen", legend="alpha, learning rate, sampling")
    finish_accuracy(panels[1], "seconds in training steps", with_legend=False)
    return figure


FIGURE = PaperFigure(
    name="headline",
    title="MNIST, Conv4: the paper's own sampling beside grouped copies",
    source="Section 4 of the paper, MNIST. Our reading: the learning rates and the budget of the runs.",
    notes={
        "smoke": "A few steps on 5,000 digits; no verdict.",
        "laptop": "Hours on two cores, and so not part of `all`.",
        "paper": "As for laptop.",
    },
    specs=specs,
    table=curve_table,
    select=select,
    draw=draw,
)
