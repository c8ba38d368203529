"""Steps to a fixed accuracy against batch size and noise: how noise moves the critical batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from dilute.advice import power_law
from dilute.gradients import clean_examples, signal_over_noise
from dilute.runs import RunSpec
from dilute.studies.noise_scale import exponent
from dilute.studies.paper import setup
from dilute.studies.races import TARGET, fastest, race_table
from dilute.study.pages import markdown_table
from dilute.study.study import Scale, Study
from dilute.study.style import finish_logarithmic, line_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# By alpha and batch size: labels in all (at least twice what the target takes), and rates to try.
_LABELS: dict[int, dict[int, int]] = {
    0: {8: 6_000, 32: 9_600, 128: 15_360, 512: 30_720, 2048: 100_000, 8192: 400_000},
    5: {32: 100_000, 128: 100_000, 512: 150_000, 2048: 250_000, 8192: 700_000},
    20: {32: 300_000, 128: 300_000, 512: 300_000, 2048: 400_000, 8192: 1_000_000, 32768: 3_000_000},
    50: {128: 1_500_000, 512: 1_500_000, 2048: 1_500_000, 8192: 2_000_000, 32768: 4_000_000},
}
_RATES: dict[int, tuple[float, ...]] = {
    0: (3e-4, 1e-3, 3e-3, 1e-2),
    5: (1e-4, 3e-4, 1e-3, 3e-3),
    20: (3e-5, 1e-4, 3e-4, 1e-3),
    50: (1e-5, 3e-5, 1e-4, 3e-4),
}
_SEEDS = {0: 2, 5: 2, 20: 2, 50: 1}
_LARGE = 8192
_BATCH = 128
_RATES_OF_LARGE = {20: (1e-4, 3e-4, 1e-3, 3e-3), 50: (3e-5, 1e-4, 3e-4, 1e-3)}


def specs(scale: Scale) -> list[RunSpec]:
    """Return the study's runs: single labels, constant rates, 30 points on clean labels."""
    base: dict[str, Any] = {
        "data": "mnist",
        "model": "mlp1",
        "copies": 1,
        "schedule": "constant",
        "heldout_labels": "clean",
        "curve_points": 30,
    }
    if scale == "smoke":
        base |= {"data": "mnist5k", "budget_steps": 30}
        return [
            RunSpec(**base, alpha=alpha, batch_size=size, learning_rate=1e-3)
            for alpha in (0, 2)
            for size in (32, 128)
        ]
    return [
        RunSpec(
            **base,
            alpha=alpha,
            batch_size=size,
            budget_examples=labels,
            learning_rate=rate,
            seed=seed,
        )
        for alpha, sizes in _LABELS.items()
        for seed in range(_SEEDS[alpha])
        for size, labels in sizes.items()
        for rate in (_RATES_OF_LARGE if size >= _LARGE else {}).get(alpha, _RATES[alpha])
    ]


def select(table: Any, scale: Scale) -> Any:
    """Return a row per `alpha`, batch size and seed, at the rate that held-out labels choose."""
    return fastest(table, ["alpha", "batch_size", "seed"])


@dataclass(frozen=True)
class Tradeoff:
    """`images = fewest · (1 + batch / critical)`, fitted in logarithms, with 95 % intervals.

    Attributes:
        fewest: images that the smallest batches need.
        critical: the critical batch size, at which twice as many are needed as that.
        fewest_interval, critical_interval: from low to high.
        spread: standard deviation of the residuals, as a factor.
        num_points: runs behind it.

    Source: McCandlish et al. 2018 (arXiv 1812.06162), equation 2.11.
    """

    fewest: float
    critical: float
    fewest_interval: tuple[float, float]
    critical_interval: tuple[float, float]
    spread: float
    num_points: int


def tradeoff(batch_sizes: Sequence[float], images: Sequence[float]) -> Tradeoff | None:
    """Return the fit of images needed against batch size.

    None for fewer than four runs or three sizes.
    """
    sizes, logs = np.asarray(batch_sizes, dtype=float), np.log(np.asarray(images, dtype=float))
    if len(sizes) < 4 or len(np.unique(sizes)) < 3:
        return None

    def predicted(sizes: NDArray[np.float64], fewest: float, critical: float) -> Any:
        return fewest + np.log1p(sizes / np.exp(critical))

    start = (float(logs.min()), float(np.log(np.median(sizes))))
    values, covariance = optimize.curve_fit(predicted, sizes, logs, p0=start, maxfev=10_000)
    bound = stats.t.ppf(0.975, len(sizes) - 2)
    halves = bound * np.sqrt(np.diag(covariance))
    (fewest, critical), ends = np.exp(values), np.exp([values - halves, values + halves]).T
    residuals = logs - predicted(sizes, *values)
    return Tradeoff(
        fewest=float(fewest),
        critical=float(critical),
        fewest_interval=(float(ends[0, 0]), float(ends[0, 1])),
        critical_interval=(float(ends[1, 0]), float(ends[1, 1])),
        spread=float(np.exp(np.sqrt((residuals**2).sum() / (len(sizes) - 2)))),
        num_points=len(sizes),
    )


def tradeoffs(data: Any) -> dict[float, Tradeoff]:
    """Return the fit for each `alpha` that has enough runs."""
    found = {
        float(alpha): tradeoff(rows["batch_size"], rows["images"])
        for alpha, rows in data.groupby("alpha")
    }
    return {alpha: fit for alpha, fit in found.items() if fit is not None}


