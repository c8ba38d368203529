"""A comparison as a picture: accuracy against the amount of noise, or at one amount."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dilute.methods import PLAIN
from dilute.study.ranking import MethodResult
from dilute.study.style import common_style, line_style, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SHOWN = 5
_TICK_POINTS = 30
_TICKS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995)


def draw_comparison(results: Sequence[MethodResult], title: str) -> Figure:
    """Return the picture of one setting's results.

    Arguments:
        results: of one setting, at one or several amounts of noise.
        title: above it; where there is one amount, that is added.

    At several amounts: a line per method, of which the best few and cross-entropy are named.
    At one: a row per method.
    """
    amounts = sorted({one.amount for one in results if one.amount is not None})
    seeds = max(one.num_seeds for one in results)
    note = (
        f"mean, lowest and highest of {seeds} seeds" if seeds > 1 else "one seed"
    ) + "; run and stopping point chosen by held-out noisy labels; equal images through networks"
    with common_style():
        if len(amounts) > 1:
            figure, axes = new_figure(title, note, inches=(5.2, 3.6))
            _lines(axes[0], results, amounts)
        else:
            rows = len(results)
            title = f"{title}, {results[0].noise}"
            figure, axes = new_figure(title, note, inches=(5.2, 1.3 + 0.2 * rows))
            _rows(axes[0], results)
            _spread_ticks(figure, axes[0])
        return figure


def _lines(axes: Axes, results: Sequence[MethodResult], amounts: Sequence[float]) -> None:
    methods: dict[str, list[MethodResult]] = {}
    for one in sorted(results, key=lambda one: one.amount or 0.0):
        if one.accuracy is not None:
            methods.setdefault(one.method, []).append(one)
    by_mean = sorted(methods, key=lambda name: -_mean(methods[name], amounts))
    named = [name for name in by_mean if name != PLAIN][:_SHOWN]
    named += [PLAIN] if PLAIN in methods else []
    for name in by_mean:
        if name not in named:
            line: Any = {"color": "0.75", "linewidth": 0.8, "zorder": 1}
            axes.plot(*_points(methods[name]), **line)
    for number, name in enumerate(named):
        found = methods[name]
        x, means = _points(found)
        low = [max(0.0, mean - _within(one.low)) for mean, one in zip(means, found, strict=True)]
        high = [max(0.0, _within(one.high) - mean) for mean, one in zip(means, found, strict=True)]
        style = {**line_style(number), "label": _full_name(found[0])}
        axes.errorbar(x, means, yerr=[low, high], capsize=1.5, **style)
    is_rate = results[0].amount_name == "rate"
    if not is_rate:
        axes.set_xscale("log")
    axes.set_xticks(amounts, [f"{amount:g}" for amount in amounts], minor=False)
    axes.minorticks_off()
    axes.set_xlabel(
        "share of labels replaced" if is_rate else "wrong labels drawn for each right one, alpha"
    )
    _scale_accuracies(axes, results)
    axes.grid(alpha=0.3, linewidth=0.5)
    others = len(methods) - len(named)
    if methods:  # else every run failed
        axes.legend(
            frameon=True,
            edgecolor="none",
            framealpha=0.85,
            title=f"grey: {others} more" if others else None,
            title_fontsize=7,
        )


def _points(found: Sequence[MethodResult]) -> tuple[list[float], list[float]]:
    return [one.amount or 0.0 for one in found], [_within(one.accuracy) for one in found]


def _scale_accuracies(axes: Axes, results: Sequence[MethodResult]) -> None:
    # Steps between 95 and 98 % are as worth seeing as those between 20 and 50 %.
    axes.set_yscale("logit")
    axes.set_yticks(_TICKS, [f"{100 * tick:g}" for tick in _TICKS])
    axes.minorticks_off()
    axes.set_ylabel(f"{results[0].measure}, % (logit scale)")
    seen = [_within(a) for one in results for a in (one.low, one.high) if a is not None]
    if seen:
        axes.set_ylim(min(seen) * 0.8, 1 - (1 - max(seen)) * 0.7)


def _full_name(one: MethodResult) -> str:
    return f"{one.title} ({one.knows})"


def _within(accuracy: float | None) -> float:
    """Return the accuracy where a logit scale can show it."""
    return min(max(accuracy or 0.0, 0.01), 0.999)


def _mean(found: Sequence[MethodResult], amounts: Sequence[float]) -> float:
    return sum(one.accuracy or 0.0 for one in found) / len(amounts)


def _spread_ticks(figure: Figure, axes: Axes) -> None:
    """Give the horizontal axis as many ticks as it has room for, in whatever style it is saved."""
    from matplotlib.ticker import MaxNLocator

    figure.draw_without_rendering()  # which finds how wide the axes are
    points = 72 * axes.get_window_extent().width / figure.dpi
    most = max(1, min(9, int(points / _TICK_POINTS)))
    axes.xaxis.set_major_locator(MaxNLocator(most, steps=(1, 2, 2.5, 5, 10)))


def _rows(axes: Axes, results: Sequence[MethodResult]) -> None:
    shown = [one for one in results if one.accuracy is not None][::-1]
    for place, one in enumerate(shown):
        assert one.accuracy is not None
        style: Any = {"color": "#D55E00" if one.method == PLAIN else "#0072B2", "marker": "o"}
        axes.plot([100 * (one.low or 0), 100 * (one.high or 0)], [place, place], color="0.6")
        axes.plot(100 * one.accuracy, place, **style)
    axes.set_ylim(-0.6, len(shown) - 0.4)
    axes.set_yticks(range(len(shown)), [_full_name(one) for one in shown])
    axes.set_xlabel(f"{results[0].measure}, %")
    axes.grid(alpha=0.3, linewidth=0.5)
