"""What was measured of gradients, for people and for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dilute.cli import console

if TYPE_CHECKING:
    from dilute.gradients import GradientReport, Interval, VisitNoise


def _clean_labels(one: VisitNoise, alpha: float, batch_size: int) -> dict[str, float]:
    """Return what a batch is worth in clean labels by both readings."""
    from dilute.gradients import clean_examples, signal_over_noise

    return {
        "counting_clean_examples": clean_examples(batch_size, one.copies, alpha),  # type: ignore[arg-type]
        "signal_over_noise": signal_over_noise(batch_size, one.copies, alpha),  # type: ignore[arg-type]
    }


def document(name: str, report: GradientReport, batch_size: int) -> dict[str, Any]:
    """Return a report as JSON-able values."""
    visits = [
        {
            **asdict(one),
            "batch_size": batch_size,
            "effective_batch": {
                "measured": [_times(end, batch_size) for end in asdict(one.worth).values()],
                **_clean_labels(one, report.alpha, batch_size),
            },
        }
        for one in report.visits
    ]
    return {"weights": name, **asdict(report), "visits": visits}


def _times(value: float | None, batch_size: int) -> float | None:
    return None if value is None else value * batch_size


def text(name: str, report: GradientReport, batch_size: int) -> str:
    """Return a report as two tables: by layer, and by labels per visit."""
    whole, *layers = report.signals
    rows = [["layer", "parameters", "length", "clean", "drawn", "cosine to clean", "surviving, %"]]
    rows += [
        [
            signal.layer or "all",
            f"{signal.num_parameters:,}",
            *(
                "–" if length is None else f"{length:.3g}"
                for length in (signal.length, signal.clean_length, signal.noise_length)
            ),
            _interval(signal.cosine, "{:.3f}"),
            _interval(signal.surviving, "{:.2f}", 100),
        ]
        for signal in (whole, *layers)
    ]
    worth = f"{batch_size} visits in clean labels"
    table = [
        ["copies", "noise scale, visits", f"{worth}: measured", "counted", "signal over noise"],
        ["clean", _interval(report.clean.scale, "{:,.0f}"), str(batch_size), "", ""],
    ]
    table += [
        [
            str(one.copies),
            _interval(one.scale, "{:,.0f}"),
            _interval(one.worth, "{:.3g}", batch_size),
            *(f"{value:.3g}" for value in _clean_labels(one, report.alpha, batch_size).values()),
        ]
        for one in report.visits
    ]
    title = f"{name}, alpha = {report.alpha:g}: {report.clean_share:.1%} of the labels clean"
    return f"{title}\n{console.columns(rows)}\n{console.columns(table)}"


def _interval(found: Interval, form: str, factor: float = 1.0) -> str:
    """Return an estimate with its interval, as far as there is one."""
    ends = [
        None if end is None else form.format(factor * end)
        for end in (found.value, found.low, found.high)
    ]
    value, low, high = ends
    if low is None and high is None:
        return value or "–"
    if high is None:
        return f"above {low}"
    return f"{value} ({low} to {high})"
