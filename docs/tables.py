"""`make docs-tables`: every table of results in the README and the pages, from what is stored.

Makes each study of what `results/` has of it, draws its pictures into `results/figures/`, and
writes the tables between their markers. Nothing is trained. With `--train` (`make studies`) what is
missing is trained and measured first, which takes days on two cores if all of it is missing, and
the law that the advice rests on is fitted anew. Names of groups (`paper gradients laws compare
measured benchmarks`) choose some of them.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import dilute.advice
from dilute.files import write_file
from dilute.planning.pilot_recipe import pilot_recipe
from dilute.runs import RunSpec, Store
from dilute.studies import ALL, advice_law, advice_pays, chosen_studies, full_scale, noise_scale
from dilute.studies import method_comparison as methods
from dilute.study import Reproduction, claims_markdown, notes_markdown, reproduce_studies
from dilute.study.pages import markdown_table, write_table
from dilute.study.sweeping import Sweeping
from dilute.study.writing import Format

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "results"
FIGURES = RESULTS / "figures"
DOCS = ROOT / "docs"
README = ROOT / "README.md"
LAW = Path(dilute.advice.__file__).parent / "power_laws.json"
COMPARISONS = tuple(study.name for study in methods.STUDIES)

Tables = Mapping[tuple[Path, str], str]
"""Texts by page and name of markers."""


def paper_tables(found: Reproduction) -> Tables:
    """Return the tables of figures and claims of the paper."""
    page = DOCS / "paper.md"
    return {
        (README, "paper"): figures_markdown(found),
        (page, "paper"): claims_and_notes(found),
        (page, "headline"): found.summaries["headline"],
        (DOCS / "gradients.md", "noise-scale"): found.summaries["noise-scale"],
        (DOCS / "gradients.md", "cost"): noise_scale.cost_markdown(
            next(one.records for one in found.studies if one.study.name == "noise-scale")
        ),
    }


def claims_and_notes(found: Reproduction) -> str:
    """Return in Markdown the table of claims, and what the runs of each figure are."""
    rows = [claim.row() for claim in found.claims]
    return f"{claims_markdown(rows)}\n\n{notes_markdown(found.studies)}"


def figures_markdown(found: Reproduction) -> str:
    """Return the Markdown table: figure, command, core-minutes, the paper's value, ours."""
    rows = []
    for one in found.studies:
        study = one.study
        judged = [claim for claim in found.claims if claim.study == study.name]
        reported = "; ".join(claim.claim.reported for claim in judged) or "–"
        ours = "; ".join(
            f"{claim.judgement.brief or claim.judgement.finding}: **{claim.judgement.verdict}**"
            for claim in judged
        )
        if study.name in found.summaries and not judged:
            ours = f"[a table](docs/paper.md#{study.name})"
        is_drawn = study.name in found.data
        title = f"[{study.title}](results/figures/{study.name}.png)" if is_drawn else study.title
        command = f"`dilute reproduce {study.name}`" + ("" if is_drawn else " `--scale paper`")
        minutes = f"{one.core_seconds / 60:.0f}" if one.num_runs else "–"
        rows.append([title, command, f"{one.num_runs}", minutes, reported, ours or "drawn"])
    table = markdown_table(["figure", "command", "runs", "core-minutes", "the paper", "ours"], rows)
    first = next(record for one in found.studies for record in one.records)
    return (
        f"{table}\n\n"
        "Figures 8 and 9 share their runs, and 10 and 11 some; figure 1 shows single draws of the "
        "last row. Core-minutes: seconds of the runs times their threads, on "
        f"{first.hardware['processor']} ({first.hardware['capability']}), "
        f"PyTorch {first.versions['torch']}."
    )


def gradient_tables(found: Reproduction) -> Tables:
    """Return the tables of the page on gradients."""
    page = DOCS / "gradients.md"
    texts = {
        **{name: text for name, text in found.summaries.items() if name != "advice-pays"},
        "advice": found.summaries["advice-pays"],
        "example": printed(
            "gradients mnist --model mlp1 --alpha 20 --at 0,50,400",
            RESULTS / "gradients-example.txt",
        ),
    }
    return {(page, name): text for name, text in texts.items()}


def law_tables(found: Reproduction) -> Tables:
    """Return the tables of the page on laws."""
    texts = {
        **found.summaries,
        "recipe": recipe_markdown(Store(RESULTS / "recipe")),
        "plan-example": printed(
            "plan results/laws --setting 'mnist conv4' --target 0.95 --alpha 20 --have 60000 "
            "--clean-price 0.1 --noisy-price 0.002 --relabel-price 0.05 "
            "--picture results/figures/plan-example.png",
            RESULTS / "plan-example.txt",
        ),
    }
    return {(DOCS / "laws.md", name): text for name, text in texts.items()}


