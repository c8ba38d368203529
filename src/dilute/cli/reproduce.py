"""`dilute reproduce`: the paper's figures and claims, with a computed verdict each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dilute.cli import console, options, progress
from dilute.interruption import Interrupted

if TYPE_CHECKING:
    from dilute.data import Reading
    from dilute.paper import Reproduction
    from dilute.runs import RunSpec
    from dilute.sweeps import Place, Plan


@options.sweeping
@options.store
@options.reading
@options.json
@options.refuses("dry_run", "draw_only", "hang_seconds", options.engine)
@options.refuses("draw_only", options.sweeping.but("retry_failed"))
def reproduce(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="FIGURE…",
            help="fig1, …, noise-scale, all (of the paper); headline (its own sampling; hours); "
            "our studies: critical-batch, grouping, advice-law, dilution-law, plan-test.",
        ),
    ],
    sweeping: dict[str, Any],
    store: str,
    reading: Reading,
    json: bool,
    scale: Annotated[
        str,
        typer.Option(help="smoke (minutes, no verdicts), laptop (hours) or paper (GPUs, days)."),
    ] = "laptop",
    out: Annotated[Path, typer.Option(help="Folder for figures, tables and the claims.")] = Path(
        "figures"
    ),
    draw_only: Annotated[
        bool, typer.Option("--draw-only", help="Train nothing: an error if the store lacks a run.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count the runs and estimate the time; run nothing.")
    ] = False,
) -> None:
    """Train what is missing for figures of the paper, draw them, and judge its claims.

    Writes each figure as PNG, SVG and CSV, and the table of claims as Markdown and JSON. Interrupted,
    it goes on where it was; with every run in the store it only draws.

    Example: `dilute reproduce fig1 fig5 --scale smoke --store runs --out figures`
    """
    from dilute.data import data_folder_at
    from dilute.paper import FIGURES, chosen_figures, missing_runs
    from dilute.paper import reproduce as reproduce_figures
    from dilute.runs import Store
    from dilute.studies import STUDIES
    from dilute.sweeps import make_plan, run_sweep, share

    def train(specs: Sequence[RunSpec]) -> None:
        plan = make_plan(specs, reading=reading)
        _refuse_parts(specs, plan)
        with progress.sweep_progress() as on_progress:
            result = run_sweep(
                plan,
                kept,
                keep_weights=False,
                on_progress=on_progress,
                **sweeping,
            )
        for key, message in result.failures.items():
            console.say(f"failed: run {key}: {message}")
        if result.interrupted:
            raise Interrupted(
                f"{result.left:,} of {len(result.specs):,} runs are left; the same command goes on with them"
            )

    chosen = chosen_figures(names, {**FIGURES, **STUDIES})
    kept = Store(store)
    if dry_run:
        with data_folder_at(reading.data_dir):
            missing = missing_runs(chosen, scale, kept)  # type: ignore[arg-type]
        uncounted = [
            figure.name
            for figure in chosen
            if any(spec in missing[figure.name] for spec in figure.references(scale))  # type: ignore[arg-type]
        ]
        _show_missing(
            missing,
            uncounted,
            scale,
            share(*(sweeping[name] for name in ("workers", "threads", "device", "loader_workers"))),
            reading,
            json=json,
        )
        return
    with data_folder_at(reading.data_dir):
        found = reproduce_figures(
            chosen,
            scale,  # type: ignore[arg-type]
            kept,
            out,
            None if draw_only else train,
            retry_failed=sweeping["retry_failed"],
        )
    if json:
        console.print_json(
            {
                "scale": scale,
                "claims": [one.row() for one in found.claims],
                "summaries": found.summaries,
                "files": [str(path) for path in found.files],
                "runs": {one.figure.name: one.num_runs for one in found.figures},
                "core_seconds": {one.figure.name: one.core_seconds for one in found.figures},
                "unfinished": {one.figure.name: one.num_unfinished for one in found.figures},
            }
        )
    else:
        _print(found)
    for one in found.figures:
        if one.num_unfinished:
            console.say(
                f"note: {one.num_unfinished} runs of {one.figure.name} failed or diverged and are left out; "
                "--retry-failed does the failed ones again"
            )
        if one.parts:
            console.say(f"note: {one.figure.name} is of parts of sets: {', '.join(one.parts)}")


def _show_missing(
    missing: Mapping[str, Sequence[RunSpec]],
    uncounted: Sequence[str],
    scale: str,
    places: Sequence[Place],
    reading: Reading,
    *,
    json: bool,
) -> None:
    """Print how many runs each figure lacks, and how long they would take here.

    Arguments:
        uncounted: figures whose other runs follow from a reference that is missing, too.
    """
    from dilute.sweeps import estimate_seconds, make_plan

    counts = {name: len(specs) for name, specs in missing.items()}
    unique = {spec.key(): spec for specs in missing.values() for spec in specs}
    seconds = 0.0
    if unique:
        plan = make_plan(unique.values(), reading=reading)
        seconds = estimate_seconds(
            plan,
            plan.specs.values(),
            workers=len(places),
            threads=places[0].threads,
            device=places[0].device,
            on_kind=lambda kind: console.say(f"timing {kind}"),
        ).seconds
    if json:
        console.print_json(
            {
                "scale": scale,
                "to_do": counts,
                "uncounted": uncounted,
                "runs": len(unique),
                "estimated_seconds": seconds,
            }
        )
        return
    print(console.columns([["figure", "to do"], *([name, str(n)] for name, n in counts.items())]))
    print(
        f"{len(unique):,} runs to do at {scale} scale, about {console.duration(seconds)} with {len(places)} "
        "workers (on this machine, from a few steps of each model; shared runs counted once)"
    )
    if uncounted:
        console.say(
            "note: not counted are the runs that follow from a reference, which is to be trained first: "
            f"{', '.join(uncounted)}"
        )


def _refuse_parts(specs: Sequence[RunSpec], plan: Plan) -> None:
    """Refuse to train on a part of a public set, which is not what a figure is about.

    Errors: `DataError`.
    """
    from dilute.errors import DataError

    wanted = {spec.data for spec in specs}
    for name in sorted({spec.data for spec in plan.specs.values()} - wanted):
        raise DataError(
            f"what is here of {name.partition('@')[0].removeprefix('streamed-')} is a part of it ({name}), but the "
            "figure is about the whole; complete it, or use dilute sweep for runs on the part"
        )


def _print(found: Reproduction) -> None:
    """Print the verdicts, each claim in a few lines, and where the pictures are."""
    for one in found.claims:
        claim, judgement = one.claim, one.judgement
        print(f"{claim.id} ({claim.source}): {judgement.verdict.upper()} [{one.scale}]")
        print(f"  paper: {claim.text} ({claim.reported})")
        print(f"  ours ({judgement.num_runs} runs): {judgement.finding}")
    for name, table in found.summaries.items():
        print(f"{name}:\n{table}")
    folders = sorted({str(path.parent) for path in found.files})
    print(f"{len(found.files)} files written to {', '.join(folders)}")
