"""`make compare`: methods against each other, on the settings of docs/methods.md.

Trains what `results/compare/` lacks (hours on two cores; it may be stopped and started again), and writes the
tables of docs/methods.md and the figures. `--draw-only` trains nothing; a word chooses parts by name.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from paper import ROOT
from readme import write_table

from dilute.comparison import Contest, Standing, draw_comparison, in_percent, outcomes, ranking
from dilute.figures import save
from dilute.methods import METHOD_NAMES, make_method
from dilute.noise import Structured
from dilute.runs import RunRecord, RunSpec, Store
from dilute.sweeps import run_sweep

STORE = ROOT / "results" / "compare"
FIGURES = ROOT / "results" / "figures"
PAGE = ROOT / "docs" / "methods.md"
COMMAND = "make compare"

PATCHES = ("patches_known", "patches_estimated")
FEW = (
    "cross_entropy",
    "gce",
    "forward_known",
    "em_known",
    "em_estimated",
    "neighbours_known",
    "neighbours_estimated",
)
FIELD = (
    "cross_entropy",
    "forward_known",
    "forward_estimated",
    "mae",
    "gce",
    "sce",
    "mixup",
    "elr",
    "co_teaching",
    "neighbours_estimated",
    "patches_estimated",
)
RATES = {50: 4e-4, 100: 4e-4, 200: 4e-4, 500: 2e-4, 1000: 2e-4}
"""Peak learning rates: where noise is large, a smaller one serves methods whose gradient is as noisy as the labels; else 0.001."""


@dataclass(frozen=True)
class Part:
    """A table of the page: its title, and the contests that it is made of."""

    name: str
    title: str
    contests: tuple[Contest, ...]


def mnist(alpha: float, methods: Sequence[str], **fields: Any) -> Contest:
    fields = {
        "data": "mnist",
        "model": "mlp1",
        "passes": 2.0,
        "learning_rates": (RATES.get(alpha, 1e-3),),
        **fields,
    }
    return Contest(noise={"alpha": alpha}, methods=tuple(methods), **fields)


CONV4: dict[str, Any] = {"model": "conv4", "passes": 2.0, "learning_rates": (1e-3,)}
CIFAR: dict[str, Any] = {
    "data": "cifar10",
    "model": "conv6",
    "num_clean": 10_000,
    "passes": 4.0,
    "learning_rates": (1e-3,),
}
PARTS = (
    Part(
        "conv4-small",
        "MNIST, 4,000 images, Conv4",
        (
            mnist(
                20,
                ("cross_entropy", *PATCHES),
                num_clean=4000,
                **{**CONV4, "passes": 16.0},
            ),
        ),
    ),
    Part(
        "cifar10",
        "CIFAR-10, 10,000 images, Conv6",
        (
            mnist(10, ("cross_entropy", *PATCHES), **CIFAR),
            *(mnist(alpha, ("cross_entropy", "patches_known"), **CIFAR) for alpha in (2, 5)),
        ),
    ),
    Part(
        "conv4",
        "MNIST, all images, Conv4",
        (
            *(mnist(a, ("cross_entropy", "patches_estimated"), **CONV4) for a in (5, 20)),
            mnist(100, ("cross_entropy", *PATCHES), **CONV4),
            mnist(1000, ("cross_entropy", "patches_known"), **CONV4),
        ),
    ),
    Part(
        "mlp1-small",
        "MNIST, 4,000 images, one hidden layer",
        tuple(
            mnist(alpha, METHOD_NAMES, num_clean=4000, passes=8.0, learning_rates=(1e-3,))
            for alpha in (5, 20, 100)
        ),
    ),
    Part(
        "mlp1",
        "MNIST, all images, one hidden layer",
        (*(mnist(alpha, FEW) for alpha in (5, 20, 50, 100, 200, 500, 1000)),),
    ),
    Part(
        "structured",
        "MNIST, all images, structured noise in random order",
        (
            replace(
                mnist(20, (*FEW, *PATCHES)),
                noise={"alpha": 20, "noise": Structured(delta=1.0, order="random")},
            ),
        ),
    ),
    Part(
        "replacement-conv4",
        "MNIST, all images, labels replaced, Conv4",
        tuple(
            replace(
                mnist(20, ("cross_entropy", "sce", "patches_estimated"), **CONV4),
                noise={"rate": rate},
            )
            for rate in (0.5, 0.8, 0.9)
        ),
    ),
    Part(
        "replacement",
        "MNIST, all images, labels replaced, one hidden layer",
        tuple(replace(mnist(20, FIELD), noise={"rate": rate}) for rate in (0.5, 0.8, 0.9)),
    ),
)


@dataclass(frozen=True)
class Goal:
    """What was to be reached, and by which method of a part."""

    text: str
    part: str
    alpha: float
    methods: tuple[str, ...]


GOALS = (
    Goal("MNIST, `alpha` = 100, all images: 97 % within 15 minutes", "conv4", 100, PATCHES),
    Goal("MNIST, `alpha` = 1000, all images: 90 %", "conv4", 1000, PATCHES[:1]),
    Goal("MNIST, `alpha` = 20, 4,000 images: 93 %", "conv4-small", 20, PATCHES),
    Goal(
        "CIFAR-10, `alpha` = 10, 10,000 images: 8 points over plain training at equal compute",
        "cifar10",
        10,
        PATCHES,
    ),
)


def specs_of(part: Part) -> list[RunSpec]:
    """Return the part's runs, the seed varying slowest so that runs on the same images follow each other."""
    found: dict[str, RunSpec] = {}
    for contest in part.contests:
        num_train = {"mnist": 60_000, "cifar10": 50_000}[contest.data]
        for spec in contest.specs(num_train):
            found.setdefault(spec.key(), spec)
    return sorted(found.values(), key=lambda spec: spec.seed)


