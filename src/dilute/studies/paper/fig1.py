"""Figure 1: MNIST under uniform noise, five networks."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from dilute.runs import RunSpec
from dilute.studies.paper import headline, setup
from dilute.study import claims
from dilute.study.claims import Claim, Judgement
from dilute.study.study import Scale, Study
from dilute.study.style import draw_against_alpha, spread_note

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODELS = {
    "conv4": "Conv4",
    "mlp4": "MLP, 4 hidden layers",
    "mlp2": "MLP, 2 hidden layers",
    "mlp1": "MLP, 1 hidden layer",
    "perceptron": "perceptron",
}
_LAPTOP_ALPHAS = (0, 20, 50, 100)
_PAPER_ALPHAS = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
_BAR = 0.90


def specs(scale: Scale) -> list[RunSpec]:
    """Return the figure's runs."""
    alphas = {"smoke": (0, 20), "laptop": _LAPTOP_ALPHAS, "paper": _PAPER_ALPHAS}[scale]
    recipes: dict[Scale, list[dict[str, Any]]] = {
        "smoke": [setup.SMOKE],
        "laptop": [{}],  # the defaults: all labels of an image in one visit
        "paper": setup.paper_recipes(setup.MNIST_EPOCHS),
    }
    found = [
        RunSpec(data=setup.mnist(scale), model=model, alpha=alpha, seed=seed, **recipe)
        for recipe in recipes[scale]
        for seed in setup.seeds_of(scale, laptop=3)
        for model in MODELS
        for alpha in alphas
    ]
    if scale == "paper":  # the claim is judged with grouped copies, too
        found += [spec for spec in specs("laptop") if spec.model == "conv4" and spec.alpha == 100]
    return found


def headline_runs(scale: Scale) -> list[RunSpec]:
    """Return the runs at the paper's own sampling, which take longer than a laptop's figure may."""
    return headline.single_draws(scale) if scale == "laptop" else []


def select(table: Any, scale: Scale) -> Any:
    """Return a row per sampling, network, `alpha` and seed, at the preferred learning rate."""
    is_single = table["copies"] == 1
    sampled = table.assign(sampling=is_single.map({True: "single", False: "grouped"}))
    by = ["sampling", "model", "alpha", "seed"]
    return claims.tuned(sampled, by=by)


def draw(data: Any, scale: Scale) -> Figure:
    """Draw test accuracy against `alpha`, by network, and Conv4's at the other sampling."""
    sampling, other = ("single", "grouped") if scale == "paper" else ("grouped", "single")
    is_shown = data["sampling"] == sampling
    shown = data[is_shown]
    beside = f"Conv4, {headline.SAMPLINGS[other]}"
    note = f"{headline.SAMPLINGS[sampling]}; {spread_note(shown)}"
    if not is_shown.all():
        beside += f" (n = {data[~is_shown]['seed'].nunique()})"
        note += f"; {headline.SAMPLINGS[other]} saw fewer labels"
    lines = data.assign(line=data["model"].where(is_shown, other))
    title = "MNIST, uniform noise" if scale != "smoke" else "MNIST (5,000), a few steps"
    return draw_against_alpha(title, note, lines, "line", {**MODELS, other: beside})


def judge_alpha100(data: Any) -> Judgement:
    """`mnist-alpha100`: at least 90 % at `alpha = 100`, with single draws and grouped copies.

    Each by more than one seed; else the claim is partly reproduced at most.
    """
    found: dict[str, list[float]] = {}
    for sampling, name in headline.SAMPLINGS.items():
        if values := claims.accuracies(data, sampling=sampling, model="conv4", alpha=100):
            found[name] = values
    if not found:
        return claims.not_run()
    parts = [float(np.mean(values)) >= _BAR for values in found.values()]
    missing = [name for name in headline.SAMPLINGS.values() if name not in found]
    verdict = claims.verdict_of([*parts, *(False for _ in missing)])
    finding = "; ".join(f"{name} {claims.percent(values)}" for name, values in found.items())
    finding += "".join(f"; {name} not run" for name in missing)
    if verdict == "reproduced" and min(map(len, found.values())) < 2:
        verdict = "partly"
        finding += "; one seed alone"
    numbers = {f"accuracy, {name}": float(np.mean(values)) for name, values in found.items()}
    return Judgement(verdict, finding, sum(map(len, found.values())), numbers)


def judge_order(data: Any) -> Judgement:
    """`mnist-order`: perceptron < MLPs < Conv4 at the largest `alpha`, each by more than chance.

    The MLPs are compared as one group: the best of them with Conv4, the worst with the perceptron.
    """
    alpha = data["alpha"].max()
    sampling = "grouped" if (data["sampling"] == "grouped").any() else "single"
    at_top = data[(data["alpha"] == alpha) & (data["sampling"] == sampling)]
    found = {model: claims.accuracies(at_top, model=model) for model in MODELS}
    if not alpha or not all(found.values()):
        return claims.not_run()
    test_size = claims.num_test(at_top)
    mlps = sorted((found[m] for m in ("mlp1", "mlp2", "mlp4")), key=lambda v: float(np.mean(v)))
    chain = [found["perceptron"], mlps[0]], [mlps[-1], found["conv4"]]
    parts = [claims.is_above(high, low, test_size) for low, high in chain]
    layers = [found[m] for m in ("mlp1", "mlp2", "mlp4")]
    deeper_is_better = all(claims.is_above(b, a, test_size) for a, b in pairwise(layers))
    finding = f"at alpha = {alpha:g}: " + ", ".join(
        f"{model} {claims.percent(found[model])}" for model in reversed(MODELS)
    )
    verdict = claims.verdict_of(parts)
    if verdict == "partly":
        held = "perceptron < MLPs" if parts[0] else "MLPs < Conv4"
        finding += f"; only {held} holds"
    if not deeper_is_better:
        finding += "; the order among the MLPs is within chance"
    means = {model: float(np.mean(values)) for model, values in found.items()}
    return Judgement(
        verdict,
        finding,
        sum(map(len, found.values())),
        {f"accuracy, {model}": mean for model, mean in means.items()},
        ", ".join(f"{model} {100 * means[model]:.1f}" for model in reversed(MODELS))
        + f" % at alpha = {alpha:g}",
    )


STUDY = Study(
    name="fig1",
    title="MNIST under uniform noise: perceptron, MLPs and Conv4",
    source="Figure 1 of the paper. Our reading: the networks' widths, and the budget of the runs.",
    notes={
        "smoke": setup.SMOKE_NOTE,
        "laptop": "AdamW at 0.001 with warm-up and linear decay, 600 steps of 256 images with all "
        "their labels; one learning rate for all. The paper draws single labels, with AdaDelta and "
        "a tuned learning rate.",
        "paper": setup.PAPER_NOTE,
    },
    specs=specs,
    extras=headline_runs,
    select=select,
    draw=draw,
    claims=(
        Claim(
            "mnist-alpha100",
            "figure 1, abstract",
            "Conv4 stays above 90 % on MNIST with 100 uniformly noisy labels for each clean one",
            "91 %",
            judge_alpha100,
        ),
        Claim(
            "mnist-order",
            "figure 1",
            "the larger network is the more robust: perceptron < MLPs < Conv4",
            "order",
            judge_order,
        ),
    ),
)
