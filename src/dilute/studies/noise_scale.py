"""The noise scale of the gradient against noise: the *effective batch size*, measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from dilute.runs import RunRecord, RunSpec
from dilute.studies.paper import setup
from dilute.study import claims
from dilute.study.claims import Claim, Judgement
from dilute.study.pages import markdown_table
from dilute.study.study import Scale, Study
from dilute.study.style import finish_logarithmic, line_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MODELS = {"perceptron": "perceptron", "mlp1": "MLP, 1 hidden layer", "conv4": "Conv4"}
_ALPHAS = (0, 2, 5, 10, 20, 50, 100)
_SINGLE, _GROUPED = "label_noise_scale", "noise_scale"


def specs(scale: Scale) -> list[RunSpec]:
    """Return the runs: all labels of an image in a visit, the gradient measured on the way."""
    base: dict[str, Any] = {"copies": "all", "batch_size": 128, "log_gradients": True}
    if scale == "smoke":
        base |= {"data": "mnist5k", "batch_size": 32, "budget_steps": 6, "curve_points": 1}
        return [RunSpec(**base, model="perceptron", alpha=alpha) for alpha in (0, 2, 20)]
    base |= {"data": "mnist", "budget_steps": 750, "curve_points": 3}
    num_seeds = {"perceptron": 3, "mlp1": 3, "conv4": 1 if scale == "laptop" else 3}
    return [
        RunSpec(**base, model=model, alpha=alpha, seed=seed)
        for model in _MODELS
        for seed in range(num_seeds[model])
        for alpha in _ALPHAS
    ]


def table(records: Sequence[RunRecord]) -> Any:
    """Return a pandas data frame with a row per run and look at the gradient."""
    import pandas as pd

    return pd.DataFrame([row for record in records for row in _looks(record)])


def _looks(record: RunRecord) -> Iterator[dict[str, Any]]:
    for point in record.curve:
        if point.gradient is None:
            continue
        row: dict[str, Any] = {
            **{name: record.spec[name] for name in ("model", "alpha", "seed")},
            "step": point.step,
            "test_accuracy": point.test_accuracy,
            "length": point.gradient.length,
        }
        for name in (_SINGLE, _GROUPED):
            found = getattr(point.gradient, name)
            row |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
        yield row


def select(table: Any, scale: Scale) -> Any:
    """Return the looks in order of model, step, `alpha` and seed."""
    return table.sort_values(["model", "step", "alpha", "seed"], ignore_index=True)


def draw(data: Any, scale: Scale) -> Figure:
    """Draw the noise scale of single labels against `1 + alpha`, by network and step."""
    models = [model for model in _MODELS if (data["model"] == model).any()]
    note = (
        "runs on all labels of an image at once, AdamW; noise scale of single labels; "
        "grey: as 1 + alpha (lower) and its square (upper), from alpha = 0 at the start; "
        "marks: geometric means of the seeds, bars: lowest to highest"
    )
    figure, panels = new_figure(
        f"{setup.mnist_title(scale)}: noise scale of the gradient",
        note,
        panels=len(models),
        inches=(2.6, 2.9),
    )
    for axes, model in zip(panels, models, strict=True):
        rows = data[data["model"] == model]
        start = rows[(rows["step"] == 0) & (rows["alpha"] == 0)][_SINGLE].mean()
        reach = np.array([1.0, 1.0 + rows["alpha"].max()])
        for power in (1, 2):
            axes.plot(reach, start * reach**power, color="0.7", linewidth=0.8)
        for number, (step, looks) in enumerate(rows.groupby("step")):
            groups = looks.dropna(subset=[_SINGLE]).groupby("alpha")[_SINGLE]
            means = groups.agg(lambda values: float(np.exp(np.log(values).mean())))
            low, high = groups.min(), groups.max()
            axes.errorbar(
                1 + means.index,
                means,
                yerr=np.stack([means - low, high - means]).clip(min=0),
                capsize=1.5,
                label=f"{step:,}",
                **line_style(number),
            )
        axes.set_title(_MODELS[model])
        label = "noise scale, labels" if axes is panels[0] else ""
        legend = "steps" if axes is panels[-1] else None
        finish_logarithmic(axes, "1 + alpha", label, legend=legend)
    return figure


@dataclass(frozen=True)
class Exponent:
    """The power of `1 + alpha` by which something grows, with its 95 % interval (Student's)."""

    value: float
    low: float
    high: float
    num_points: int

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f}, n = {self.num_points})"


