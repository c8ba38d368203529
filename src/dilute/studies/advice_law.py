"""What the advice rests on: learning rate and length of training against the noise scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dilute.advice import AdviceLaw, PowerLaw, power_law, warmup_steps
from dilute.runs import RunRecord, RunSpec
from dilute.study.needs import crossing
from dilute.study.pages import markdown_table
from dilute.study.study import Scale, Study
from dilute.study.style import finish_logarithmic, line_style, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DATA = ("mnist", "cifar10")
_DRAWN = [(data, model) for model in ("mlp1", "conv4") for data in _DATA]
_ALPHAS = (0, 2, 10, 40)
_IMAGES = 51_200
_BATCH_SIZES = (32, 128, 512, 2048)
_RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
_LENGTHS = (50, 100, 200, 800, 1600)
_LENGTH_RATES = (3e-4, 1e-3, 3e-3)
_LENGTH_BATCH = 128
_CONV4_ALPHAS = (5, 20, 50)
_FEWEST_STEPS = 100
LEARNED_FRACTION = 0.95
_SCALE, _RATE, _LENGTH = "scale", "rate", "length"


def specs(scale: Scale) -> list[RunSpec]:
    """Return the study's runs: all labels of an image in a visit, AdamW falling to zero.

    There are three kinds: one step with a look at the gradient before it; batch size against
    learning rate at as many images; and lengths of training at one batch size.
    """
    base: dict[str, Any] = {"model": "mlp1", "copies": "all"}
    look: dict[str, Any] = {"budget_steps": 1, "curve_points": 1, "log_gradients": True}
    if scale == "smoke":
        base |= {"data": "mnist5k", "alpha": 2, "batch_size": 32}
        return [
            RunSpec(**base, **look),
            *(RunSpec(**base, budget_steps=6, curve_points=1, learning_rate=r) for r in _RATES[:3]),
        ]
    conv4 = {**base, "model": "conv4"}
    found = []
    for data in _DATA:
        for alpha in _ALPHAS:
            here = {**base, "data": data, "alpha": alpha}
            found.append(RunSpec(**here, **look, batch_size=2048))
            found += [run for size in _BATCH_SIZES for run in _at_rates(here, size)]
            found += [run for steps in _LENGTHS for run in _of_length(here, steps, points=5)]
        for alpha in _CONV4_ALPHAS:
            here = {**conv4, "data": data, "alpha": alpha}
            found.append(RunSpec(**here, **look, batch_size=2048))
            found += _of_length(here, 300, points=10)
    return found


def _at_rates(here: dict[str, Any], batch_size: int) -> list[RunSpec]:
    steps = _IMAGES // batch_size
    return [
        RunSpec(
            **here,
            batch_size=batch_size,
            budget_steps=steps,
            warmup_steps=warmup_steps(steps),
            learning_rate=rate,
            curve_points=5,
        )
        for rate in _RATES
    ]


def _of_length(here: dict[str, Any], steps: int, *, points: int) -> list[RunSpec]:
    return [
        RunSpec(
            **here,
            batch_size=_LENGTH_BATCH,
            budget_steps=steps,
            learning_rate=rate,
            curve_points=points,
        )
        for rate in _LENGTH_RATES
    ]


def table(records: Sequence[RunRecord]) -> Any:
    """Return a pandas data frame with a row per run: its setting, gain and noise scale."""
    import pandas as pd

    return pd.DataFrame([_row(record) for record in records])


def _row(record: RunRecord) -> dict[str, Any]:
    names = ("data", "model", "alpha", "batch_size", "learning_rate", "seed")
    look = record.curve[0].gradient if record.curve else None
    likelihoods = [point.heldout_nll for point in record.curve if point.heldout_nll is not None]
    is_done = record.status == "done" and likelihoods
    num_classes = len(record.heldout_confusion or []) or 10
    return {
        **{name: record.spec[name] for name in names},
        "status": record.status,
        "steps": record.spec["budget_steps"],
        "scale": look.noise_scale.value if look else None,
        "gain": math.log(num_classes) - min(likelihoods) if is_done else None,
        "accuracy": record.accuracy.selected,
        "num_test": record.num_test,
    }


def select(table: Any, scale: Scale) -> Any:
    """Return a row per point of the two laws: column `kind` is `rate` or `length`.

    `x` and `y` are what the law connects: `1 + scale/batch` and the learning rate with the highest
    gain in held-out noisy likelihood (between the rates tried, by a parabola; `is_inside` is false
    where it is the lowest or highest of them); the noise scale and the images at which the best
    runs have learned `LEARNED_FRACTION` of what the longest did, less what the batch of 128 costs.
    """
    import pandas as pd

    setting = ["data", "model", "alpha"]
    scales = table.dropna(subset=["scale"]).set_index(setting)["scale"].to_dict()
    runs = table[table["scale"].isna()]
    rows = []
    for names, here in runs.groupby(setting):
        scale_here = scales.get(names)
        if scale_here is None:
            continue
        known = {**dict(zip(setting, names, strict=True)), "scale": scale_here}
        for (size, steps), grid in here.groupby(["batch_size", "steps"]):
            is_tuned = size * steps == _IMAGES or names[1] == "conv4"
            if not is_tuned or steps < _FEWEST_STEPS:
                continue
            best, is_inside = _best_rate(grid)
            point = {"kind": _RATE, "x": 1 + scale_here / size, "y": best, "is_inside": is_inside}
            rows.append({**known, "batch_size": size, "steps": steps, **point})
        images = _images_needed(here[here["batch_size"] == _LENGTH_BATCH])
        if images is not None:
            least = images / (1 + _LENGTH_BATCH / scale_here)
            point = {"kind": _LENGTH, "x": scale_here, "y": least, "is_inside": True}
            rows.append({**known, "batch_size": _LENGTH_BATCH, "steps": None, **point})
    columns = ["kind", *setting, "batch_size", "steps", "scale", "x", "y", "is_inside"]
    return pd.DataFrame(rows, columns=columns)


def _best_rate(grid: Any) -> tuple[float, bool]:
    """Return the learning rate with the highest gain, and whether it lies between others."""
    ordered = grid.sort_values("learning_rate")
    rates = ordered["learning_rate"].to_numpy(dtype=float)
    gains = ordered["gain"].fillna(-math.inf).to_numpy(dtype=float)
    best = int(np.argmax(gains))
    around = slice(best - 1, best + 2)
    if best in (0, len(rates) - 1) or not np.isfinite(gains[around]).all():
        return float(rates[best]), best not in (0, len(rates) - 1)
    curvature, slope, _ = np.polyfit(np.log(rates[around]), gains[around], 2)
    return float(np.exp(-slope / (2 * curvature))), True


def _images_needed(runs: Any) -> float | None:
    """Return after how many images the best run of its length has learned enough."""
    gains = runs.groupby("steps")["gain"].max().sort_index().cummax()
    if len(gains) < 3:
        return None
    enough = LEARNED_FRACTION * float(gains.iloc[-1])
    steps = crossing(gains.index.tolist(), gains.tolist(), enough)
    return None if steps is None else steps * float(runs["batch_size"].iloc[0])


def fitted(data: Any) -> AdviceLaw | None:
    """Return the law that the frame of `select` gives; None for too few points."""
    parts = {kind: data[data["kind"] == kind] for kind in (_RATE, _LENGTH)}
    if any(len(rows) < 3 for rows in parts.values()):
        return None
    rate, images = (power_law(rows["x"], rows["y"]) for rows in parts.values())
    return AdviceLaw(rate=rate, images=images, learned_fraction=LEARNED_FRACTION)


def draw(data: Any, scale: Scale) -> Figure:
    """Draw the best learning rate and the images needed against the noise scale, with the laws."""
    figure, (rates, lengths) = new_figure(
        "Learning rate and length of training against the noise scale",
        "all labels of an image in a visit, AdamW falling linearly to zero; noise scale before "
        "the first step; chosen on "
        "held-out noisy labels; hollow: the lowest or highest rate that was tried; one seed",
        panels=2,
        inches=(3.3, 3.0),
    )
    law = fitted(data)
    for axes, kind in ((rates, _RATE), (lengths, _LENGTH)):
        rows = data[data["kind"] == kind]
        for number, (data_name, model) in enumerate(_DRAWN):
            points = rows[(rows["data"] == data_name) & (rows["model"] == model)]
            style = {**line_style(number), "linestyle": "none"}
            if not points.empty:
                axes.plot([], [], label=f"{data_name}, {model}", **style)
            for is_inside, some in points.groupby("is_inside"):
                fill: dict[str, Any] = {} if is_inside else {"markerfacecolor": "none"}
                axes.plot(some["x"], some["y"], **style, **fill)
        if law is not None:
            _draw_law(axes, law.rate if kind == _RATE else law.images)
    finish_logarithmic(rates, "1 + noise scale / batch size", "best learning rate", legend="")
    finish_logarithmic(
        lengths, "noise scale, visits", f"images to {LEARNED_FRACTION:.0%} of what is learned"
    )
    return figure


def _draw_law(axes: Axes, law: PowerLaw) -> None:
    x = np.geomspace(law.lowest, law.highest, 20)
    y = np.array([law.at(value) for value in x])
    axes.plot(x, y, color="0.3", linewidth=1)
    axes.fill_between(x, y / law.spread, y * law.spread, color="0.85", zorder=0)


def summary(data: Any, scale: Scale) -> str:
    """Return the two laws in Markdown."""
    law = fitted(data)
    if law is None:
        return "Too few runs for a law."
    rows = []
    for what, x, one in (
        ("learning rate", "(1 + noise scale / batch)", law.rate),
        (f"images to {LEARNED_FRACTION:.0%}, small batches", "(noise scale)", law.images),
    ):
        cells = [what, f"{one.factor:.3g} · {x}^{one.power:.2f}", f"{one.spread:.2f}"]
        cells += [f"{one.lowest:,.3g} to {one.highest:,.4g}", str(one.num_points)]
        rows.append(cells)
    heads = ["what", "law", "residuals, a factor of", "range of x", "points"]
    return markdown_table(heads, rows)


STUDY = Study(
    name="advice-law",
    title="MNIST and CIFAR-10: learning rate and length of training against the noise scale",
    source="Ours.",
    notes={
        "smoke": "A few steps on 5,000 digits.",
        "laptop": "An MLP with one hidden layer, and Conv4 for learning rates at one batch size "
        f"(300 steps, three rates); all labels of an image in a visit; {_IMAGES:,} images at five "
        "learning rates and three batch sizes (a fourth has too few steps to count), and 50 to "
        "1,600 steps of 128 images at three rates; one seed.",
        "paper": "As on a laptop.",
    },
    specs=specs,
    table=table,
    select=select,
    draw=draw,
    summary=summary,
)
