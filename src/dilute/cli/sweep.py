"""`dilute sweep`: many runs from one file, each once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dilute.cli import console, options
from dilute.interruption import Interrupted

if TYPE_CHECKING:
    from dilute.runs import RunRecord, RunSpec, Store
    from dilute.sweeps import Plan, SweepResult

_MOST_ROWS = 40


def sweep(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="YAML with base, grid, zip and list.")
    ],
    store: options.RunStore = "runs",
    workers: options.Workers = None,
    threads: options.Threads = None,
    device: options.WorkerDevice = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the runs and estimate the time; run nothing.")
    ] = False,
    retry_failed: options.RetryFailed = False,
    loader_workers: options.LoaderWorkers = 0,
    hang_seconds: options.HangSeconds = 900.0,
    engine: options.Engine = "local",
    address: options.Address = None,
    gpus_per_run: options.GpusPerRun = None,
    no_weights: Annotated[
        bool, typer.Option("--no-weights", help="Keep records alone, without trained weights.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Do part I of N, as 1/8: for the jobs of an array, one store for all.",
        ),
    ] = None,
    data_dir: options.DataDir = None,
    resize: options.Resize = None,
    stream: options.Stream = None,
    on_corrupt: options.OnCorrupt = "fail",
    json: options.Json = False,
) -> None:
    """Do all runs that a file describes and the store lacks.

    The file gives `base` (fields that all runs share), `grid` (field to list: every combination), `zip`
    (lists walked together) and `list` (mappings). A run that fails is recorded and costs no other. The
    same sweep again goes on with what is left.

    Example: `dilute sweep sweep.yaml --store runs --workers 2`
    """
    from dilute.runs import Store
    from dilute.sweeps import make_plan, part_of, read_sweep, run_sweep, share, stored_runs

    cluster = options.cluster(engine, address, gpus_per_run)
    kept = Store(store)
    specs = read_sweep(file)
    reading = options.reading_of(data_dir, resize, stream, on_corrupt)
    plan = make_plan(part_of(specs, shard) if shard else specs, reading=reading)
    if dry_run:
        places = share(workers, threads, device, loader_workers)
        found = stored_runs(plan, kept)
        again = {key: plan.specs[key] for key in found.failed} if retry_failed else {}
        _show_plan(plan, kept, {**found.missing, **again}, len(places), places[0], json=json)
        return
    with console.sweep_progress() as on_progress:
        result = run_sweep(
            plan,
            kept,
            workers=workers,
            threads=threads,
            device=device,
            retry_failed=retry_failed,
            keep_weights=not no_weights,
            loader_workers=loader_workers,
            hang_seconds=hang_seconds,
            cluster=cluster,
            on_progress=on_progress,
        )
    _show_result(result, kept, json=json)
    if result.interrupted:
        raise Interrupted(
            f"{result.left:,} of {len(result.specs):,} runs are left ({result.checkpointed} with a "
            "checkpoint); the same command goes on with them"
        )
    if result.failed:
        raise typer.Exit(1)


def _show_plan(
    plan: Plan,
    store: Store,
    to_do: Mapping[str, RunSpec],
    workers: int,
    place: Any,
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
        f"thread{'s' if place.threads > 1 else ''} (on this machine, from a few steps of each model)"
    )


def _show_result(result: SweepResult, store: Store, *, json: bool) -> None:
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
    """Return the first runs as a table: what varies, status, accuracy of the selected (else the last) model, seconds."""
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
