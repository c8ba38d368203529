"""A comparison of methods as a study: its runs, its table in Markdown, its picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dilute.runs import RunSpec
from dilute.study.comparison_picture import draw_comparison
from dilute.study.contest import Contest
from dilute.study.pages import markdown_table
from dilute.study.ranking import MethodResult, in_percent, outcomes, ranking
from dilute.study.study import Scale, Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def comparison_study(
    name: str,
    title: str,
    contests: Callable[[Scale], Sequence[Contest]],
    num_train: Mapping[str, int],
    *,
    source: str = "",
    notes: Mapping[Scale, str] | None = None,
) -> Study:
    """Return the study that compares methods on one setting, at one or several amounts of noise.

    Arguments:
        contests: by scale; a contest for each amount of noise, all else being the same.
        num_train: images in the training set of each data set, by name.
        name, title, source, notes: as for `Study`.
    """

    def specs(scale: Scale) -> list[RunSpec]:
        chosen = contests(scale)
        found = [spec for one in chosen for spec in one.specs(num_train[one.data])]
        unique = {spec.key(): spec for spec in found}
        # Runs on the same images follow one another, since they may share work.
        return sorted(unique.values(), key=lambda spec: spec.seed)

    return Study(
        name=name,
        title=title,
        source=source,
        notes=notes or {},
        specs=specs,
        table=outcomes,
        draw=_draw,
        summary=_summary,
    )


def _draw(data: Any, scale: Scale) -> Figure:  # noqa: ARG001
    results = ranking(data)
    return draw_comparison(results, results[0].setting)


def _summary(data: Any, scale: Scale) -> str:  # noqa: ARG001
    results = ranking(data)
    return f"*{results[0].setting}*\n\n{results_markdown(results)}"


def results_markdown(results: Sequence[MethodResult]) -> str:
    """Return a Markdown table: a row per method, a column per amount of noise.

    Arguments:
        results: of one setting.
    """
    amounts = sorted({one.amount for one in results if one.amount is not None})
    cells = {(one.method, one.amount): one for one in results}
    first = {one.method: one for one in reversed(results)}
    order = dict.fromkeys(one.method for one in results)
    word = results[0].amount_name
    rows = []
    for name in sorted(order, key=lambda name: -_mean(cells, name, amounts)):
        found = [cells.get((name, amount)) for amount in amounts]
        seconds = [one.seconds for one in found if one and one.seconds is not None]
        shown = f"{min(seconds):.0f} to {max(seconds):.0f}" if seconds else "–"
        title = f"{first[name].title} (`{name}`)"
        rows.append([title, first[name].knows, *map(result_cell, found), shown])
    heads = [f"{word} = {amount:g}" for amount in amounts]
    return markdown_table(["method", "it knows", *heads, "s per run"], rows)


def result_cell(one: MethodResult | None) -> str:
    """Return accuracy, its range and the number of seeds, for a table."""
    if one is None:
        return "not run"
    if one.accuracy is None:
        return f"failed ({one.num_failed})"
    failed = f", {one.num_failed} failed" if one.num_failed else ""
    return f"{in_percent(one.accuracy, one.low, one.high)}, n = {one.num_seeds}{failed}"


def _mean(
    cells: Mapping[tuple[str, float | None], MethodResult], name: str, amounts: Sequence[float]
) -> float:
    found = [one for amount in amounts if (one := cells.get((name, amount)))]
    return sum(one.accuracy or 0.0 for one in found) / len(found)
