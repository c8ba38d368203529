"""Figure 5: MNIST, Conv4, structured noise of growing degree, in three orders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from dilute.data import AS_THEY_ARE, Reading
from dilute.errors import SpecError
from dilute.noise import Structured
from dilute.runs import RunRecord, RunSpec
from dilute.studies.paper import setup
from dilute.study import claims
from dilute.study.claims import Claim, Judgement, Verdict
from dilute.study.study import Scale, Study
from dilute.study.style import draw_means, finish_accuracy, new_figure, spread_note

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Order = Literal["confusing", "reverse", "random"]
ORDERS: dict[Order, str] = {
    "confusing": "confusing",
    "reverse": "reverse confusing",
    "random": "random",
}
_ALPHA = 20
_DELTAS: dict[Scale, tuple[float, ...]] = {
    "smoke": (1.0,),
    "laptop": (0.5, 0.75, 0.9, 1.0),
    "paper": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
}
_NEAR, _FALL, _MINOR, _HALFWAY = 0.05, 0.10, 0.05, 0.5


def references(scale: Scale) -> list[RunSpec]:
    """Return the reference: Conv4 on clean labels; half of the images show what it confuses."""
    recipe = (
        setup.SMOKE
        if scale == "smoke"
        else {**setup.GROUPED, "budget_steps": 150, "curve_points": 1}
    )
    return [RunSpec(data=setup.mnist(scale), model="conv4", heldout_fraction=0.5, **recipe)]


def specs_given(
    scale: Scale, references: Sequence[RunRecord], reading: Reading = AS_THEY_ARE
) -> list[RunSpec]:
    """Return the figure's runs; their orders come from the reference's confusion matrix.

    Errors: `SpecError` if the reference was not run, or has no confusion matrix.
    """
    confusion = references[0].heldout_confusion if references else None
    if confusion is None:
        raise SpecError("figure 5 needs its reference run with a confusion matrix; run that first")
    ranking = class_order(np.asarray(confusion))
    base: dict[str, Any] = {"data": setup.mnist(scale), "model": "conv4", "alpha": _ALPHA}
    recipes: list[dict[str, Any]] = {
        "smoke": [setup.SMOKE],
        "laptop": [{**setup.GROUPED, "budget_steps": 600, "curve_points": 4, "test_curve": False}],
        "paper": setup.paper_recipes(setup.MNIST_EPOCHS),
    }[scale]
    found = []
    for recipe in recipes:
        for seed in setup.seeds_of(scale, laptop=1):
            found.append(RunSpec(**base, **recipe, seed=seed))
            found += [
                RunSpec(**base, **recipe, seed=seed, noise=_noise(order, delta, ranking))
                for delta in _DELTAS[scale]
                for order in ORDERS
            ]
    return found


def class_order(confusion: NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
    """Return for each true class its wrong classes, from most to least confused.

    Ties go by class number.

    Arguments:
        confusion: `[K, K]` counts by (true class, predicted class).
    """
    rows = []
    for true_class, counts in enumerate(confusion):
        ranked = np.argsort(-counts, kind="stable")
        rows.append(tuple(int(k) for k in ranked if k != true_class))
    return tuple(rows)


def _noise(order: Order, delta: float, ranking: tuple[tuple[int, ...], ...]) -> Structured:
    if order == "random":
        return Structured(delta=delta, order=order)
    return Structured(delta=delta, order=order, class_order=ranking)


def select(table: Any, scale: Scale) -> Any:
    """Return a row per order, `delta` and seed; uniform noise is `delta = 0` of every order."""
    import pandas as pd

    by = ["order", "delta", "seed"]
    best = claims.tuned(table, by=by)
    is_uniform = best["pattern"] == "uniform"
    uniform = [
        best[is_uniform].assign(order=order, delta=0.0) for order in ORDERS if is_uniform.any()
    ]
    return pd.concat([best[~is_uniform], *uniform]).sort_values(by, ignore_index=True)


def draw(data: Any, scale: Scale) -> Figure:
    """Draw test accuracy against `delta`, a line per order."""
    figure, (axes,) = new_figure(
        f"MNIST, Conv4, structured noise, alpha = {_ALPHA}",
        f"{setup.sampling_note(scale)}; {spread_note(data)}",
    )
    draw_means(axes, data, "delta", "order", dict(ORDERS))
    finish_accuracy(axes, "degree of structure, delta", legend="order of the wrong classes")
    return figure


def _means(data: Any) -> dict[Order, dict[float, float]]:
    """Return mean accuracy by order and `delta`, where every seed finished."""
    return {
        order: {
            delta: float(np.mean(values))
            for delta in sorted(data["delta"].unique())
            if (values := claims.accuracies(data, order=order, delta=delta))
        }
        for order in ORDERS
    }


def judge_structured(data: Any) -> Judgement:
    """`structured`: each order is within 5 points of uniform to `delta = 0.5`, 10 below at 1."""
    means = _means(data)
    parts, words, halfway, at_one = [], [], [], []
    for order, by_delta in means.items():
        if not {0.0, 1.0} <= set(by_delta) or not any(0 < d <= _HALFWAY for d in by_delta):
            continue
        drops = {delta: by_delta[0.0] - value for delta, value in by_delta.items()}
        nearby = max(drop for delta, drop in drops.items() if 0 < delta <= _HALFWAY)
        parts += [nearby <= _NEAR, drops[1.0] >= _FALL]
        halfway.append(nearby)
        at_one.append(drops[1.0])
        words.append(
            f"{ORDERS[order]}: −{100 * nearby:.1f} points up to delta = 0.5, "
            f"−{100 * drops[1.0]:.1f} at 1"
        )
    if len(words) < len(ORDERS):
        return claims.not_run()
    uniform = claims.accuracies(data[data["order"] == "random"], delta=0.0)
    numbers = {f"{o}, delta {d:g}": value for o, row in means.items() for d, value in row.items()}
    return Judgement(
        claims.verdict_of(parts),
        f"uniform {claims.percent(uniform)}; " + "; ".join(words),
        data.dropna(subset=["accuracy"])["key"].nunique(),
        numbers,
        f"at most −{100 * max(halfway):.1f} points up to delta = 0.5; −{100 * min(at_one):.0f} to "
        f"−{100 * max(at_one):.0f} at 1",
    )


def judge_order(data: Any) -> Judgement:
    """`order-is-minor`: at every `delta` the orders' mean accuracies lie within 5 points.

    Partly if they do up to 0.5 alone.
    """
    means = _means(data)
    deltas = sorted(delta for delta in set.intersection(*map(set, means.values())) if delta)
    if not any(delta <= _HALFWAY for delta in deltas) or 1.0 not in deltas:
        return claims.not_run()
    ranges = {
        delta: max(row[delta] for row in means.values()) - min(row[delta] for row in means.values())
        for delta in deltas
    }
    if all(spread <= _MINOR for spread in ranges.values()):
        verdict: Verdict = "reproduced"
    else:
        halfway = [spread for delta, spread in ranges.items() if delta <= _HALFWAY]
        verdict = "partly" if max(halfway) <= _MINOR else "not reproduced"
    differences = [f"{100 * ranges[d]:.1f} points at delta = {d:g}" for d in deltas]
    return Judgement(
        verdict,
        f"largest difference between orders: {', '.join(differences)}",
        data.dropna(subset=["accuracy"])["key"].nunique(),
        {f"range, delta {delta:g}": value for delta, value in ranges.items()},
        f"{differences[0]}, {differences[-1]}",
    )


STUDY = Study(
    name="fig5",
    title="MNIST, Conv4, alpha = 20: structured noise in three orders",
    source="Figure 5 of the paper. Our reading: the linear ramp over the wrong classes, and the "
    "reference network.",
    notes={
        "smoke": setup.SMOKE_NOTE,
        "laptop": "All labels of an image in one visit; AdamW at 0.001, 600 steps of 128 images "
        "(1.3 passes).",
        "paper": setup.PAPER_NOTE,
    },
    references=references,
    specs_given=specs_given,
    select=select,
    draw=draw,
    claims=(
        Claim(
            "structured",
            "figure 5, abstract",
            "for all three orders accuracy stays near that of uniform noise until delta comes "
            "near 1, then falls",
            "shape",
            judge_structured,
        ),
        Claim(
            "order-is-minor",
            "figure 5",
            "the order (confusing, reverse, random) matters little",
            "small differences",
            judge_order,
        ),
    ),
)
