"""`make paper`: the paper's figures at laptop scale, and the tables that the README and docs/paper.md quote.

Does `dilute reproduce all headline` with `results/paper/` and `results/figures/`, which trains what is
missing (hours on two cores, if all of it; `--draw-only` never does), and writes the tables between their
markers.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from readme import write_table

from dilute import cli
from dilute.paper import (
    FIGURES,
    Reproduction,
    chosen_figures,
    claims_markdown,
    notes_markdown,
    reproduce,
)
from dilute.runs import Store

ROOT = Path(__file__).parent.parent
STORE = ROOT / "results" / "paper"
FIGURES_FOLDER = ROOT / "results" / "figures"
PAGE = ROOT / "docs" / "paper.md"
COMMAND = "make paper"


def claims_tables(found: Reproduction) -> str:
    """Return in Markdown the table of claims, and what the runs of each figure are."""
    rows = [claim.row() for claim in found.claims]
    return f"{claims_markdown(rows)}\n\n{notes_markdown(found.figures)}"


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
            f"{claim.judgement.brief or claim.judgement.finding}: **{claim.judgement.verdict}**"
            for claim in judged
        )
        if figure.name in found.summaries and not judged:
            ours = f"[a table](docs/paper.md#{figure.name})"
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
        "Figures 8 and 9 share their runs, and 10 and 11 some; figure 1 shows single draws of the last row. "
        "Core-minutes: seconds of the runs times their threads, on "
        f"{first.hardware['processor']} ({first.hardware['capability']}), PyTorch {first.versions['torch']}.",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Run what is missing, draw, and write the tables; `arguments` go to `dilute reproduce`."""
    names = ["all", "headline"]
    where = ["--store", str(STORE), "--out", str(FIGURES_FOLDER)]
    code = cli.main(["reproduce", *names, "--scale", "laptop", *where, *arguments])
    if code:
        return code
    found = reproduce(chosen_figures(names, FIGURES), "laptop", Store(STORE), FIGURES_FOLDER)
    write_table("paper", figures_table(found), command=COMMAND)
    write_table("paper", claims_tables(found), command=COMMAND, path=PAGE)
    write_table("headline", found.summaries["headline"], command=COMMAND, path=PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
