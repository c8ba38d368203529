"""The paper's headline at its own sampling, and beside it grouped copies on as many labels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import isnan, nan
from typing import TYPE_CHECKING, Any

from dilute.runs import RunRecord, RunSpec
from dilute.studies.paper.setup import GROUPED, SINGLE_DRAWS, SMOKE
from dilute.study.pages import markdown_table
from dilute.study.study import Scale, Study
from dilute.study.style import finish_accuracy, line_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dilute.training import CurvePoint

SAMPLINGS = {"single": "single draws", "grouped": "grouped copies"}
# Alpha, schedule, steps and curve points, the longest run first; AdaDelta at its default of 1.0.
_ADADELTA = (
    (100, "linear", 32_000, 32),
    (50, "linear", 20_000, 20),
    (20, "linear", 5_200, 13),
    (20, "constant", 5_200, 13),
)
_ADAMW_ALPHA, _ADAMW_RATE = 20, 2e-4
_GROUPED_BATCHES, _GROUPED_POINTS = (128, 32), 13


def single_draws(scale: Scale) -> list[RunSpec]:
    """Return Conv4's runs at the paper's sampling: single draws, AdaDelta, batches of 128."""
    if scale == "smoke":
        recipe: dict[str, Any] = {**SMOKE, **SINGLE_DRAWS}
        return [RunSpec(data="mnist5k", model="conv4", alpha=_ADAMW_ALPHA, **recipe)]
    return [
        RunSpec(
            data="mnist",
            model="conv4",
            alpha=alpha,
            **{**SINGLE_DRAWS, "schedule": schedule},
            budget_steps=steps,
            curve_points=points,
        )
        for alpha, schedule, steps, points in _ADADELTA
    ]


def specs(scale: Scale) -> list[RunSpec]:
    """Return the runs on single draws, and for each `alpha` grouped ones on as many labels.

    The latter have AdamW, as grouped copies have elsewhere. One run of single draws with AdamW
    separates the optimiser's part from the sampling's.
    """
    found = single_draws(scale)
    for single in {single.alpha: single for single in found}.values():
        assert single.budget_steps is not None
        same: dict[str, Any] = {"data": single.data, "model": single.model, "alpha": single.alpha}
        found += [
            RunSpec(
                **same,
                **{**GROUPED, "batch_size": batch_size},
                budget_examples=single.budget_steps * single.batch_size,
                curve_points=_GROUPED_POINTS,
            )
            for batch_size in _GROUPED_BATCHES
        ]
        if single.alpha == _ADAMW_ALPHA:
            found.append(
                RunSpec(
                    **same,
                    copies=1,
                    batch_size=single.batch_size,
                    learning_rate=_ADAMW_RATE,
                    budget_steps=single.budget_steps,
                    curve_points=single.curve_points,
                )
            )
    return found


def curve_table(records: Sequence[RunRecord]) -> Any:
    """Return a pandas data frame with a row per curve point: labels seen, seconds, accuracy."""
    import pandas as pd

    return pd.DataFrame([_point(record, point) for record in records for point in record.curve])


def _point(record: RunRecord, point: CurvePoint) -> dict[str, Any]:
    spec = record.spec
    return {
        "key": record.key,
        "status": record.status,
        "alpha": spec["alpha"],
        "series": _series(spec),
        "sampling": "single" if spec["copies"] == 1 else "grouped",
        **{name: spec[name] for name in ("optimizer", "learning_rate", "schedule", "batch_size")},
        "seed": spec["seed"],
        "step": point.step,
        "images": point.images,
        "labels": point.examples,
        "training_seconds": (record.training_seconds or nan) * point.step / (record.steps or 1),
        "heldout_nll": point.heldout_nll,
        "accuracy": nan if point.test_accuracy is None else point.test_accuracy,
        "is_selected": point.step == record.selected_step,
    }


_SERIES = {
    "adadelta, linear": "single, AdaDelta",
    "adadelta, constant": "single, AdaDelta, constant",
    "adamw": "single, AdamW",
    "grouped, 128": "grouped, AdamW, 128 images",
    "grouped, 32": "grouped, AdamW, 32 images",
}
_AS_FAST = "adadelta, constant"  # as with the falling rate: its time adds nothing


def _series(spec: dict[str, Any]) -> str:
    if spec["copies"] != 1:
        return f"grouped, {spec['batch_size']}"
    is_adadelta = spec["optimizer"] == "adadelta"
    return f"adadelta, {spec['schedule']}" if is_adadelta else "adamw"


def select(table: Any, scale: Scale) -> Any:
    """Return the points by `alpha` and series, in the order of labels seen."""
    return table.sort_values(["alpha", "series", "step"], ignore_index=True)


def draw(data: Any, scale: Scale) -> Figure:
    """Draw test accuracy against labels seen (above) and seconds in steps (below), by `alpha`."""
    alphas = sorted(data["alpha"].unique())
    figure, panels = new_figure(
        "MNIST, Conv4, uniform noise: the paper's sampling, and grouped copies on as many labels",
        "Single: one label of an image in a visit. Grouped: all of them. Learning rates fall "
        "linearly to zero unless they are constant; one core, one seed"
        + ("; 5,000 digits, a few steps" if scale == "smoke" else ""),
        panels=len(alphas),
        rows=2,
        inches=(2.4, 2.1),
    )
    data = data.assign(millions=data["labels"] / 1e6)
    x_axes = {"millions": "labels seen, millions", "training_seconds": "seconds in steps"}
    places = product(x_axes, alphas)
    for axes, (x, alpha) in zip(panels, places, strict=True):
        for style, (series, name) in enumerate(_SERIES.items()):
            points = data[(data["alpha"] == alpha) & (data["series"] == series)]
            if not points.empty and (x, series) != ("training_seconds", _AS_FAST):
                look = {**line_style(style), "markersize": 2.5}
                axes.plot(points[x], 100 * points["accuracy"], label=name, **look)
        axes.axhline(90, color="0.6", linewidth=0.7)
        finish_accuracy(axes, x_axes[x], with_legend=False, from_zero=True)
        if x == "millions":
            axes.set_title(f"alpha = {alpha:g}")
        else:
            axes.set_xscale("log")
            axes.xaxis.set_minor_formatter("")
    # The smallest alpha has every series.
    panels[0].legend(loc="lower right", fontsize=6, frameon=False)
    return figure


def summary(data: Any, scale: Scale) -> str:
    """Return a Markdown table with a row per finished run: labels, accuracy, time, speed.

    Accuracy is that of the model that held-out noisy labels select, and of the last one. The ratio
    is that of labels per second to those of single draws with AdaDelta at a falling rate, at the
    same `alpha`. A constant rate, which takes as long as a falling one, has no times of its own.
    """
    done = data[data["status"] == "done"].set_index(["alpha", "series"]).sort_values("step")
    last = done.groupby(level=["alpha", "series"]).last()
    selected = done["accuracy"][done["is_selected"]]
    rates = last["labels"] / last["training_seconds"]
    heads = ["alpha", "sampling", "labels seen", "accuracy: selected (last), %", "minutes"]
    rows = []
    for alpha in sorted(set(last.index.get_level_values("alpha"))):
        base = rates.get((alpha, "adadelta, linear"), nan)
        for series, name in _SERIES.items():
            key = (alpha, series)
            if key not in last.index:
                continue
            run, times = last.loc[key], ["–", "–", "–"]
            if series != _AS_FAST:
                ratio = "–" if isnan(base) else f"{rates[key] / base:.1f}"
                times = [f"{run['training_seconds'] / 60:.1f}", f"{rates[key]:,.0f}", ratio]
            accuracy = f"{100 * selected[key]:.1f} ({100 * run['accuracy']:.1f})"
            rows.append([f"{alpha:g}", name, f"{run['labels']:,}", accuracy, *times])
    return markdown_table([*heads, "labels/s", "ratio"], rows)


STUDY = Study(
    name="headline",
    title="MNIST, Conv4: the paper's own sampling beside grouped copies",
    source="Section 4 of the paper, MNIST. Our reading: the learning rate, that it falls linearly "
    "to zero, and the budget of the runs.",
    notes={
        "smoke": "A few steps on 5,000 digits; no verdict.",
        "laptop": "Hours on two cores, and so not part of `all`. One seed. AdaDelta at 1.0, less "
        "than one pass over the labels; grouped copies with AdamW at 0.001, on as many labels.",
        "paper": "As for laptop.",
    },
    specs=specs,
    table=curve_table,
    select=select,
    draw=draw,
    summary=summary,
)