@dataclass(frozen=True)
class RateLaw:
    """`learning rate = peak · (1 + critical / batch)^−power`, over all noise and batch sizes.

    Attributes:
        peak: the rate for batches far above the critical one.
        power: with its 95 % interval in power_interval.
        spread: standard deviation of the residuals, as a factor.
        num_points: runs behind it.
    """

    peak: float
    power: float
    power_interval: tuple[float, float]
    spread: float
    num_points: int


def rate_law(data: Any, fits: dict[float, Tradeoff]) -> RateLaw | None:
    """Return how the best learning rate falls as the batch gets small beside the critical one."""
    rows = data[data["alpha"].isin(list(fits))]
    if len(rows) < 4:
        return None
    critical = rows["alpha"].map({alpha: fit.critical for alpha, fit in fits.items()})
    ratios, best = 1 + critical / rows["batch_size"], rows["learning_rate"]
    law, power = power_law(ratios, best), exponent(ratios, best)
    assert power is not None
    return RateLaw(
        peak=law.factor,
        power=-law.power,
        power_interval=(-power.high, -power.low),
        spread=law.spread,
        num_points=law.num_points,
    )


def draw(data: Any, scale: Scale) -> Figure:
    """Draw images to the target, and the best rate, against batch size, a line per `alpha`."""
    figure, (race, rates) = new_figure(
        f"{setup.mnist_title(scale)}, MLP, 1 hidden layer: batch size and noise",
        "single labels, AdamW at a constant learning rate, chosen on held-out clean labels; images "
        f"until {TARGET:.0%} of test labels are right, with the fitted trade-off; marks: seeds",
        panels=2,
        inches=(3.3, 3.0),
    )
    fits = tradeoffs(data)
    for number, (alpha, rows) in enumerate(data.groupby("alpha")):
        style = line_style(number)
        dots = {**style, "linestyle": "none"}
        race.plot(rows["batch_size"], rows["images"], label=f"{alpha:g}", **dots)
        if alpha in fits:
            fit = fits[alpha]
            sizes = np.geomspace(rows["batch_size"].min(), rows["batch_size"].max(), 50)
            line = {**style, "marker": None}
            race.plot(sizes, fit.fewest * (1 + sizes / fit.critical), **line)
        means = rows.groupby("batch_size")["learning_rate"].agg(
            lambda values: float(np.exp(np.log(values).mean()))
        )
        rates.plot(means.index, means, label=f"{alpha:g}", **style)
    finish_logarithmic(race, "batch size", f"images to {TARGET:.0%} test accuracy")
    finish_logarithmic(rates, "batch size", "best learning rate", legend="alpha")
    return figure


def summary(data: Any, scale: Scale) -> str:
    """Return the trade-off at each `alpha` in Markdown, and how it grows with `1 + alpha`."""
    fits = tradeoffs(data)
    heads = ["alpha", f"fewest labels to {TARGET:.0%}", "critical batch", "steps at large batches"]
    heads += [f"{_BATCH} labels in clean ones: by the critical batch", "counted"]
    heads += ["signal over noise", "runs"]
    rows = []
    for alpha, fit in fits.items():
        worth = f"{_BATCH * fits[0.0].critical / fit.critical:.3g}" if 0.0 in fits else "–"
        rows.append(
            [
                f"{alpha:g}",
                _span(fit.fewest, fit.fewest_interval),
                _span(fit.critical, fit.critical_interval),
                f"{fit.fewest / fit.critical:,.0f}",
                worth,
                f"{clean_examples(_BATCH, 1, alpha):.3g}",
                f"{signal_over_noise(_BATCH, 1, alpha):.3g}",
                str(fit.num_points),
            ]
        )
    sizes = [1 + alpha for alpha in fits]
    powers = [
        exponent(sizes, [getattr(fit, name) for fit in fits.values()])
        for name in ("fewest", "critical")
    ]
    if all(powers):
        steps = exponent(sizes, [fit.fewest / fit.critical for fit in fits.values()])
        grown = map(str, (*powers, steps))
        rows.append(["power of 1 + alpha", *grown, "", "−1", "−2", ""])
    table = markdown_table(heads, rows)
    law = rate_law(data, fits)
    if law is None:
        return table
    low, high = law.power_interval
    return (
        f"{table}\n\n"
        f"Best learning rate: {law.peak:.2g} · (1 + critical batch / batch)^−{law.power:.2f} "
        f"(power {low:.2f} to {high:.2f}; the runs' own rates differ from it by a factor of "
        f"{law.spread:.1f}; n = {law.num_points})."
    )


def _span(value: float, interval: tuple[float, float]) -> str:
    return f"{value:,.0f} ({interval[0]:,.0f} to {interval[1]:,.0f})"


STUDY = Study(
    name="critical-batch",
    title="MNIST: images to a fixed accuracy against batch size and noise",
    source="Ours, after McCandlish et al. 2018.",
    notes={
        "smoke": "A few steps on 5,000 digits.",
        "laptop": "An MLP with one hidden layer; single labels; AdamW at constant learning rates "
        "half a decade apart, "
        "chosen on 3,000 held-out images with clean labels; two seeds, one at alpha = 50.",
        "paper": "As on a laptop.",
    },
    specs=specs,
    table=race_table,
    select=select,
    draw=draw,
    summary=summary,
)
