"""What grouping an image's labels buys: images and seconds to an accuracy, by labels per visit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dilute.runs import RunSpec
from dilute.studies.paper import setup
from dilute.studies.races import TARGET, fastest, race_table
from dilute.study.pages import markdown_table
from dilute.study.study import Scale, Study
from dilute.study.style import finish_logarithmic, line_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BATCH_SIZE = 128
# By alpha and labels per visit: images in all, and learning rates to try.
_RACES: dict[int, dict[int | str, tuple[int, tuple[float, ...]]]] = {
    20: {
        4: (100_000, (1e-4, 3e-4, 1e-3)),
        16: (40_000, (1e-4, 3e-4, 1e-3, 3e-3)),
        "all": (40_000, (1e-4, 3e-4, 1e-3, 3e-3)),
    },
    50: {
        4: (400_000, (3e-5, 1e-4, 3e-4)),
        16: (100_000, (1e-4, 3e-4, 1e-3)),
        "all": (60_000, (1e-4, 3e-4, 1e-3, 3e-3)),
    },
}
_SEEDS = range(2)


def specs(scale: Scale) -> list[RunSpec]:
    """Return the study's runs: constant learning rates, evaluated on clean labels.

    Those on single labels are another study's.
    """
    base: dict[str, Any] = {
        "data": "mnist",
        "model": "mlp1",
        "batch_size": _BATCH_SIZE,
        "schedule": "constant",
        "heldout_labels": "clean",
    }
    if scale == "smoke":
        base |= {"data": "mnist5k", "budget_steps": 30, "curve_points": 30}
        return [RunSpec(**base, alpha=4, copies=copies) for copies in (1, "all")]
    return [
        RunSpec(
            **base,
            alpha=alpha,
            copies=copies,
            budget_steps=round(images / _BATCH_SIZE),
            learning_rate=rate,
            curve_points=30,
            seed=seed,
        )
        for alpha, kinds in _RACES.items()
        for seed in _SEEDS
        for copies, (images, rates) in kinds.items()
        for rate in rates
    ]


def extras(scale: Scale) -> list[RunSpec]:
    """Return the runs on single labels, which the study of batch sizes has."""
    from dilute.studies import critical_batch

    if scale == "smoke":
        return []
    return [
        spec
        for spec in critical_batch.specs(scale)
        if spec.batch_size == _BATCH_SIZE and spec.alpha in _RACES
    ]


def select(table: Any, scale: Scale) -> Any:
    """Return a row per `alpha`, labels per visit and seed, at the preferred learning rate."""
    named = table.assign(copies=table["copies"].astype(str))
    return fastest(named, ["alpha", "copies", "seed"])


def _labels(copies: str, alpha: float) -> float:
    return 1 + alpha if copies == "all" else float(copies)


def draw(data: Any, scale: Scale) -> Figure:
    """Draw images to the target against labels per visit, a line per `alpha`."""
    figure, (axes,) = new_figure(
        f"{setup.mnist_title(scale)}, MLP, 1 hidden layer: grouping labels",
        f"batches of {_BATCH_SIZE} visits, AdamW at a constant learning rate, chosen on held-out "
        "clean labels; marks: seeds; grey: as one over the labels",
    )
    for number, (alpha, rows) in enumerate(data.groupby("alpha")):
        x = np.array([_labels(copies, alpha) for copies in rows["copies"]])
        order = np.argsort(x, kind="stable")
        style = line_style(number)
        axes.plot(
            x[order],
            rows["images"].to_numpy()[order],
            label=f"alpha = {alpha:g}",
            **{**style, "linestyle": "none"},
        )
        single = rows["images"][x == x.min()].mean() * x.min()
        axes.plot(
            [x.min(), x.max()], [single / x.min(), single / x.max()], color="0.7", linewidth=0.8
        )
    finish_logarithmic(axes, "labels per visit", f"images to {TARGET:.0%} test accuracy", legend="")
    return figure


def summary(data: Any, scale: Scale) -> str:
    """Return images and seconds to the target in Markdown, by `alpha` and labels per visit.

    Seconds are at the median speed of all runs: a visit costs the same whatever its labels.
    """
    speed = float(data["images_per_second"].median())
    heads = ["alpha", "labels per visit", "best learning rate", f"images to {TARGET:.0%}", "labels"]
    heads += [f"seconds at {speed:,.0f} images/s", "times as fast as single labels"]
    table = []
    for alpha, race in data.groupby("alpha"):
        kinds = sorted(race["copies"].unique(), key=lambda copies: _labels(copies, alpha))
        slowest = race[race["copies"] == kinds[0]]["images"].mean()
        for copies in kinds:
            rows = race[race["copies"] == copies]
            rates = ", ".join(f"{rate:g}" for rate in sorted(rows["learning_rate"].unique()))
            images = rows["images"]
            spread = f" ({images.min():,.0f} to {images.max():,.0f}, n = {len(rows)})"
            table.append(
                [
                    f"{alpha:g}",
                    copies,
                    rates,
                    f"{images.mean():,.0f}" + (spread if len(rows) > 1 else " (n = 1)"),
                    f"{images.mean() * _labels(copies, alpha):,.0f}",
                    f"{images.mean() / speed:.1f}",
                    f"{slowest / images.mean():.1f}",
                ]
            )
    return markdown_table(heads, table)


STUDY = Study(
    name="grouping",
    title="MNIST: images to a fixed accuracy against labels per visit",
    source="Ours.",
    notes={
        "smoke": "A few steps on 5,000 digits.",
        "laptop": "An MLP with one hidden layer; batches of 128 visits; AdamW at constant learning "
        "rates half a decade apart, chosen on 3,000 held-out images with clean labels; two seeds.",
        "paper": "As on a laptop.",
    },
    specs=specs,
    extras=extras,
    table=race_table,
    select=select,
    draw=draw,
    summary=summary,
)
