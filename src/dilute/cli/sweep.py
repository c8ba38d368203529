"""`dilute sweep`: many runs from one file, each once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dilute.cli import options, progress, show_sweep
from dilute.interruption import Interrupted

if TYPE_CHECKING:
    from dilute.data import Reading


@options.store
@options.sweeping
@options.reading
@options.json
@options.refuses("dry_run", "hang_seconds", "no_weights", options.engine)
def sweep(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="YAML with base, grid, zip and list.")
    ],
    store: str,
    sweeping: dict[str, Any],
    reading: Reading,
    json: bool,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the runs and estimate the time; run nothing.")
    ] = False,
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
) -> None:
    """Do all runs that a file describes and the store lacks.

    The file gives `base` (fields that all runs share), `grid` (field to list: every combination),
    `zip` (lists walked together) and `list` (mappings). A run that fails is recorded and costs no
    other. The same sweep again goes on with what is left.

    Example: `dilute sweep sweep.yaml --store runs --workers 2`
    """
    from dilute.runs import Store
    from dilute.sweeps import make_plan, part_of, read_sweep, run_sweep, share, stored_runs

    kept = Store(store)
    specs = read_sweep(file)
    plan = make_plan(part_of(specs, shard) if shard else specs, reading=reading)
    if dry_run:
        names = ("workers", "threads", "device", "loader_workers")
        places = share(**{name: sweeping[name] for name in names})
        found = stored_runs(plan, kept)
        to_do = dict(found.missing)
        if sweeping["retry_failed"]:
            to_do |= {key: plan.specs[key] for key in found.failed}
        show_sweep.show_plan(plan, kept, to_do, len(places), places[0], json=json)
        return
    with progress.sweep_progress() as on_progress:
        result = run_sweep(
            plan, kept, keep_weights=not no_weights, on_progress=on_progress, **sweeping
        )
    show_sweep.show_result(result, kept, json=json)
    if result.interrupted:
        raise Interrupted(
            f"{result.left:,} of {len(result.specs):,} runs are left ({result.checkpointed} with a "
            "checkpoint); the same command goes on with them"
        )
    if result.failed:
        raise typer.Exit(1)
