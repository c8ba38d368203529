"""`dilute reproduce`: the paper's figures and claims, with a computed verdict each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dilute.cli import console, options

if TYPE_CHECKING:
    from dilute.paper import Reproduction
    from dilute.runs import RunSpec


def reproduce(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="FIGURE…",
            help="fig1, …, all (of the paper), or headline (its own sampling; hours).",
        ),
    ],
    scale: Annotated[
        str,
        typer.Option(help="smoke (minutes, no verdicts), laptop (hours) or paper (GPUs, days)."),
    ] = "laptop",
    store: Annotated[
        Path, typer.Option(help="Folder of records: answered from, and written to.")
    ] = Path("runs"),
    out: Annotated[Path, typer.Option(help="Folder for figures, tables and the claims.")] = Path(
        "figures"
    ),
    draw_only: Annotated[
        bool, typer.Option("--draw-only", help="Train nothing: an error if the store lacks a run.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Do runs again that failed before.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Processes; one per core, or per GPU, if not given.", min=1)
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads per worker; its share of the cores.", min=1)
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda:1, …; the GPUs in turn if there are some.")
    ] = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Train what is missing for figures of the paper, draw them, and judge its claims.

    Writes each figure as PNG, SVG and CSV, and the table of claims as Markdown and JSON. Interrupted,
    it goes on where it was; with every run in the store it only draws.

    Example: `dilute reproduce fig1 fig5 --scale smoke --store runs --out figures`
    """
    from dilute.paper import FIGURES, chosen_figures
    from dilute.paper import reproduce as reproduce_figures
    from dilute.store import Store
    from dilute.sweeps import run_sweep

    def train(specs: Sequence[RunSpec]) -> None:
        with console.sweep_progress() as on_progress:
            result = run_sweep(
                specs,
                kept,
                workers=workers,
                threads=threads,
                device=device,
                data_dir=data_dir,
                retry_failed=retry_failed,
                keep_weights=False,
                on_progress=on_progress,
            )
        if result.interrupted:
            raise KeyboardInterrupt(
                f"{result.left:,} of {len(result.specs):,} runs are left; the same command goes on with them"
            )
        for key, message in result.failures.items():
            console.say(f"failed: run {key}: {message}")

    chosen = chosen_figures(names, FIGURES)
    kept = Store(store)
    found = reproduce_figures(chosen, scale, kept, out, None if draw_only else train)  # type: ignore[arg-type]
    if json:
        console.print_json(
            {
                "scale": scale,
                "claims": [one.row() for one in found.claims],
                "files": [str(path) for path in found.files],
                "runs": found.num_runs,
                "seconds": found.seconds,
                "unfinished": found.unfinished,
            }
        )
    else:
        _print(found)
    if found.unfinished:
        counts = ", ".join(f"{count} of {name}" for name, count in found.unfinished.items())
        console.say(f"note: some runs failed or diverged ({counts}) and are left out")


def _print(found: Reproduction) -> None:
    """Print the verdicts, each claim in a few lines, and where the pictures are."""
    for one in found.claims:
        claim, judgement = one.claim, one.judgement
        print(f"{claim.id} ({claim.source}): {judgement.verdict.upper()} [{one.scale}]")
        print(f"  paper: {claim.text} ({claim.reported})")
        print(f"  ours ({judgement.num_runs} runs): {judgement.finding}")
    folders = sorted({str(path.parent) for path in found.files})
    print(f"{len(found.files)} files written to {', '.join(folders)}")