def records_of(part: Part, store: Store) -> list[RunRecord]:
    return [record for spec in specs_of(part) if (record := store.get(spec.key())) is not None]


def table(standings: Sequence[Standing]) -> str:
    """Return a Markdown table: a row per method, a column per amount of noise."""
    amounts = sorted({one.amount for one in standings})
    cells = {(one.method, one.amount): one for one in standings}
    order = dict.fromkeys(one.method for one in standings)
    word = standings[0].amount_name
    by_mean = sorted(order, key=lambda name: -_mean(cells, name, amounts))
    lines = [
        f"| method | it knows | {' | '.join(f'{word} = {amount:g}' for amount in amounts)} | s per run |",
        "| --- " * (3 + len(amounts)) + "|",
    ]
    for name in by_mean:
        found = [cells.get((name, amount)) for amount in amounts]
        kind = make_method(name)
        seconds = [one.seconds for one in found if one and one.seconds is not None]
        shown = f"{min(seconds):.0f} to {max(seconds):.0f}" if seconds else "–"
        lines.append(
            f"| {kind.title} (`{name}`) | {kind.knows} | {' | '.join(map(_cell, found))} | {shown} |"
        )
    return "\n".join(lines)


def _mean(cells: dict[tuple[str, float], Standing], name: str, amounts: Sequence[float]) -> float:
    found = [one for amount in amounts if (one := cells.get((name, amount)))]
    return sum(one.accuracy or 0.0 for one in found) / len(found)


def _cell(one: Standing | None) -> str:
    if one is None:
        return "not run"
    if one.accuracy is None:
        return f"failed ({one.num_failed})"
    failed = f", {one.num_failed} failed" if one.num_failed else ""
    return f"{in_percent(one.accuracy, one.low, one.high)}, n = {one.num_seeds}{failed}"


def text_of(part: Part, store: Store) -> str:
    """Return the part's tables, each with its picture."""
    blocks = []
    for name, setting, found in pictures(part, store):
        picture = f"![{setting}: accuracy by method](../results/figures/{name}.png)"
        blocks.append(f"*{setting}*\n\n{table(found)}\n\n{picture}")
    return "\n\n".join(blocks) or "Not run yet."


def text_of_goals(store: Store) -> str:
    """Return the table of what was to be reached, and what was."""
    lines = [
        "| goal | method | reached | over plain training | minutes a run |",
        "| --- " * 5 + "|",
    ]
    for goal in GOALS:
        part = next(part for part in PARTS if part.name == goal.part)
        standings = ranking(outcomes(records_of(part, store)))
        for one in standings:
            if one.method in goal.methods and one.amount == goal.alpha and one.seconds:
                gain = in_percent(one.gain, one.gain_low, one.gain_high, "+")
                lines.append(
                    f"| {goal.text} | `{one.method}` | {_cell(one)} | {gain} | {one.seconds / 60:.1f} |"
                )
    return "\n".join(lines)


def pictures(part: Part, store: Store) -> Iterator[tuple[str, str, list[Standing]]]:
    """Yield name, setting and standings of each picture of the part."""
    standings = ranking(outcomes(records_of(part, store)))
    for number, setting in enumerate(dict.fromkeys(one.setting for one in standings)):
        name = f"compare-{part.name}" + (f"-{number + 1}" if number else "")
        yield name, setting, [one for one in standings if one.setting == setting]


def write(part: Part, store: Store) -> None:
    """Write the part's tables into the page, and its pictures."""
    for name, setting, found in pictures(part, store):
        save(draw_comparison(found, setting), FIGURES / f"{name}.png")
    write_table(f"compare-{part.name}", text_of(part, store), command=COMMAND, path=PAGE)


def main(words: Sequence[str]) -> None:
    chosen = [word for word in words if not word.startswith("--")]
    parts = [part for part in PARTS if not chosen or part.name in chosen]
    store = Store(STORE)
    for part in parts:
        if "--draw-only" not in words:
            print(f"{part.title}: {len(specs_of(part))} runs", file=sys.stderr, flush=True)
            result = run_sweep(specs_of(part), STORE, keep_weights=False)
            assert not result.interrupted, "the same command goes on"
        if "--train-only" not in words:
            write(part, store)
    if "--train-only" not in words:
        write_table("compare-goals", text_of_goals(store), command=COMMAND, path=PAGE)


if __name__ == "__main__":
    main(sys.argv[1:])
