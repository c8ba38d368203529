"""`make studies`: our own studies, the law that the advice rests on, and the tables that two pages quote.

Does `dilute reproduce` for each of them with `results/gradients/` and `results/laws/` (hours on two cores, if all of it
is missing; `--draw-only` never trains), and writes the tables between their markers in docs/gradients.md and docs/laws.md,
and the fitted law of the advice into the package.
"""

from __future__ import annotations

import math
import shlex
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from paper import FIGURES_FOLDER, ROOT
from paper import STORE as PAPER_STORE
from readme import write_table

import dilute.advice
from dilute import cli
from dilute.advice import AdviceLaw
from dilute.files import write_file
from dilute.paper import FIGURES, Reproduction, chosen_figures, reproduce
from dilute.planning.pilot_recipe import pilot_recipe
from dilute.runs import Store
from dilute.studies import STUDIES, advice_law

STORE = ROOT / "results" / "gradients"
LAWS_STORE = ROOT / "results" / "laws"
RECIPE_STORE = ROOT / "results" / "recipe"
PAGE = ROOT / "docs" / "gradients.md"
LAWS_PAGE = ROOT / "docs" / "laws.md"
OF_LAWS = ("dilution-law", "plan-test")
OF_GRADIENTS = tuple(name for name in STUDIES if name not in OF_LAWS)
EXAMPLE = ROOT / "results" / "gradients-example.txt"
EXAMPLE_COMMAND = ["gradients", "mnist", "--model", "mlp1", "--alpha", "20", "--at", "0,50,400"]
PLAN_EXAMPLE = ROOT / "results" / "plan-example.txt"
PLAN_COMMAND = shlex.split(
    "plan results/laws --setting 'mnist conv4' --target 0.95 --alpha 20 --have 60000 --clean-price 0.1 --noisy-price 0.002 "
    "--relabel-price 0.05 --picture results/figures/plan-example.png"
)
LAW = Path(dilute.advice.__file__).parent / "power_laws.json"
COMMAND = "make studies"


def fitted_law(store: Store) -> AdviceLaw:
    """Return the law that the stored runs give."""
    records = [store.get(spec.key()) for spec in advice_law.specs("laptop")]
    assert all(records), "the store lacks runs of advice-law"
    law = advice_law.fitted(advice_law.select(advice_law.table(records), "laptop"))
    assert law is not None
    return law


def summaries(out: Path) -> dict[str, str]:
    """Return the table of each study of gradients, and of the paper's noise scale, from the stored runs; draw them in the folder `out`."""
    found: list[Reproduction] = [
        reproduce([STUDIES[name] for name in OF_GRADIENTS], "laptop", Store(STORE), out),
        reproduce(chosen_figures(["noise-scale"], FIGURES), "laptop", Store(PAPER_STORE), out),
    ]
    return {name: table for one in found for name, table in one.summaries.items()}


def law_tables(out: Path) -> dict[str, str]:
    """Return the tables of the page on laws from the stored runs; draw its figures in the folder `out`."""
    studies = [STUDIES[name] for name in OF_LAWS]
    found = reproduce(studies, "laptop", Store(LAWS_STORE), out)
    return {
        **found.summaries,
        "recipe": recipe_table(),
        "plan-example": example(PLAN_COMMAND, PLAN_EXAMPLE),
    }


def recipe_table() -> str:
    """Return in Markdown what was tried for the recipe of pilots: held-out clean accuracy by length and learning rate."""
    tried: dict[tuple[str, str, int, float], list[str]] = {}
    chosen: dict[tuple[str, str, int, float], str] = {}
    for record in sorted(Store(RECIPE_STORE).records(), key=lambda r: (r.steps or 0, r.key)):
        spec = record.spec
        cell = (spec["data"], spec["model"], spec["num_clean"], spec["alpha"])
        accuracy = record.curve[-1].heldout_accuracy
        rate = spec["learning_rate"]
        at = "" if rate == 1e-3 else f" at {rate:g}"
        tried.setdefault(cell, []).append(f"{record.steps:,}{at}: {100 * (accuracy or 0):.1f}")
        taken = pilot_recipe(spec["num_clean"], spec["alpha"])
        chosen[cell] = f"{taken['budget_steps']:,} at {taken['learning_rate']:g}"
    lines = [
        "| data, model | n | alpha | steps (at learning rates other than 0.001): held-out clean accuracy, % | recipe |",
        "| --- " * 5 + "|",
    ]
    for cell in sorted(tried):
        data, model, size, alpha = cell
        lines.append(
            f"| {data}, {model} | {size:,} | {alpha:g} | {'; '.join(tried[cell])} | {chosen[cell]} |"
        )
    return "\n".join(lines)


def cost_table() -> str:
    """Return in Markdown what looking at gradients cost the runs of the noise scale."""
    lines = ["| network | share of the time in steps, % | runs |", "| --- | --- | --- |"]
    shares: dict[str, list[float]] = {}
    for spec in FIGURES["noise-scale"].specs("laptop"):
        record = Store(PAPER_STORE).get(spec.key())
        assert record is not None
        share = (record.gradient_seconds or 0.0) / (record.training_seconds or math.nan)
        shares.setdefault(spec.model, []).append(share)
    for model, values in shares.items():
        median, low, high = (100 * of(values) for of in (statistics.median, min, max))
        lines.append(f"| {model} | {median:.1f} ({low:.1f} to {high:.1f}) | {len(values)} |")
    return "\n".join(lines)


def example(arguments: Sequence[str], kept: Path) -> str:
    """Return what a page's example prints, as a block of code; run once, in the root of the repository, and kept."""
    if not kept.exists():
        command = [sys.executable, "-m", "dilute", *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
        write_file(kept, done.stdout.encode())
    return f"```\n$ dilute {shlex.join(arguments)}\n{kept.read_text().strip()}\n```"


def main(arguments: Sequence[str]) -> int:
    """Run what is missing, draw, fit, and write the tables; `arguments` go to `dilute reproduce`."""
    for names, store in ((OF_GRADIENTS, STORE), (OF_LAWS, LAWS_STORE)):
        where = ["--store", str(store), "--out", str(FIGURES_FOLDER)]
        code = cli.main(["reproduce", *names, "--scale", "laptop", *where, *arguments])
        if code:
            return code
    write_file(LAW, (fitted_law(Store(STORE)).model_dump_json(indent=1) + "\n").encode())
    for name, table in {
        **summaries(FIGURES_FOLDER),
        "cost": cost_table(),
        "example": example(EXAMPLE_COMMAND, EXAMPLE),
    }.items():
        write_table(name, table, command=COMMAND, path=PAGE)
    for name, table in law_tables(FIGURES_FOLDER).items():
        write_table(name, table, command=COMMAND, path=LAWS_PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