def exponent(sizes: Sequence[float], values: Sequence[float]) -> Exponent | None:
    """Return the slope of `log values` against `log sizes`.

    None for fewer than three points or two sizes.
    """
    x, y = np.log(np.asarray(sizes, dtype=float)), np.log(np.asarray(values, dtype=float))
    if len(x) < 3 or len(np.unique(x)) < 2:
        return None
    fit = stats.linregress(x, y)
    half = float(stats.t.ppf(0.975, len(x) - 2) * fit.stderr)
    return Exponent(float(fit.slope), float(fit.slope) - half, float(fit.slope) + half, len(x))


def exponents(data: Any, name: str) -> dict[tuple[str, int], Exponent]:
    """Return by model and step the power of `1 + alpha` by which column `name` grows."""
    noisy = data[data["alpha"] > 0].dropna(subset=[name])
    found = {}
    for model in _MODELS:
        for step, looks in noisy[noisy["model"] == model].groupby("step"):
            value = exponent(1 + looks["alpha"], looks[name])
            if value is not None:
                found[model, int(step)] = value
    return found


def summary(data: Any, scale: Scale) -> str:
    """Return the exponents in Markdown, by network and point of training."""
    single, grouped = exponents(data, _SINGLE), exponents(data, _GROUPED)
    heads = ["network", "steps", "noise scale, labels: alpha = 0", "largest alpha"]
    heads += ["exponent, single labels", "exponent, all labels of an image"]
    table = []
    for (model, step), value in single.items():
        rows = data[(data["model"] == model) & (data["step"] == step)]
        ends = [
            float(np.exp(np.log(rows[rows["alpha"] == alpha][_SINGLE].dropna()).mean()))
            for alpha in (rows["alpha"].min(), rows["alpha"].max())
        ]
        cells = [_MODELS[model], f"{step:,}", *(f"{end:,.0f}" for end in ends), str(value)]
        table.append([*cells, str(grouped.get((model, step), "–"))])
    return markdown_table(heads, table)


def cost_markdown(records: Sequence[RunRecord]) -> str:
    """Return in Markdown what looking at gradients cost the runs."""
    shares: dict[str, list[float]] = {}
    for record in records:
        share = (record.gradient_seconds or 0.0) / (record.training_seconds or math.nan)
        shares.setdefault(record.spec["model"], []).append(share)
    rows = []
    for model, values in shares.items():
        median, low, high = (100 * of(values) for of in (statistics.median, min, max))
        rows.append([model, f"{median:.1f} ({low:.1f} to {high:.1f})", str(len(values))])
    return markdown_table(["network", "share of the time in steps, %", "runs"], rows)


def judge(data: Any) -> Judgement:
    """`effective-batch`: for every network and step the noise scale grows with `alpha`.

    That is: the exponent's interval is above 0.
    """
    found = exponents(data, _SINGLE)
    if not found:
        return claims.not_run()
    steps = sorted({step for _, step in found})
    words = [
        f"after {step:,} steps "
        + ", ".join(
            f"{value.value:.2f} ({_MODELS[model]})"
            for (model, at), value in found.items()
            if at == step
        )
        for step in steps
    ]
    later = [value.value for (_, step), value in found.items() if step > 0]
    start = [value.value for (_, step), value in found.items() if step == 0]
    brief = f"noise scale as (1 + alpha)^{np.mean(start):.1f} before training"
    if later:
        brief += f", ^{min(later):.1f} to ^{max(later):.1f} in it"
    return Judgement(
        claims.verdict_of([value.low > 0 for value in found.values()]),
        "the noise scale of single labels grows as 1 + alpha to the power of: " + "; ".join(words),
        len(data[["model", "alpha", "seed"]].drop_duplicates()),
        {f"exponent, {model}, step {step}": value.value for (model, step), value in found.items()},
        brief,
    )


STUDY = Study(
    name="noise-scale",
    title="MNIST: the noise scale of the gradient",
    source="Abstract and section 5 of the paper, which measures no gradients. Ours throughout.",
    notes={
        "smoke": "A few steps on 5,000 digits; no verdict.",
        "laptop": "All labels of an image in one visit; AdamW at 0.001, 750 steps of 128 images; "
        "Conv4 with one seed.",
        "paper": "As on a laptop, with three seeds.",
    },
    specs=specs,
    table=table,
    select=select,
    draw=draw,
    summary=summary,
    claims=(
        Claim(
            "effective-batch",
            "abstract",
            "noise decreases the effective batch size",
            "decreases",
            judge,
        ),
    ),
)
