"""What a sweep would do and has done, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dilute.cli import console

if TYPE_CHECKING:
    from dilute.runs import RunRecord, RunSpec, Store
    from dilute.sweeps import Place, Plan, SweepResult

_MOST_ROWS = 40


def show_plan(
    plan: Plan,
    store: Store,
    to_do: Mapping[str, RunSpec],
    workers: int,
    place: Place,
    *,
    json: bool,
) -> None:
    """Print what a sweep would do, and how long it would take."""
    from dilute.sweeps import estimate_seconds

    estimated = estimate_seconds(
        plan,
        to_do.values(),
        workers=workers,
        threads=place.threads,
        device=place.device,
        on_kind=lambda kind: console.say(f"timing {kind}"),
    )
    num_there = len(plan.specs) - len(to_do)
    if json:
        counts = {"total": len(plan.specs), "there": num_there, "to_do": len(to_do)}
        console.print_json(
            {
                **counts,
                "workers": workers,
                "threads": place.threads,
                "estimated_seconds": estimated.seconds,
                "runs": [
                    {**row, "estimated_seconds": estimated.run_seconds.get(row["key"])}
                    for row in _rows(plan.specs, store)
                ],
            }
        )
        return
    print(_table(plan.specs, store, estimated.run_seconds))
    print(
        f"{len(plan.specs):,} runs: {num_there:,} there, {len(to_do):,} to do; about "
        f"{console.duration(estimated.seconds)} with {workers} workers of {place.threads} "
        f"thread{'s' if place.threads > 1 else ''} (on this machine, from a few steps of each "
        "model)"
    )


def show_result(result: SweepResult, store: Store, *, json: bool) -> None:
    """Print what came of each run of a sweep, and of how many."""
    names = ("done", "known", "failed", "diverged", "left")
    counts = {name: getattr(result, name) for name in names}
    if json:
        console.print_json(
            {
                "total": len(result.specs),
                **counts,
                "interrupted": result.interrupted,
                "runs": list(_rows(result.specs, store)),
            }
        )
        return
    print(_table(result.specs, store))
    said = ("done", "known before", "failed", "diverged", "left")
    numbers = [
        f"{count:,} {words}" for words, count in zip(said, counts.values(), strict=True) if count
    ]
    print(f"{len(result.specs):,} runs: {', '.join(numbers)}")
    if result.failures:
        from dilute.sweeps import label, varied_fields

        fields = varied_fields(result.specs.values())
        for key, message in list(result.failures.items())[:_MOST_ROWS]:
            print(f"failed: {label(result.specs[key], fields)}: {message} ({key})")
        if len(result.failures) > _MOST_ROWS:
            print(f"… and {len(result.failures) - _MOST_ROWS:,} more")
        print("--retry-failed does them again")


def _rows(specs: Mapping[str, RunSpec], store: Store, most: int | None = None) -> Any:
    """Yield for each run, or the first ones, its key, what varies, and what came of it."""
    from itertools import islice

    from dilute.sweeps import flat, varied_fields

    fields = varied_fields(specs.values())
    for key, spec in islice(specs.items(), most):
        record: RunRecord | None = store.get(key)
        values = flat(spec)
        yield {
            "key": key,
            **{name: values.get(name) for name in fields},
            "status": record.status if record else "missing",
            "accuracy": record.accuracy.model_dump() if record else None,
            "seconds": record.seconds if record else None,
            "message": record.message if record else None,
        }


def _table(
    specs: Mapping[str, RunSpec], store: Store, estimated: Mapping[str, float] | None = None
) -> str:
    """Return the first runs as a table: what varies, status, accuracy and seconds.

    The accuracy is that of the selected model, else of the last.
    """
    rows = list(_rows(specs, store, _MOST_ROWS))
    fields = [
        name for name in rows[0] if name not in ("key", "status", "accuracy", "seconds", "message")
    ]
    cells = [[*fields, "status", "accuracy", "seconds"]]
    for row in rows:
        accuracy = row["accuracy"] or {}
        shown = accuracy.get("selected", accuracy.get("last"))
        seconds = row["seconds"]
        if estimated is not None and row["key"] in estimated:
            seconds = estimated[row["key"]]
        about = "about " if estimated is not None and row["key"] in estimated else ""
        cells.append(
            [
                *(_cell(row[name]) for name in fields),
                row["status"],
                f"{shown:.2%}" if shown is not None else "",
                f"{about}{seconds:.1f}" if seconds is not None else "",
            ]
        )
    more = len(specs) - len(rows)
    return console.columns(cells) + (f"\n… and {more:,} more" if more else "")


def _cell(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else "" if value is None else str(value)
    return text if len(text) <= 40 else text[:39] + "…"
