"""Is a plan to be trusted? Laws fitted to small pilots, against what large runs gave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dilute.laws import Evidence, evidence_of, fit_law
from dilute.runs import RunRecord
from dilute.studies import dilution_law
from dilute.study.needs import crossing
from dilute.study.pages import markdown_table
from dilute.study.study import Scale, Study
from dilute.study.style import line_style, new_figure, plain_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from dilute.laws import Predicted

PILOT_FRACTION, PILOT_ALPHA = 0.1, 20.0
_NUM_IMAGES = {"mnist": 60_000, "cifar10": 50_000, "mnist5k": 4000}
# Predicted where the small pilot ends; 90 % where the network reaches it.
_TARGETS = {"mnist": 0.9, "cifar10": 0.4, "mnist5k": 0.5}
_FACTOR = 1.3
_MOST_DRAWN = 20


def plan_table(records: Sequence[RunRecord]) -> Any:
    """Return a pandas data frame with a row per setting and `alpha`: predicted, and measured.

    The pilot is made of the runs on at most a tenth of the images and `alpha` ≤ 20. `accuracy` is
    that of the largest runs, `need` the number of clean examples at which the mean of the runs
    reaches the target, if they bracket it.
    """
    import pandas as pd

    rows = []
    for evidence in evidence_of(records).values():
        if evidence.setting.data in _TARGETS:
            rows += _rows(evidence)
    return dilution_law.shortened(pd.DataFrame(rows).astype({"factor": float, "need": float}))


def images_of(evidence: Evidence) -> Any:
    """Return `[M]`, how many images each run was trained on."""
    times = 1 + evidence.alpha if evidence.setting.kind == "replacement" else 1.0
    return evidence.num_clean * times


def _rows(evidence: Evidence) -> list[dict[str, Any]]:
    setting = evidence.setting
    images = images_of(evidence)
    tenth = PILOT_FRACTION * _NUM_IMAGES[setting.data]
    is_pilot = (images <= 1.01 * tenth) & (evidence.alpha <= PILOT_ALPHA)
    law = fit_law(evidence.where(is_pilot))
    target = _TARGETS[setting.data]
    rows = []
    for alpha in np.unique(evidence.alpha):
        chosen = evidence.where(evidence.alpha == alpha)
        sizes = np.unique(np.round(chosen.num_clean))
        means = [float(chosen.accuracy[np.round(chosen.num_clean) == n].mean()) for n in sizes]
        need = crossing(list(sizes), means, target)
        in_pilot = alpha <= PILOT_ALPHA
        largest_pilot = tenth / (1 + alpha if setting.kind == "replacement" else 1.0)
        accuracy = law.accuracy(float(sizes[-1]), float(alpha))
        needed = law.needed(target, float(alpha))
        is_new = need is not None and (not in_pilot or need > 1.01 * largest_pilot)
        rows.append(
            {
                "setting": str(setting),
                "pilot_runs": int(is_pilot.sum()),
                "alpha": float(alpha),
                "num_clean": float(sizes[-1]),
                "accuracy": means[-1],
                **_columns("accuracy", accuracy),
                "target": target,
                "need": need,
                "is_beyond_pilot": is_new,
                **_columns("need", needed),
                "factor": None if need is None or needed.value is None else needed.value / need,
            }
        )
    return rows


def _columns(name: str, found: Predicted) -> dict[str, float | None]:
    ends = {"predicted": found.value, "low": found.low, "high": found.high}
    return {f"{name}_{end}": value for end, value in ends.items()}


def held(value: float, low: float | None, high: float | None) -> bool:
    """Return whether an interval, unbounded where an end is missing, holds a value."""
    return (low is None or np.isnan(low) or low <= value) and (
        high is None or np.isnan(high) or value <= high
    )


def draw(data: Any, scale: Scale) -> Figure:
    """Draw predicted against measured: needed examples, and error of the largest runs."""
    figure, (left, right) = new_figure(
        "Predicted from small pilots, measured on large runs",
        "bars: 90 % intervals; a mark per setting and alpha; filled: beyond the pilot; band: "
        "within a factor of 1.3",
        panels=2,
        inches=(4.2, 3.6),
    )
    for number, (setting, rows) in enumerate(data.groupby("setting", sort=False)):
        # There are more settings than styles: after a round of them colours go with other marks.
        marker = line_style(number + number // 6)["marker"]
        style: dict[str, Any] = {
            **line_style(number),
            "marker": marker,
            "linestyle": "none",
            "markersize": 4,
            "capsize": 1.5,
            "elinewidth": 0.6,
            "label": dilution_law.short_name(str(setting)),
        }
        _draw_needs(left, rows, style)
        _draw_errors(right, rows, style)
    for axes, what in (
        (left, "clean examples needed"),
        (right, "test error of the largest runs, %"),
    ):
        axes.set_xscale("log")
        axes.set_yscale("log")
        ends = np.array(axes.get_xlim())
        if axes is left:
            axes.fill_between(ends, ends / _FACTOR, ends * _FACTOR, color="0.9", zorder=0)
        axes.plot(ends, ends, color="0.5", linewidth=0.7)
        axes.set_xlabel(f"{what}, measured")
        axes.set_ylabel("predicted")
        axes.grid(alpha=0.3, linewidth=0.5)
        plain_ticks(axes)
    low, high = left.get_ylim()
    left.set_ylim(low, min(high, _MOST_DRAWN * float(data["need"].max())))
    right.legend(fontsize=5.5, frameon=False)
    return figure


def _draw_needs(axes: Axes, rows: Any, style: dict[str, Any]) -> None:
    known = rows.dropna(subset=["need", "need_predicted"])
    for is_new in (True, False):
        part = known[known["is_beyond_pilot"] == is_new]
        if part.empty:
            continue
        middle = part["need_predicted"]
        high = part["need_high"].fillna(10 * middle)
        spread = np.stack([middle - part["need_low"], high - middle]).astype(float).clip(min=0)
        fill = "full" if is_new else "none"
        axes.errorbar(part["need"], middle, yerr=spread, fillstyle=fill, **style)


def _draw_errors(axes: Axes, rows: Any, style: dict[str, Any]) -> None:
    value, best, worst = (
        100 * (1 - rows[f"accuracy_{end}"]) for end in ("predicted", "high", "low")
    )
    spread = np.stack([value - best, worst - value]).clip(min=0)
    axes.errorbar(100 * (1 - rows["accuracy"]), value, yerr=spread, **style)


def summary(data: Any, scale: Scale) -> str:
    """Return predictions and what was measured in Markdown, and how many of them held."""
    heads = ["setting", "alpha", "clean examples for the target: predicted", "measured", "ratio"]
    heads += ["accuracy of the largest runs: predicted", "measured"]
    rows = []
    for _, row in data.iterrows():
        need = "–"
        if not np.isnan(row["need"]):
            mark = "" if held(row["need"], row["need_low"], row["need_high"]) else " ✗"
            need = f"{row['need']:,.0f}{mark}" + (
                "" if row["is_beyond_pilot"] else " (in the pilot)"
            )
        predicted = "out of reach"
        if not np.isnan(row["need_predicted"]):
            high = "∞" if np.isnan(row["need_high"]) else f"{row['need_high']:,.0f}"
            predicted = f"{row['need_predicted']:,.0f} ({row['need_low']:,.0f} to {high})"
        held_accuracy = held(row["accuracy"], row["accuracy_low"], row["accuracy_high"])
        cells = [
            dilution_law.short_name(row["setting"]),
            f"{row['alpha']:.3g}",
            f"{row['target']:.0%}: {predicted}",
            need,
            "–" if np.isnan(row["factor"]) else f"{row['factor']:.2f}",
            f"{row['accuracy_predicted']:.1%} ({row['accuracy_low']:.1%} to "
            f"{row['accuracy_high']:.1%})",
            f"{row['accuracy']:.1%}" + ("" if held_accuracy else " ✗"),
        ]
        rows.append(cells)
    return f"{markdown_table(heads, rows)}\n\n{_counts(data)}"


def _counts(data: Any) -> str:
    """Return in sentences how many predictions held."""
    needs = data[data["need"].notna() & data["is_beyond_pilot"]]
    near = ((needs["factor"] < _FACTOR) & (needs["factor"] > 1 / _FACTOR)).sum()
    inside = sum(held(r["need"], r["need_low"], r["need_high"]) for _, r in needs.iterrows())
    right = sum(
        held(r["accuracy"], r["accuracy_low"], r["accuracy_high"]) for _, r in data.iterrows()
    )
    return (
        f"Needs beyond the pilot: {near} of {len(needs)} within a factor of {_FACTOR:g}, {inside} "
        f"of {len(needs)} inside their 90 % interval. Accuracies of the largest runs: {right} of "
        f"{len(data)} inside theirs (✗: outside)."
    )


STUDY = Study(
    name="plan-test",
    title="Plans from small pilots, against large runs",
    source="Ours; the runs are those of `dilution-law`.",
    notes={
        **dilution_law.STUDY.notes,
        "laptop": "Laws are fitted to runs on at most a tenth of the images with alpha up to 20, "
        "and asked for larger runs and alpha = 50.",
    },
    specs=dilution_law.specs,
    table=plan_table,
    draw=draw,
    summary=summary,
)