def recipe_markdown(store: Store) -> str:
    """Return what was tried for the recipe of pilots: held-out accuracy by length and rate."""
    tried: dict[tuple[str, str, int, float], list[str]] = {}
    chosen: dict[tuple[str, str, int, float], str] = {}
    for record in sorted(store.records(), key=lambda r: (r.steps or 0, r.key)):
        spec = record.spec
        cell = (spec["data"], spec["model"], spec["num_clean"], spec["alpha"])
        accuracy = record.curve[-1].heldout_accuracy
        rate = spec["learning_rate"]
        at = "" if rate == 1e-3 else f" at {rate:g}"
        tried.setdefault(cell, []).append(f"{record.steps:,}{at}: {100 * (accuracy or 0):.1f}")
        taken = pilot_recipe(spec["num_clean"], spec["alpha"])
        chosen[cell] = f"{taken['budget_steps']:,} at {taken['learning_rate']:g}"
    heads = ["data, model", "n", "alpha"]
    heads += ["steps (at learning rates other than 0.001): held-out clean accuracy, %", "recipe"]
    rows = [
        [
            f"{data}, {model}",
            f"{size:,}",
            f"{alpha:g}",
            "; ".join(tried[data, model, size, alpha]),
            chosen[data, model, size, alpha],
        ]
        for data, model, size, alpha in sorted(tried)
    ]
    return markdown_table(heads, rows)


def comparison_tables(found: Reproduction) -> Tables:
    """Return the tables of the page on methods, each with its picture, and that of the goals."""
    page = DOCS / "methods.md"
    texts = {"compare-goals": methods.goals_markdown(found.data)}
    for name, table in found.summaries.items():
        setting = table.partition("\n")[0].strip("*")
        picture = f"![{setting}: accuracy by method](../results/figures/{name}.png)"
        texts[name] = f"{table}\n\n{picture}"
    return {(page, name): text for name, text in texts.items()}


def measured_tables(found: Reproduction) -> Tables:
    """Return the tables of the pages on estimates and on full scale."""
    full = full_scale.page_tables(found.data["full-scale"])
    return {
        (DOCS / "estimate.md", "estimate"): found.summaries["planted-noise"],
        **{(DOCS / "full-scale.md", name): text for name, text in full.items()},
    }


def benchmark_tables() -> Tables:
    """Return the tables of what was measured of speed and memory."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import engines
    import loader

    def stored(name: str) -> dict[str, object]:
        found: dict[str, object] = json.loads((RESULTS / f"{name}.json").read_text())
        return found

    return {
        (README, "bench"): (RESULTS / "benchmarks.md").read_text(),
        (DOCS / "large-data.md", "loader"): loader.table(stored("loader")),
        (DOCS / "cluster.md", "engines"): engines.table(stored("engines")),
    }


def printed(command: str, kept: Path) -> str:
    """Return what a page's example prints, as a block of code; it is run once, and kept."""
    words = shlex.split(command)
    if not kept.exists():
        process = [sys.executable, "-m", "dilute", *words]
        done = subprocess.run(process, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
        write_file(kept, done.stdout.encode())
    return f"```\n$ dilute {shlex.join(words)}\n{kept.read_text().strip()}\n```"


GROUPS: dict[str, tuple[Sequence[str], Callable[[Reproduction], Tables]]] = {
    "paper": ((*ALL, "headline"), paper_tables),
    "gradients": (("critical-batch", "grouping", "advice-law", "advice-pays"), gradient_tables),
    "laws": (("dilution-law", "plan-test"), law_tables),
    "compare": (COMPARISONS, comparison_tables),
    "measured": (("planted-noise", "full-scale"), measured_tables),
}
"""Studies by the store in `results/` that has their runs, and what makes their tables."""


def made(
    group: str, out: Path, train: bool = False, formats: Sequence[Format] = ("csv", "png")
) -> Reproduction:
    """Return what came of the studies of a group; their files go to the folder `out`."""
    store = Store(RESULTS / group)

    def do(specs: Sequence[RunSpec]) -> None:
        Sweeping().train(specs, store, allow_parts=False)

    studies = chosen_studies(GROUPS[group][0])
    if group == "compare":  # the pages show all that a CSV would say
        formats = ("png",)
    return reproduce_studies(studies, "laptop", store, out, do if train else None, formats=formats)


def main(words: Sequence[str]) -> None:
    """Write the tables of all groups, or of some."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", help=", ".join([*GROUPS, "benchmarks"]))
    parser.add_argument("--train", action="store_true", help="train what is missing first")
    given = parser.parse_args(words)
    tables: dict[tuple[Path, str], str] = {}
    for group in given.groups or [*GROUPS, "benchmarks"]:
        print(group, file=sys.stderr, flush=True)
        if group == "benchmarks":
            tables |= benchmark_tables()
            continue
        if given.train and group == "gradients":
            advice_pays.ask()
        found = made(group, FIGURES, given.train)
        tables |= GROUPS[group][1](found)
        if given.train and group == "gradients":
            law = advice_law.fitted(found.data["advice-law"])
            assert law is not None
            write_file(LAW, (law.model_dump_json(indent=1) + "\n").encode())
    for (page, name), text in tables.items():
        write_table(page, name, text)


if __name__ == "__main__":
    main(sys.argv[1:])
