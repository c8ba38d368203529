"""Figure 9: MNIST, Conv4, clean examples needed for a target accuracy against `alpha`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dilute.studies.paper import fig8, setup
from dilute.study import claims
from dilute.study.claims import Claim, Judgement
from dilute.study.needs import needed, per_seed
from dilute.study.study import Scale, Study
from dilute.study.style import alpha_ticks, line_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TARGETS = {"smoke": (0.2,), "laptop": (fig8.TARGET,), "paper": (0.85, 0.90, 0.95)}
_LARGEST_MISS = 0.25
_EXPONENTS = (0.8, 1.25)
_DRAWS = 500


def select(table: Any, scale: Scale) -> Any:
    """Return a row per target and `alpha`: the needed number, its interval, each seed's value."""
    import pandas as pd

    runs = fig8.select(table, scale)
    rows = []
    for target in TARGETS[scale]:
        for alpha, values in per_seed(runs, target).items():
            need = needed(values)
            rows.append(
                {
                    "target": target,
                    "alpha": alpha,
                    "needed": need and need.mean,
                    "low": need and need.low,
                    "high": need and need.high,
                    "num_seeds": len(values),
                    "by_seed": " ".join("-" if v is None else f"{v:.6g}" for v in values),
                    "num_runs": int(runs["accuracy"][runs["alpha"] == alpha].notna().sum()),
                }
            )
    return pd.DataFrame(rows)


def draw(data: Any, scale: Scale) -> Figure:
    """Draw the needed number against `alpha` with its interval, and a straight line."""
    figure, (axes,) = new_figure(
        "MNIST, Conv4: clean examples needed",
        f"{setup.sampling_note(scale)}; interpolated between runs; bars: 95 % interval over seeds",
    )
    for number, (target, rows) in enumerate(data.dropna(subset=["needed"]).groupby("target")):
        spread = np.stack([rows["needed"] - rows["low"], rows["high"] - rows["needed"]])
        style = {**line_style(number), "linestyle": "none"}
        axes.errorbar(
            rows["alpha"],
            rows["needed"],
            yerr=np.nan_to_num(spread.astype(float)),
            capsize=2,
            label=f"{100 * target:g} % accuracy",
            **style,
        )
        if len(rows) >= 3:
            line = straight_line(rows["alpha"].to_numpy(float), rows["needed"].to_numpy(float))
            ends = np.array([0.0, rows["alpha"].max()])
            axes.plot(ends, line[0] + line[1] * ends, color=style["color"], linewidth=0.8)
    alpha_ticks(axes, data["alpha"])
    axes.set_xlabel("noisy examples per clean one, alpha")
    axes.set_ylabel("clean examples needed")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3, linewidth=0.5)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)
    return figure


def straight_line(alphas: NDArray[np.float64], needs: NDArray[np.float64]) -> tuple[float, float]:
    """Return intercept and slope of the line with the smallest relative errors."""
    slope, intercept = np.polyfit(alphas, needs, 1, w=1 / needs)
    return float(intercept), float(slope)


def exponent(alphas: NDArray[np.float64], needs: NDArray[np.float64]) -> float:
    """Return p of `needs = a + b·alpha^p`, a and b ≥ 0, with the smallest relative errors.

    0.3 to 3.
    """
    from scipy.optimize import minimize_scalar, nnls

    def misfit(p: float) -> float:
        design = np.stack([np.ones_like(alphas), alphas**p], axis=1) / needs[:, None]
        return float(nnls(design, np.ones_like(needs))[1])

    return float(minimize_scalar(misfit, bounds=(0.3, 3.0), method="bounded").x)


def exponent_interval(
    alphas: NDArray[np.float64], by_seed: Sequence[NDArray[np.float64]]
) -> tuple[float, float] | None:
    """Return the 95 % interval of the exponent, seeds drawn anew with replacement at each `alpha`.

    None if some `alpha` has a single seed, which does not show its spread.
    """
    if min(map(len, by_seed)) < 2:
        return None
    generator = np.random.default_rng(0)
    found = []
    for _ in range(_DRAWS):
        means = [np.exp(np.log(generator.choice(v, len(v))).mean()) for v in by_seed]
        found.append(exponent(alphas, np.array(means)))
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def judge(data: Any) -> Judgement:
    """`linear-need`: a line meets every need within 25 %, and the exponent is from 0.8 to 1.25.

    The exponent p is that of `a + b·alpha^p`, and its 95 % interval over seeds must lie there, too.
    A need that does not grow is not reproduced.
    """
    rows = data[(data["target"] == fig8.TARGET)].dropna(subset=["needed"])
    if len(rows) < 4:
        return claims.not_run("fewer than four values of alpha with a measured need")
    alphas, needs = rows["alpha"].to_numpy(float), rows["needed"].to_numpy(float)
    intercept, slope = straight_line(alphas, needs)
    worst = float(np.max(np.abs((intercept + slope * alphas) / needs - 1)))
    power = exponent(alphas, needs)
    by_seed = [np.array(text.split(), float) for text in rows["by_seed"].astype(str)]
    interval = exponent_interval(alphas, by_seed)
    low, high = interval or (power, power)
    parts = [worst <= _LARGEST_MISS, _EXPONENTS[0] <= low and high <= _EXPONENTS[1]]
    verdict = "not reproduced" if slope <= 0 else claims.verdict_of(parts)
    if interval is None and verdict == "reproduced":
        verdict = "partly"
    spread = f"{low:.2f} to {high:.2f}" if interval else "no interval from one seed"
    return Judgement(
        verdict,
        f"for 90 %: {intercept:,.0f} + {slope:,.0f}·alpha clean examples, every need within "
        f"{100 * worst:.0f} % of the line; exponent {power:.2f} ({spread})",
        int(rows["num_runs"].sum()),
        {
            "intercept": intercept,
            "slope": slope,
            "largest relative miss": worst,
            "exponent": power,
            **({"exponent, low": low, "exponent, high": high} if interval else {}),
        },
        f"{intercept:,.0f} + {slope:,.0f}·alpha; exponent {power:.2f} ({spread})",
    )


STUDY = Study(
    name="fig9",
    title="MNIST, Conv4: clean examples needed against alpha",
    source="Figure 9 of the paper; the runs are those of figure 8. Our reading: the interpolation.",
    notes=fig8.STUDY.notes,
    specs=fig8.specs,
    select=select,
    draw=draw,
    claims=(
        Claim(
            "linear-need",
            "figure 9, abstract",
            "the number of clean examples needed for a given accuracy grows about linearly with "
            "alpha",
            "linear",
            judge,
        ),
    ),
)
