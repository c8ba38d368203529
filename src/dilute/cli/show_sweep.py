"""What a sweep would do and has done, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dilute.cli import console

if TYPE_CHECKING:
    from dilute.runs import RunRecord, RunSpec, Store
    from dilute.sweeps import Place, Plan, SweepResult, TimeEstimate

_MOST_ROWS = 40


def places(sweeping: Mapping[str, Any]) -> list[Place]:
    """Return where a sweep would do its runs; `sweeping` is as `options.sweeping` gives it."""
    from dilute.sweeps import share

    names = ("workers", "threads", "device", "loader_workers")
    return share(**{name: sweeping[name] for name in names})


def estimated(plan: Plan, specs: Iterable[RunSpec], places: Sequence[Place]) -> TimeEstimate:
    """Return how long runs of a plan would take, and say what is timed."""
    from dilute.sweeps import estimate_seconds

    return estimate_seconds(
        plan,
        specs,
        workers=len(places),
        threads=places[0].threads,
        device=places[0].device,
        on_kind=lambda kind: console.say(f"timing {kind}"),
    )


def show_plan(plan: Plan, store: Store, sweeping: Mapping[str, Any], *, json: bool) -> None:
    """Print what a sweep would do, and how long it would take."""
    from dilute.sweeps import stored_runs

    found = stored_runs(plan, store)
    again = found.failed if sweeping["retry_failed"] else ()
    to_do = [spec for key, spec in plan.specs.items() if key in found.missing or key in again]
    where = places(sweeping)
    times = estimated(plan, to_do, where)
    num_all, num_to_do, threads = len(plan.specs), len(to_do), where[0].threads
    if json:
        rows = [
            {**row, "estimated_seconds": times.run_seconds.get(row["key"])}
            for row in _rows(plan.specs, store)
        ]
        console.print_json(
            {
                "total": num_all,
                "there": num_all - num_to_do,
                "to_do": num_to_do,
                "workers": len(where),
                "threads": threads,
                "estimated_seconds": times.seconds,
                "runs": rows,
            }
        )
        return
    print(_table(plan.specs, store, times.run_seconds))
    print(
        f"{num_all:,} runs: {num_all - num_to_do:,} there, {num_to_do:,} to do; about "
        f"{console.duration(times.seconds)} with {len(where)} workers of {threads} "
        f"thread{'s' if threads > 1 else ''} (on this machine, from a few steps of each model)"
    )


def show_result(result: SweepResult, store: Store, *, json: bool) -> None:
    """Print what came of each run of a sweep, and of how many."""
    names = {"done": "done", "known": "known before"}
    names |= {name: name for name in ("failed", "diverged", "left")}
    counts = {name: getattr(result, name) for name in names}
    if json:
        rows = list(_rows(result.specs, store))
        interrupted = {"interrupted": result.interrupted}
        console.print_json({"total": len(result.specs), **counts, **interrupted, "runs": rows})
        return
    print(_table(result.specs, store))
    numbers = [f"{counts[name]:,} {words}" for name, words in names.items() if counts[name]]
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
    specs: Mapping[str, RunSpec], store: Store, times: Mapping[str, float] = MappingProxyType({})
) -> str:
    """Return the first runs as a table: what varies, status, accuracy and seconds.

    The accuracy is that of the selected model, else of the last.
    """
    rows = list(_rows(specs, store, _MOST_ROWS))
    outcome = ("key", "status", "accuracy", "seconds", "message")
    fields = [name for name in rows[0] if name not in outcome]
    cells = [[*fields, "status", "accuracy", "seconds"]]
    for row in rows:
        accuracy = row["accuracy"] or {}
        shown = accuracy.get("selected", accuracy.get("last"))
        seconds = times.get(row["key"], row["seconds"])
        about = "about " if row["key"] in times else ""
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
