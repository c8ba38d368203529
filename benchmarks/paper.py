"""`make paper`: the paper's figures at laptop scale, and the tables that the README and docs/paper.md quote.

Trains what `results/paper/` lacks (hours on two cores, if all of it), draws into `results/figures/`, and
writes the tables between their markers. With every record present it only draws.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from readme import README, write_table

import dilute
from dilute.cli.console import sweep_progress
from dilute.paper import FIGURES, Reproduction, chosen_figures, claims_markdown, reproduce
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
    if result.interrupted:
        raise KeyboardInterrupt(f"{result.left} runs are left")


def figures_table(found: Reproduction) -> str:
    """Return the Markdown table: figure, command, core-minutes, the paper's value, ours."""
    lines = [
        "| figure | command | runs | core-minutes | the paper | ours |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in found.num_runs:
        judged = [one for one in found.claims if one.figure == name]
        figure = FIGURES[name]
        runs = found.num_runs[name]
        reported = "; ".join(one.claim.reported for one in judged) or "–"
        ours = (
            "; ".join(f"**{one.judgement.verdict}** (`{one.claim.id}`)" for one in judged)
            or "drawn"
        )
        lines.append(
            f"| [{figure.title}](results/figures/{name}.png) | `dilute reproduce {name}` | {runs} | "
            f"{found.seconds[name] / 60:.0f} | {reported} | {ours} |"
            if runs or figure.illustrates
            else f"| {figure.title} | `dilute reproduce {name} --scale paper` | 0 | – | {reported} | {ours} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Run what is missing, draw, and write the tables; with `--draw-only` train nothing."""
    store = Store(STORE)
    trainer = None if "--draw-only" in arguments else train
    try:
        found = reproduce(
            chosen_figures(["all"], FIGURES), "laptop", store, FIGURES_FOLDER, trainer
        )
        write_table("paper", figures_table(found), README)
        write_table("paper", claims_markdown(found.claims), PAGE)
    except dilute.DiluteError as error:
        print(f"paper: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        print(f"paper: interrupted: {error}", file=sys.stderr)
        return 130
    print(claims_markdown(found.claims))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
