"""Figure 10: batch size, and the limit of an infinite batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dilute.runs import RunSpec
from dilute.studies.paper import setup
from dilute.study import claims
from dilute.study.claims import Claim, Judgement
from dilute.study.study import Scale, Study
from dilute.study.style import draw_against_alpha, spread_note

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BATCH_SIZES = (32, 64, 128, 256)
_EXPECTED = "expected loss"
_LITTLE, _MORE = 0.02, 0.05
LAPTOP_EXAMPLES = 128 * 1500


def specs(scale: Scale) -> list[RunSpec]:
    """Return the figure's runs: each sees as many examples, whatever its batches.

    And the expected loss with batches of 128.
    """
    alphas = {"smoke": (20,), "laptop": (0, 20, 50), "paper": (0, 10, 20, 30, 40, 50)}[scale]
    base = setting(scale)
    found = []
    for seed in setup.seeds_of(scale, laptop=3):
        for alpha in alphas:
            for batch_size in BATCH_SIZES if scale != "smoke" else BATCH_SIZES[:2]:
                for recipe in single_draws(scale, batch_size):
                    found.append(RunSpec(**base, alpha=alpha, seed=seed, **recipe))
            for recipe in single_draws(scale, 128):
                found.append(RunSpec(**base, alpha=alpha, seed=seed, **_on_expected(recipe, alpha)))
    return found


def setting(scale: Scale) -> dict[str, Any]:
    """Return data and network of figures 10 and 11."""
    return {"data": setup.mnist(scale), "model": "conv4" if scale == "paper" else "mlp1"}


def setting_title(scale: Scale) -> str:
    """Return data and network above the pictures of figures 10 and 11."""
    network = "Conv4" if scale == "paper" else "MLP, 1 hidden layer"
    return f"{setup.mnist_title(scale)}, {network}"


def single_draws(scale: Scale, batch_size: int) -> list[dict[str, Any]]:
    """Return the recipes of single draws at a batch size, one per learning rate that is tried."""
    if scale == "smoke":
        return [{**setup.SMOKE, **setup.SINGLE_DRAWS, "batch_size": batch_size}]
    if scale == "laptop":
        steps = LAPTOP_EXAMPLES // batch_size
        return [
            {
                **setup.SINGLE_DRAWS,
                "batch_size": batch_size,
                "budget_steps": steps,
                "curve_points": 10,
            }
        ]
    return [
        {**recipe, "batch_size": batch_size} for recipe in setup.paper_recipes(setup.MNIST_EPOCHS)
    ]


def _on_expected(recipe: dict[str, Any], alpha: float) -> dict[str, Any]:
    """Return the recipe on the expected loss, with as many steps.

    A visit there stands for 1 + alpha examples.
    """
    epochs = recipe.get("budget_epochs")
    longer = {} if epochs is None else {"budget_epochs": epochs * (1 + alpha)}
    return {**recipe, **longer, "copies": "expected"}


def select(table: Any, scale: Scale) -> Any:
    """Return a row per batch (its size, or the expected loss), `alpha` and seed."""
    is_expected = table["copies"] == "expected"
    named = table.assign(batch=table["batch_size"].astype(str).mask(is_expected, _EXPECTED))
    return claims.tuned(named, by=["batch", "alpha", "seed"])


def draw(data: Any, scale: Scale) -> Figure:
    """Draw test accuracy against `alpha`, a line per batch size and one for the expected loss."""
    note = {
        "smoke": "single draws, AdaDelta at 1.0, a few steps",
        "laptop": f"single draws, AdaDelta at 1.0, {LAPTOP_EXAMPLES:,} examples a run",
        "paper": "single draws",
    }[scale]
    names = {_EXPECTED: _EXPECTED, **{str(size): str(size) for size in reversed(BATCH_SIZES)}}
    return draw_against_alpha(
        f"{setting_title(scale)}: batch size",
        f"{note}; {spread_note(data)}",
        data,
        "batch",
        names,
        legend="batch size",
        from_zero=True,
    )


def judge_batch(data: Any) -> Judgement:
    """`batch-size`: at every `alpha` > 0 the largest batch beats the smallest by more than chance.

    A batch size with runs that failed or diverged is not above another, nor below.
    """
    smallest, largest = str(BATCH_SIZES[0]), str(BATCH_SIZES[-1])
    parts, words, briefs, numbers = [], [], [], {}
    for alpha in sorted(alpha for alpha in data["alpha"].unique() if alpha):
        rows = data[data["alpha"] == alpha]
        found = {str(size): claims.accuracies(rows, batch=str(size)) for size in BATCH_SIZES}
        ends = found[largest], found[smallest]
        parts.append(all(ends) and claims.is_above(*ends, claims.num_test(rows)))
        words.append(
            f"alpha = {alpha:g}: "
            + ", ".join(f"{size} {claims.percent(values)}" for size, values in found.items())
        )
        if all(ends):
            high, low = (f"{100 * float(np.mean(values)):.1f}" for values in ends)
            briefs.append(f"{high} against {low} % at alpha = {alpha:g}")
        for size, values in found.items():
            if values:
                numbers[f"accuracy, alpha {alpha:g}, batch {size}"] = float(np.mean(values))
    if not parts:
        return claims.not_run()
    num_runs = int(data[data["batch"] != _EXPECTED]["accuracy"].notna().sum())
    verdict = claims.verdict_of(parts)
    return Judgement(verdict, "; ".join(words), num_runs, numbers, "; ".join(briefs))


def judge_infinite(data: Any) -> Judgement:
    """`infinite-batch`: on the expected loss the largest `alpha` costs at most 2 points.

    Partly if at most 5.
    """
    rows = data[data["batch"] == _EXPECTED]
    by_alpha = {
        alpha: claims.accuracies(rows, alpha=alpha) for alpha in sorted(rows["alpha"].unique())
    }
    if len(by_alpha) < 2 or 0 not in by_alpha or not all(by_alpha.values()):
        return claims.not_run("not all runs on the expected loss finished")
    means = {alpha: float(np.mean(values)) for alpha, values in by_alpha.items()}
    drop = means[0] - means[max(means)]
    return Judgement(
        "reproduced" if drop <= _LITTLE else "partly" if drop <= _MORE else "not reproduced",
        ", ".join(
            f"alpha = {alpha:g}: {claims.percent(values)}" for alpha, values in by_alpha.items()
        ),
        len(rows),
        {f"accuracy, alpha {alpha:g}": mean for alpha, mean in means.items()} | {"drop": drop},
        f"{100 * drop:.1f} points lost at alpha = {max(means):g}",
    )


STUDY = Study(
    name="fig10",
    title="MNIST: batch size, and the expected loss as the limit of an infinite batch",
    source="Figure 10 of the paper. Our reading: as many examples for each batch size.",
    notes={
        "smoke": setup.SMOKE_NOTE,
        "laptop": f"An MLP with one hidden layer in place of Conv4; single draws; AdaDelta at "
        f"1.0; {LAPTOP_EXAMPLES:,} "
        "examples a run; the expected loss for as many images in batches of 128.",
        "paper": "Conv4; single draws, AdaDelta, learning rate tuned on held-out noisy labels.",
    },
    specs=specs,
    select=select,
    draw=draw,
    claims=(
        Claim(
            "batch-size",
            "figure 10",
            "at the same noise a larger batch is more robust",
            "256 above 32",
            judge_batch,
        ),
        Claim(
            "infinite-batch",
            "figure 10",
            "training on the expected loss loses almost nothing as alpha grows",
            "almost nothing",
            judge_infinite,
        ),
    ),
)
