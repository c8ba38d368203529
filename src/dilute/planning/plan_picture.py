"""A plan as a picture: accuracy against labels, and the cost of each mix of labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dilute.figures import COLOURS, save
from dilute.planning.collection import Collection, rounded

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 25
_BAND: Any = {"alpha": 0.15, "linewidth": 0}


def draw_plan(found: Collection, path: Path | str) -> None:
    """Draw the law with its runs and the target, and beside it, if there are prices, the costs.

    Arguments:
        path: the PNG or SVG file to write.

    Errors: `StoreError` if the file cannot be written.
    """
    from matplotlib.figure import Figure

    has_costs = any(one.cost.value is not None for one in found.purchases)
    panels = 2 if has_costs else 1
    figure = Figure(figsize=(5.2 * panels, 4.4), layout="constrained")
    axes = np.ravel(figure.subplots(1, panels))
    figure.suptitle(str(found.law.evidence.setting), fontsize=10)
    _draw_law(axes[0], found)
    if has_costs:
        _draw_costs(axes[1], found)
    save(figure, path)


def _draw_law(axes: Axes, found: Collection) -> None:
    """Draw accuracy against labels: a line with its band for each `alpha`, and its runs as dots."""
    evidence = found.law.evidence
    lowest = float(evidence.num_clean.min())
    needed = [need.num_clean.value for need in found.needs if need.num_clean.value]
    highest = max([float(evidence.num_clean.max()), *needed]) * 1.5
    for number, need in enumerate(found.needs):
        colour = COLOURS[number % len(COLOURS)]
        sizes = np.geomspace(lowest, highest, _POINTS)
        labels = sizes * (1 + need.alpha)
        predicted = [found.law.accuracy(float(size), need.alpha) for size in sizes]
        name = (
            "clean labels"
            if need.alpha == 0
            else f"alpha = {need.alpha:.3g} ({need.noise_rate:.0%} noise)"
        )
        axes.plot(labels, [100 * (p.value or 0) for p in predicted], color=colour, label=name)
        axes.fill_between(
            labels,
            [100 * (p.low or 0) for p in predicted],
            [100 * (p.high or 0) for p in predicted],
            color=colour,
            **_BAND,
        )
        is_here = np.isclose(evidence.alpha, need.alpha, rtol=1e-3)
        axes.plot(
            evidence.num_clean[is_here] * (1 + need.alpha),
            100 * evidence.accuracy[is_here],
            "o",
            markersize=3.5,
            color=colour,
        )
    axes.axhline(100 * found.target, color="0.4", linewidth=0.8, linestyle="--")
    axes.set_xscale("log")
    _describe(
        axes, "labels, right and wrong", "test accuracy, %", "dots: runs; bands: 90 % of new runs"
    )


def _draw_costs(axes: Axes, found: Collection) -> None:
    """Draw the cost of the target against the share of clean labels among those bought."""
    kinds = [(False, "bought labels alone"), (True, "with the labels at hand")]
    best = found.purchases[0]
    for number, (uses_hand, name) in enumerate(kinds):
        chosen = [
            one
            for one in found.purchases
            if one.uses_hand is uses_hand
            and one.cost.value is not None
            and (one.checked_share == 0 or one.checked_share == best.checked_share)
        ]
        checked = max((one.checked_share for one in chosen), default=0.0)
        for share in sorted({0.0, checked}):
            line = sorted(
                (one for one in chosen if one.checked_share == share),
                key=lambda one: one.clean_share,
            )
            if not line:
                continue
            colour = COLOURS[(number + (2 if share else 0)) % len(COLOURS)]
            x = [100 * one.clean_share for one in line]
            costs = [one.cost.value or np.nan for one in line]
            label = name + (f", {share:.0%} of them checked" if share else "")
            axes.plot(x, costs, color=colour, label=label, marker=".")
            top = max(costs) * 3
            axes.fill_between(
                x,
                [one.cost.low or 0 for one in line],
                [top if one.cost.high is None else one.cost.high for one in line],
                color=colour,
                **_BAND,
            )
    if best.cost.value is not None:
        axes.plot([100 * best.clean_share], [best.cost.value], "*", color="0.1", markersize=12)
        axes.annotate(
            f"cheapest: {rounded(best.cost.value)}",
            (100 * best.clean_share, best.cost.value),
            textcoords="offset points",
            xytext=(10 if best.clean_share < 0.5 else -10, -14),
            ha="left" if best.clean_share < 0.5 else "right",
            fontsize=8,
        )
    axes.set_ylim(bottom=0)
    _describe(
        axes,
        "share of the bought labels that are clean, %",
        f"cost of {100 * found.target:g} %",
        "bands: 90 % intervals",
    )


def _describe(axes: Axes, x: str, y: str, title: str) -> None:
    axes.set_xlabel(x, fontsize=8)
    axes.set_ylabel(y, fontsize=8)
    axes.set_title(title, fontsize=8, color="0.35")
    axes.grid(alpha=0.3, linewidth=0.5)
    axes.legend(frameon=False, fontsize=8)
