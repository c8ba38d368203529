"""Figure 6: CIFAR-10 diluted with images of its own, of CIFAR-100, and of white noise."""

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

_HALF = (0.25, 0.75)
_NOTHING = 0.25
_POOL = 20_000


def sources(scale: Scale) -> dict[str, str]:
    """Return where noisy images come from (`RunSpec.noisy_images`), with a name for the legend."""
    if scale == "smoke":
        return {
            "same": "the same images",
            "mnist5k": "other digits",
            "white_noise:500": "white noise",
        }
    noise = f"white_noise:{_POOL}" if scale == "laptop" else "white_noise"
    return {"same": "CIFAR-10", "cifar100": "CIFAR-100", noise: "white noise"}


def specs(scale: Scale) -> list[RunSpec]:
    """Return the figure's runs.

    On a laptop the white-noise pool is as large as that of CIFAR-100.
    """
    alphas = {"smoke": (10,), "laptop": (10,), "paper": (2, 5, 10, 15, 20)}[scale]
    base: dict[str, Any] = {"data": "cifar10", "model": "conv6"}
    recipes: list[dict[str, Any]] = {
        "smoke": [{**setup.SMOKE, "data": "mnist5k", "num_clean": 500}],
        "laptop": [
            {
                **setup.GROUPED,
                "num_clean": 20_000,
                "budget_epochs": 3,
                "curve_points": 3,
                "test_curve": False,
            }
        ],
        "paper": setup.paper_recipes(setup.CIFAR_EPOCHS),
    }[scale]
    found = []
    for recipe in recipes:
        for seed in setup.seeds_of(scale, laptop=1):
            shared = {**base, **recipe, "seed": seed}
            found.append(RunSpec(**shared, alpha=0))
            found += [
                RunSpec(**shared, alpha=alpha, noisy_images=source)
                for alpha in alphas
                for source in sources(scale)
            ]
    return found


def select(table: Any, scale: Scale) -> Any:
    """Return a row per source of noisy images, `alpha` and seed.

    `alpha = 0` belongs to every source.
    """
    import pandas as pd

    by = ["noisy_images", "alpha", "seed"]
    # Without the hash that names a part of a set.
    plain = table["noisy_images"].str.partition("@")[0]
    best = claims.tuned(table.assign(noisy_images=plain), by=by)
    clean = best[best["alpha"] == 0]
    noisy = best[best["alpha"] > 0]
    parts = [noisy, *(clean.assign(noisy_images=source) for source in sources(scale))]
    joined = pd.concat(parts)
    joined["source"] = joined["noisy_images"].map(sources(scale))
    return joined.sort_values(by, ignore_index=True)


def draw(data: Any, scale: Scale) -> Figure:
    """Draw test accuracy against `alpha`, a line per source of noisy images."""
    note = {
        "smoke": "5,000 digits in place of CIFAR, a few steps",
        "laptop": "20,000 clean images; pools of 20,000; an image's labels in one visit; 3 passes",
        "paper": "single draws, as in the paper",
    }[scale]
    title, note = "CIFAR-10, Conv6: images behind noisy labels", f"{note}; {spread_note(data)}"
    names: dict[Any, str] = {name: name for name in sources(scale).values()}
    return draw_against_alpha(title, note, data, "source", names)


def judge(data: Any) -> Judgement:
    """`vocabulary`: CIFAR-100 costs 25 to 75 % of what CIFAR-10 does, white noise at most 25 %.

    What is compared are drops in accuracy at the largest `alpha`.
    """
    alpha = data["alpha"].max()
    rows = data[data["alpha"] == alpha]
    names = ("CIFAR-10", "CIFAR-100", "white noise")
    found = {name: claims.accuracies(rows, source=name) for name in names}
    clean = claims.accuracies(data, alpha=0, source="CIFAR-10")
    if not alpha or not clean or not all(found.values()):
        return claims.not_run()
    drops = {name: float(np.mean(clean)) - float(np.mean(found[name])) for name in names}
    own = drops["CIFAR-10"]
    if not claims.is_above(clean, found["CIFAR-10"], claims.num_test(rows)):
        return Judgement(
            "not reproduced",
            f"noise of CIFAR-10's own images costs nothing measurable ({100 * own:.1f} points)",
            len(clean) + sum(map(len, found.values())),
            {f"drop, {name}": drop for name, drop in drops.items()},
        )
    parts = [
        _HALF[0] <= drops["CIFAR-100"] / own <= _HALF[1],
        drops["white noise"] / own <= _NOTHING,
    ]
    brief = f"drop at alpha = {alpha:g}: " + ", ".join(
        f"{name} {100 * drop:.1f} points" for name, drop in drops.items()
    )
    return Judgement(
        claims.verdict_of(parts),
        f"alpha = 0: {claims.percent(clean)}; {brief}",
        len(clean) + sum(map(len, found.values())),
        {f"drop, {name}": drop for name, drop in drops.items()},
        brief,
    )


STUDY = Study(
    name="fig6",
    title="CIFAR-10: noisy examples made of its own images, of CIFAR-100's, of white noise",
    source="Figure 6 of the paper. Our reading: Conv6 as the network, and the budget of the runs.",
    notes={
        "smoke": setup.SMOKE_NOTE,
        "laptop": "20,000 clean images, alpha 0 and 10, Conv6; pools of 20,000 images, whose "
        "labels are shown together; AdamW at 0.001, three passes over the images, batches of 128. "
        "The stored runs have 20,000 of CIFAR-100's images.",
        "paper": setup.PAPER_NOTE,
    },
    specs=specs,
    select=select,
    draw=draw,
    claims=(
        Claim(
            "vocabulary",
            "figure 6",
            "noise made of CIFAR-100's images costs about half as much as noise of CIFAR-10's; "
            "white noise almost nothing",
            "a half; almost nothing",
            judge,
        ),
    ),
)
