"""Methods against each other: settings, each a study, and the goals that were set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dilute.noise import Structured
from dilute.runs import PRESETS
from dilute.study import Scale, Study, in_percent, ranking
from dilute.study.comparison_study import comparison_study, result_cell
from dilute.study.contest import Contest, Entries
from dilute.study.pages import markdown_table

NUM_TRAIN = {"mnist": 60_000, "cifar10": 50_000, "mnist5k": 4000}

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
ONE_LABEL = (
    "cross_entropy",
    "sce",
    "gce",
    "elr",
    "forward_estimated",
    "neighbours_estimated",
    "patches_estimated",
)
VERY_FEW = ("cross_entropy", "sce", "neighbours_estimated", "patches_estimated")
ALL = (
    "cross_entropy",
    "label_smoothing",
    "bootstrap_soft",
    "bootstrap_hard",
    "forward_known",
    "forward_estimated",
    "backward_known",
    "backward_estimated",
    "mae",
    "gce",
    "sce",
    "mixup",
    "elr",
    "co_teaching",
    "em_known",
    "em_estimated",
    "neighbours_known",
    "neighbours_estimated",
    "patches_known",
    "patches_estimated",
    "rounds_known",
    "rounds_estimated",
)
RATES = {50: 4e-4, 100: 4e-4, 200: 4e-4, 500: 2e-4, 1000: 2e-4}
"""Peak learning rates by alpha; else 0.001.

Where noise is large, a smaller one serves methods whose gradient is as noisy as the labels.
"""


def mnist(
    amount: Mapping[str, Any],
    methods: Sequence[str],
    *,
    model: str = "mlp1",
    num_clean: int | None = None,
    passes: float = 2.0,
    rate: float = 1e-3,
) -> Contest:
    """Return methods on MNIST at an amount of noise."""
    return Contest("mnist", model, amount, Entries(tuple(methods), passes, (rate,)), num_clean)


def cifar(alpha: float, methods: Sequence[str]) -> Contest:
    """Return methods on 10,000 images of CIFAR-10."""
    return Contest("cifar10", "conv6", {"alpha": alpha}, Entries(tuple(methods)), 10_000)


def fast(alpha: float, methods: Sequence[str], passes: float, seeds: Sequence[int]) -> Contest:
    """Return methods on all of CIFAR-10 with the fast network and its preset's recipe."""
    recipe = {"preset": "cifar10-fast", "precision": "bfloat16"}
    rate = PRESETS["cifar10-fast"].fields["learning_rate"]
    entries = Entries(tuple(methods), passes, (rate,), tuple(seeds), recipe)
    return Contest("cifar10", "fastnet", {"alpha": alpha}, entries)


def one_label(rate: float, methods: Sequence[str]) -> Contest:
    """Return methods on 2,000 images of CIFAR-10 with one label each, a share of them replaced."""
    entries = Entries(tuple(methods), 67.0, seeds=(0, 1))
    return Contest("cifar10", "conv6", {"rate": rate}, entries, 2000)


def _study(name: str, title: str, *contests: Contest) -> Study:
    def by_scale(scale: Scale) -> Sequence[Contest]:
        return [_small(contests[0])] if scale == "smoke" else contests

    laptop = (
        "Equal images through networks for each method, one to three seeds; held-out noisy labels "
        "choose."
    )
    return comparison_study(
        f"compare-{name}",
        title,
        by_scale,
        NUM_TRAIN,
        source="Ours.",
        notes={
            "smoke": "Two methods for a few steps on digits.",
            "laptop": laptop,
            "paper": "As on a laptop.",
        },
    )


def _small(contest: Contest) -> Contest:
    """Return a contest that proves the path in seconds."""
    entries = Entries(contest.entries.methods[:2], passes=6.0, seeds=(0,))
    return replace(contest, data="mnist5k", model="mlp1", entries=entries, num_clean=400)


