"""`make paper`: the paper's figures at laptop scale, and the tables that the README and docs/paper.md quote.

Trains what `results/paper/` lacks (hours on two cores, if all of it), draws into `results/figures/`, and
writes the tables between their markers. With every record present it only draws. `--draw-only` never
trains, `--headline` adds the runs at the paper's own sampling (hours more).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from readme import README, write_table

import dilute
from dilute.cli.console import sweep_progress
from dilute.paper import (
    FIGURES,
    Reproduction,
    chosen_figures,
    claims_markdown,
    notes_markdown,
    reproduce,
)
from dilute.runs import RunSpec
from dilute.store import Store
from dilute.sweeps import run_sweep

ROOT = Path(__file__).parent.parent
STORE = ROOT / "results" / "paper"
FIGURES_FOLDER = ROOT / "results" / "figures"
PAGE = ROOT / "docs" / "paper.md"


def train(specs: Sequence[RunSpec]) -> None:
    """Do the runs that the store lacks."""
    with sweep_progress() as on_progress:
        result = run_sweep(specs, STORE, keep_weights=False, on_progress=on_progress)
    for key, message in result.failures.items():
        print(f"failed: run {key}: {message}", file=sys.stderr)
    if result.interrupted:
        raise KeyboardInterrupt(f"{result.left} runs are left")


def figures_table(found: Reproduction) -> str:
    """Return the Markdown table: figure, command, core-minutes, the paper's value, ours."""
    lines = [
        "| figure | command | runs | core-minutes | the paper | ours |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in found.figures:
        figure = one.figure
        judged = [claim for claim in found.claims if claim.figure == figure.name]
        reported = "; ".join(claim.claim.reported for claim in judged) or "–"
        ours = "; ".join(
            f"**{claim.judgement.verdict}** (`{claim.claim.id}`): {claim.judgement.finding}"
            for claim in judged
        )
        is_drawn = bool(one.records) or figure.illustrates
        title = f"[{figure.title}](results/figures/{figure.name}.png)" if is_drawn else figure.title
        command = f"`dilute reproduce {figure.name}`" + ("" if is_drawn else " `--scale paper`")
        minutes = f"{one.core_seconds / 60:.0f}" if one.num_runs else "–"
        lines.append(
            f"| {title} | {command} | {one.num_runs} | {minutes} | {reported} | {ours or 'drawn'} |"
        )
    first = next(record for one in found.figures for record in one.records)
    lines += [
        "",
        "Figures 8 and 9 share their runs, and 10 and 11 some. Core-minutes: seconds of the runs times their threads, on "
        f"{first.hardware['processor']} ({first.hardware['capability']}), PyTorch {first.versions['torch']}.",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Run what is missing, draw, and write the tables; with `--draw-only` train nothing."""
    chosen = chosen_figures(["all", "headline"] if "--headline" in arguments else ["all"], FIGURES)
    trainer = None if "--draw-only" in arguments else train
    try:
        found = reproduce(chosen, "laptop", Store(STORE), FIGURES_FOLDER, trainer)
        write_table("paper", figures_table(found), README)
        rows = [claim.row() for claim in found.claims]
        write_table("paper", f"{claims_markdown(rows)}\n\n{notes_markdown(found.figures)}", PAGE)
    except dilute.DiluteError as error:
        print(f"paper: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        print(f"paper: interrupted: {error}", file=sys.stderr)
        return 130
    print(claims_markdown(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
