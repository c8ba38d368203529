"""`dilute reproduce`: the paper's figures and other studies, with a verdict on each claim."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dilute.cli import console, described, options, progress, show_sweep
from dilute.cli.described import MISSING
from dilute.cli.from_models import option
from dilute.cli.groups import ARGUMENTS, Option, single

if TYPE_CHECKING:
    from dilute.data import Reading
    from dilute.runs import Store
    from dilute.study import Reproduction, Study
    from dilute.sweeps import SweepProgress


def _study() -> Option:
    paper = described.names_of("dilute.studies.paper", "Study")
    ours = [name for name in described.names_of("dilute.studies", "Study") if name not in paper]
    figures = sorted((name for name in paper if name != "headline"), key=lambda name: int(name[3:]))
    text = (
        f"Of the paper: {', '.join(figures)}; all for these and noise-scale; headline (hours). "
        f"Ours: {', '.join(ours)}, compare-mlp1, …. Your own: my_study.py or module:name."
    )
    return option(described.Described("study", list[str], MISSING, text), ARGUMENTS, help=text)


_LIBRARY = ("dilute.studies", "reproduce")
_SCALE = options.argument(
    *_LIBRARY,
    "scale",
    help="How much: smoke (minutes, no verdicts), laptop (hours) or paper (GPUs, days).",
)
_OUT = options.argument(*_LIBRARY, "out", help="Folder for figures, tables and the claims.")


@single("study", _study)
@_SCALE
@_OUT
@options.sweeping
@options.reading
@options.store
@options.json
@options.refuses("dry_run", "draw_only", "out", "hang_seconds", options.engine)
@options.refuses("draw_only", options.sweeping.but("retry_failed"))
def reproduce(
    study: list[str],
    scale: Any,
    out: Path,
    sweeping: dict[str, Any],
    reading: Reading,
    store: str,
    json: bool,
    draw_only: bool = False,
    dry_run: bool = False,
) -> None:
    """Train what is missing for the paper's figures and other studies, draw them, judge claims.

    Writes each picture as PNG, SVG and CSV, and the table of claims as Markdown and JSON.
    Interrupted, it goes on where it was; with every run in the store it only draws.

    Example: `dilute reproduce fig1 fig5 --scale smoke --store runs --out figures`

    Options:
        draw_only: train nothing: an error if the store lacks a run.
        dry_run: count the runs and estimate the time; run nothing.
    """
    import dilute
    from dilute.runs import Store
    from dilute.studies import chosen_studies
    from dilute.study import Sweeping

    chosen = chosen_studies(study)
    if dry_run:
        _show_missing(chosen, scale, Store(store), reading, sweeping, json=json)
        return
    with ExitStack() as shown:
        found = dilute.reproduce(
            chosen,
            scale=scale,
            store=store,
            out=out,
            draw_only=draw_only,
            sweeping=Sweeping(on_progress=_when_needed(shown), reading=reading, **sweeping),
        )
    if json:
        console.print_json(
            {
                "scale": scale,
                "claims": [one.row() for one in found.claims],
                "summaries": found.summaries,
                "files": [str(path) for path in found.files],
                "runs": {one.study.name: one.num_runs for one in found.studies},
                "core_seconds": {one.study.name: one.core_seconds for one in found.studies},
                "unfinished": {one.study.name: one.num_unfinished for one in found.studies},
            }
        )
    else:
        _print(found)
    _say_what_is_left_out(found)


def _when_needed(shown: ExitStack) -> Callable[[SweepProgress], None]:
    """Return an `on_progress` that shows nothing before the first run is under way."""
    show: Callable[[SweepProgress], None] | None = None

    def on_progress(now: SweepProgress) -> None:
        nonlocal show
        if show is None:
            show = shown.enter_context(progress.sweep_progress())
        show(now)

    return on_progress


def _say_what_is_left_out(found: Reproduction) -> None:
    failed = {
        record.key: record.message
        for one in found.studies
        for record in (*one.records, *one.extras)
        if record.status == "failed"
    }
    for key, message in failed.items():
        console.say(f"failed: run {key}: {message}")
    for one in found.studies:
        if one.num_unfinished:
            console.say(
                f"note: {one.num_unfinished} runs of {one.study.name} failed or diverged and are "
                "left out; --retry-failed does the failed ones again"
            )
        if one.parts:
            console.say(f"note: {one.study.name} is of parts of sets: {', '.join(one.parts)}")


def _show_missing(
    chosen: Sequence[Study],
    scale: Any,
    store: Store,
    reading: Reading,
    sweeping: dict[str, Any],
    *,
    json: bool,
) -> None:
    """Print how many runs each study lacks, and how long they would take here."""
    from dilute.study import missing_runs
    from dilute.sweeps import make_plan

    missing = missing_runs(chosen, scale, store, reading)
    uncounted = [
        study.name
        for study in chosen
        if any(spec in missing[study.name] for spec in study.references(scale))
    ]
    measured = [study.name for study in chosen if study.measure is not None]
    counts = {name: len(specs) for name, specs in missing.items()}
    unique = {spec.key(): spec for specs in missing.values() for spec in specs}
    places = show_sweep.places(sweeping)
    seconds = 0.0
    if unique:
        plan = make_plan(unique.values(), reading=reading)
        seconds = show_sweep.estimated(plan, plan.specs.values(), places).seconds
    if json:
        console.print_json(
            {
                "scale": scale,
                "to_do": counts,
                "uncounted": [*uncounted, *measured],
                "runs": len(unique),
                "estimated_seconds": seconds,
            }
        )
        return
    print(console.columns([["study", "to do"], *([name, str(n)] for name, n in counts.items())]))
    print(
        f"{len(unique):,} runs to do at {scale} scale, about {console.duration(seconds)} "
        f"with {len(places)} workers (on this machine, from a few steps of each model; shared "
        "runs counted once)"
    )
    if uncounted:
        console.say(
            "note: not counted are the runs that follow from a reference, which is to be trained "
            f"first: {', '.join(uncounted)}"
        )
    if measured:
        console.say(f"note: not counted is what is measured without runs: {', '.join(measured)}")


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