STUDIES = (
    _study(
        "conv4-small",
        "MNIST, 4,000 images, Conv4",
        mnist(
            {"alpha": 20}, ("cross_entropy", *PATCHES), model="conv4", num_clean=4000, passes=16.0
        ),
    ),
    _study(
        "cifar10",
        "CIFAR-10, 10,000 images, Conv6",
        cifar(10, ("cross_entropy", *PATCHES)),
        *(cifar(alpha, ("cross_entropy", "patches_known")) for alpha in (2, 5)),
    ),
    _study(
        "fastnet",
        "CIFAR-10, all images, the fast network",
        fast(10, ("cross_entropy", "em_known"), 10, seeds=(0,)),
    ),
    _study(
        "conv4",
        "MNIST, all images, Conv4",
        *(
            mnist({"alpha": alpha}, ("cross_entropy", "patches_estimated"), model="conv4")
            for alpha in (5, 20)
        ),
        mnist({"alpha": 100}, ("cross_entropy", *PATCHES), model="conv4"),
        mnist({"alpha": 1000}, ("cross_entropy", "patches_known"), model="conv4"),
    ),
    _study(
        "mlp1-small",
        "MNIST, 4,000 images, one hidden layer",
        *(mnist({"alpha": alpha}, ALL, num_clean=4000, passes=8.0) for alpha in (5, 20, 100)),
    ),
    _study(
        "mlp1",
        "MNIST, all images, one hidden layer",
        *(
            mnist({"alpha": alpha}, FEW, rate=RATES.get(alpha, 1e-3))
            for alpha in (5, 20, 50, 100, 200, 500, 1000)
        ),
    ),
    _study(
        "structured",
        "MNIST, all images, structured noise in random order",
        mnist({"alpha": 20, "noise": Structured(delta=1.0, order="random")}, (*FEW, *PATCHES)),
    ),
    _study(
        "replacement-conv4",
        "MNIST, all images, labels replaced, Conv4",
        *(
            mnist({"rate": rate}, ("cross_entropy", "sce", "patches_estimated"), model="conv4")
            for rate in (0.5, 0.8, 0.9)
        ),
    ),
    _study(
        "replacement",
        "MNIST, all images, labels replaced, one hidden layer",
        *(mnist({"rate": rate}, FIELD) for rate in (0.5, 0.8, 0.9)),
    ),
    _study(
        "one-label",
        "MNIST, 2,000 images with one label each, one hidden layer",
        *(
            mnist({"rate": rate}, ONE_LABEL, num_clean=2000, passes=67.0)
            for rate in (0.0, 0.2222, 0.4444, 0.6667)
        ),
    ),
    *(
        _study(
            f"one-label-{number}",
            f"MNIST, {number} images with one label each, one hidden layer",
            *(
                mnist({"rate": rate}, VERY_FEW, num_clean=number, passes=200.0)
                for rate in (0.0, 0.4444)
            ),
        )
        for number in (500, 200, 100)
    ),
    _study(
        "one-label-cifar10",
        "CIFAR-10, 2,000 images with one label each, Conv6",
        *(one_label(rate, ("cross_entropy", "sce", "patches_estimated")) for rate in (0.0, 0.4444)),
        one_label(0.4444, ("patches_known", "forward_known")),
    ),
)


@dataclass(frozen=True)
class Goal:
    """What was to be reached, in which study, and by which of its methods."""

    text: str
    study: str
    alpha: float
    methods: tuple[str, ...]


GOALS = (
    Goal("MNIST, `alpha` = 100, all images: 97 % within 15 minutes", "compare-conv4", 100, PATCHES),
    Goal("MNIST, `alpha` = 1000, all images: 90 %", "compare-conv4", 1000, PATCHES[:1]),
    Goal("MNIST, `alpha` = 20, 4,000 images: 93 %", "compare-conv4-small", 20, PATCHES),
    Goal(
        "CIFAR-10, `alpha` = 10, 10,000 images: 8 points over plain training at equal compute",
        "compare-cifar10",
        10,
        PATCHES,
    ),
)


def goals_markdown(data: Mapping[str, Any]) -> str:
    """Return the table of what was to be reached, and what was.

    Arguments:
        data: what each study shows, by its name.
    """
    rows = []
    for goal in GOALS:
        for one in ranking(data[goal.study]):
            if one.method in goal.methods and one.amount == goal.alpha and one.seconds:
                gain = in_percent(one.gain, one.gain_low, one.gain_high, "+")
                minutes = f"{one.seconds / 60:.1f}"
                rows.append([goal.text, f"`{one.method}`", result_cell(one), gain, minutes])
    heads = ["goal", "method", "reached", "over plain training", "minutes a run"]
    return markdown_table(heads, rows)
