"""One style for the pictures of all studies: legible at column width, distinct in greyscale."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from dilute.figures import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN_INCHES = 3.5
_NOTE_SIZE, _NOTE_CHARACTERS_PER_INCH = 6, 22
# Colour, line and marker all differ, so that any one of them is enough.
_ORDER = (0, 4, 2, 1, 3, 5)
_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 2)))
_MARKERS = ("o", "s", "^", "D", "v", "X")
_STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "dilute",
}


@contextmanager
def common_style() -> Iterator[None]:
    """Draw in the figures' common style inside this context."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        yield


def new_figure(
    title: str,
    note: str,
    *,
    panels: int = 1,
    rows: int = 1,
    inches: tuple[float, float] = (COLUMN_INCHES, 2.9),
) -> tuple[Figure, list[Axes]]:
    """Return a figure with a title above it and a small note below, and its axes row by row.

    Arguments:
        panels, rows: axes side by side, and one above the other.
        inches: width and height of each.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(inches[0] * panels, inches[1] * rows), layout="constrained")
    axes = figure.subplots(rows, panels, squeeze=False)
    figure.suptitle(title, fontsize=9)
    lines = textwrap.fill(note, int(_NOTE_CHARACTERS_PER_INCH * inches[0] * panels))
    figure.supxlabel(lines, fontsize=_NOTE_SIZE, color="0.35")
    return figure, list(axes.flat)


def line_style(number: int) -> dict[str, Any]:
    """Return colour, dashes and marker of the `number`-th line of a figure."""
    return {
        "color": COLOURS[_ORDER[number % len(_ORDER)]],
        "linestyle": _LINES[number % len(_LINES)],
        "marker": _MARKERS[number % len(_MARKERS)],
    }


def draw_means(axes: Axes, table: Any, x: str, lines: str, names: dict[Any, str]) -> None:
    """Draw mean accuracy over seeds against column `x`, a line per value of column `lines`.

    Bars go from lowest to highest.

    Arguments:
        table: a row per point and seed with the columns `x`, `lines` and `accuracy` (0 to 1).
        names: the values of `lines`, in order, with their names in the legend.
    """
    for number, (value, name) in enumerate(names.items()):
        chosen = table[table[lines] == value].dropna(subset=["accuracy"])
        if chosen.empty:
            continue
        groups = 100 * chosen.groupby(x)["accuracy"].agg(["mean", "min", "max"])
        spread = np.stack([groups["mean"] - groups["min"], groups["max"] - groups["mean"]])
        axes.errorbar(
            groups.index,
            groups["mean"],
            yerr=spread.clip(min=0),
            capsize=1.5,
            label=name,
            **line_style(number),
        )


def spread_note(data: Any) -> str:
    """Return what the bars show: column `seed` tells of how many seeds."""
    number = data["seed"].nunique()
    return "one seed" if number == 1 else f"bars: lowest to highest of {number} seeds"


def finish_accuracy(
    axes: Axes,
    label: str,
    *,
    legend: str | None = None,
    with_legend: bool = True,
    from_zero: bool = False,
) -> None:
    """Label axes whose height is test accuracy in percent, and put the legend where there is room.

    With `from_zero` there is some below lines that go far down.
    """
    if from_zero:
        axes.set_ylim(0, 101)
    axes.set_xlabel(label)
    axes.set_ylabel("test accuracy, %")
    axes.grid(alpha=0.3, linewidth=0.5)
    if with_legend and axes.get_legend_handles_labels()[0]:
        axes.legend(title=legend, title_fontsize=7, frameon=False)


def draw_against_alpha(
    title: str,
    note: str,
    data: Any,
    lines: str,
    names: dict[Any, str],
    *,
    legend: str | None = None,
    from_zero: bool = False,
) -> Figure:
    """Return the picture of mean accuracy against `alpha`, a line per value of column `lines`.

    Arguments:
        title, note: as for `new_figure`.
        data, lines, names: as for `draw_means`.
        legend, from_zero: as for `finish_accuracy`.
    """
    figure, (axes,) = new_figure(title, note)
    draw_means(axes, data, "alpha", lines, names)
    alpha_ticks(axes, data["alpha"])
    finish_accuracy(axes, "noisy examples per clean one, alpha", legend=legend, from_zero=from_zero)
    return figure


def finish_logarithmic(axes: Axes, x: str, y: str, *, legend: str | None = None) -> None:
    """Make both axes logarithmic, label them, and put the legend titled `legend` where room is.

    There is none if `legend` is None, or nothing that has a label.
    """
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3, linewidth=0.5)
    if legend is not None and axes.get_legend_handles_labels()[0]:
        axes.legend(title=legend or None, title_fontsize=7, frameon=False)


def plain_ticks(axes: Axes, *, x: bool = True, y: bool = True) -> None:
    """Mark logarithmic axes at 1, 2, 5, 10, … with plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for axis, is_chosen in ((axes.xaxis, x), (axes.yaxis, y)):
        if is_chosen:
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
            axis.set_minor_formatter(NullFormatter())


def alpha_ticks(axes: Axes, alphas: Sequence[float]) -> None:
    """Mark the values of `alpha` that were run."""
    axes.set_xticks(sorted(set(alphas)), [f"{alpha:g}" for alpha in sorted(set(alphas))])
