"""Figure 11: learning rate under growing noise."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from dilute.runs import RunSpec
from dilute.studies.paper import fig10, setup
from dilute.studies.paper.fig10 import LAPTOP_EXAMPLES
from dilute.study import claims
from dilute.study.claims import Claim, Judgement
from dilute.study.study import Scale, Study
from dilute.study.style import draw_means, finish_accuracy, new_figure, spread_note

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RATES: dict[Scale, tuple[float, ...]] = {
    "smoke": (0.1, 1.0),
    "laptop": (0.03, 0.1, 0.3, 1.0, 3.0),
    "paper": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
}


def specs(scale: Scale) -> list[RunSpec]:
    """Return the figure's runs."""
    alphas = {"smoke": (0, 20), "laptop": (0, 20, 50), "paper": (0, 10, 20, 30, 40, 50)}[scale]
    budget: dict[str, Any] = {
        "smoke": setup.SMOKE,
        "laptop": {"budget_steps": LAPTOP_EXAMPLES // 128, "curve_points": 10},
        "paper": {"budget_epochs": setup.MNIST_EPOCHS, "curve_points": 40},
    }[scale]
    return [
        RunSpec(
            **fig10.setting(scale),
            alpha=alpha,
            seed=seed,
            **{**budget, **setup.SINGLE_DRAWS, "learning_rate": rate},
        )
        for seed in setup.seeds_of(scale, laptop=3)
        for alpha in alphas
        for rate in _RATES[scale]
    ]


def select(table: Any, scale: Scale) -> Any:
    """Return a row per `alpha`, learning rate and seed."""
    return table.sort_values(["alpha", "learning_rate", "seed"], ignore_index=True)


def draw(data: Any, scale: Scale) -> Figure:
    """Draw test accuracy against the learning rate, a line per `alpha`."""
    note = {
        "smoke": "single draws, AdaDelta, a few steps",
        "laptop": f"single draws, AdaDelta, {LAPTOP_EXAMPLES:,} examples a run",
        "paper": "single draws",
    }[scale]
    figure, (axes,) = new_figure(
        f"{fig10.setting_title(scale)}: learning rate", f"{note}; {spread_note(data)}"
    )
    alphas = {alpha: f"{alpha:g}" for alpha in sorted(data["alpha"].unique())}
    draw_means(axes, data, "learning_rate", "alpha", alphas)
    axes.set_xscale("log")
    rates = sorted(data["learning_rate"].unique())
    axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
    axes.minorticks_off()
    finish_accuracy(axes, "learning rate", legend="alpha", from_zero=True)
    return figure


def judge(data: Any) -> Judgement:
    """`learning-rate`: the preferred rate never rises with `alpha`, and is lower at the largest.

    Held-out noisy labels prefer a rate, and it is compared with that at `alpha = 0`.

    At each `alpha` the rate with the lowest held-out NLL, mean over seeds, among those at which
    every seed finished; partly if it is lower at the end but rises in between.
    """
    cells = data.groupby(["alpha", "learning_rate"])["heldout_nll"]
    means = cells.mean()[cells.count() == cells.size()]
    alphas = sorted(means.index.unique("alpha"))
    best = {float(alpha): float(means[alpha].idxmin()) for alpha in alphas}
    if 0.0 not in best or not 2 <= len(best) == data["alpha"].nunique():
        return claims.not_run()
    if data["learning_rate"].nunique() < 2:
        return claims.not_run()
    rates = [best[alpha] for alpha in sorted(best)]
    falls = rates[-1] < rates[0]
    never_rises = all(b <= a for a, b in pairwise(rates))
    finding = "; ".join(
        f"alpha = {alpha:g}: best {rate:g}, with "
        + claims.percent(claims.accuracies(data, alpha=alpha, learning_rate=rate))
        for alpha, rate in best.items()
    )
    return Judgement(
        "not reproduced" if not falls else "reproduced" if never_rises else "partly",
        finding,
        int(data["accuracy"].notna().sum()),
        {f"best rate, alpha {alpha:g}": rate for alpha, rate in best.items()},
        ", ".join(f"{rate:g} at alpha = {alpha:g}" for alpha, rate in best.items()),
    )


STUDY = Study(
    name="fig11",
    title="MNIST: learning rate against noise",
    source="Figure 11 of the paper. Our reading: the rates tried, and the budget of the runs.",
    notes={
        "smoke": setup.SMOKE_NOTE,
        "laptop": "An MLP with one hidden layer in place of Conv4; single draws; AdaDelta; batches "
        f"of 128; {LAPTOP_EXAMPLES:,} examples a run.",
        "paper": "Conv4; single draws, AdaDelta, batches of 128.",
    },
    specs=specs,
    select=select,
    draw=draw,
    claims=(
        Claim(
            "learning-rate",
            "figure 11",
            "the best learning rate falls as alpha grows",
            "falls",
            judge,
        ),
    ),
)
