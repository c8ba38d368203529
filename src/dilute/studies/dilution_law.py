"""What clean examples among noisy ones are worth: accuracy by size and noise, on one curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dilute.laws import Evidence, evidence_of, fit_law, kappa
from dilute.laws.forms import DILUTIONS
from dilute.noise import NoisePattern, Pair, Structured, Uniform, noise_rate
from dilute.planning.pilot_recipe import pilot_recipe
from dilute.runs import RunRecord, RunSpec
from dilute.study.pages import markdown_table
from dilute.study.study import Scale, Study
from dilute.study.style import line_style, new_figure, plain_ticks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 4
_MNIST = (400, 800, 1600, 3000, 6000, 12_000, 24_000, 60_000)
_CIFAR_SLOW = (1000, 2000, 5000)
_CIFAR = (500, 1000, 2000, 5000, 10_000, 20_000, 50_000)
_HALF_STRUCTURED = Structured(delta=0.5, order="random")
_QUARTER_STRUCTURED = Structured(delta=0.25, order="random", order_seed=1)


class Series(NamedTuple):
    """Runs of one setting.

    Fields:
        sizes: clean images, or for replacement images in all, each where it is possible.
        seeds: how many up to a tenth of the data, and how many beyond.
        most_images: runs that would see more, repeats counted, are left out.
        patience, rate_power: as for `pilot_recipe`.
    """

    data: str
    model: str
    noise: NoisePattern
    sizes: tuple[int, ...]
    alphas: tuple[float, ...]
    seeds: tuple[int, int] = (2, 2)
    is_replacement: bool = False
    most_images: int = 10**9
    patience: float = 1.0
    rate_power: float = 0.0


_ALPHAS = (0, 2, 5, 10, 20, 50)
SERIES = (
    Series("mnist", "mlp1", Uniform(), _MNIST, _ALPHAS),
    Series("mnist", "mlp1", _HALF_STRUCTURED, _MNIST, (5, 10, 20, 50)),
    Series("mnist", "perceptron", Uniform(), _MNIST, _ALPHAS, rate_power=0.5),
    Series("cifar10", "mlp1", Uniform(), _CIFAR, (0, 5, 20, 50)),
    Series("mnist", "mlp2", Uniform(), _MNIST, (0, 5, 20, 50)),
    Series("mnist", "mlp1", Pair(), _MNIST[:-1], (0.1, 0.25, 0.5, 0.75)),
    Series("mnist", "mlp1", Uniform(), _MNIST, (1, 4, 9, 19, 49), is_replacement=True),
    Series("digits", "mlp1", Uniform(), (50, 100, 200, 400, 800, 1400), (0, 2, 5, 10, 20), (3, 3)),
    Series("mnist", "conv4", Uniform(), _MNIST, (0, 5, 20, 50), (2, 1), most_images=330_000),
    # These three were run when the law's forms and intervals had been settled by the others.
    Series("mnist", "mlp2", _QUARTER_STRUCTURED, _MNIST, (5, 20, 50), (2, 1)),
    Series("mnist", "mlp4", Uniform(), _MNIST, (0, 5, 20, 50), (2, 1)),
    Series("cifar10", "mlp2", Uniform(), _CIFAR, (0, 5, 20, 50), (2, 1), most_images=500_000),
    Series(
        "cifar10",
        "conv6",
        Uniform(),
        _CIFAR_SLOW,
        (0, 5, 20, 50),
        (1, 1),
        most_images=100_000,
        patience=2,
    ),
)


def specs(scale: Scale) -> list[RunSpec]:
    """Return the study's runs."""
    if scale == "smoke":
        small = Series("mnist5k", "mlp1", Uniform(), (100, 200, 400), (0, 2, 5), (1, 1))
        return series_specs(small)
    return [spec for series in SERIES for spec in series_specs(series)]


def series_specs(series: Series) -> list[RunSpec]:
    """Return the runs of one series, in the order of their cost."""
    found = []
    for size in series.sizes:
        for alpha in series.alphas:
            training = pilot_recipe(
                size, alpha, patience=series.patience, rate_power=series.rate_power
            )
            if training["budget_steps"] * training["batch_size"] > series.most_images:
                continue
            amount: dict[str, Any] = {"alpha": alpha}
            if series.is_replacement:
                amount = {"rate": noise_rate(alpha)}
            few, many = series.seeds[1], series.seeds[0]
            found += [
                RunSpec(
                    data=series.data,
                    model=series.model,
                    noise=series.noise,
                    num_clean=size,
                    seed=seed,
                    **amount,
                    **training,
                )
                for seed in range(many if size <= 6000 else few)
            ]
    return found


def law_table(records: Sequence[RunRecord]) -> Any:
    """Return a pandas data frame with a row per run: where its setting's law puts it, and the law.

    `effective` is what the run's clean examples are worth among the noisy ones; `left_out` the
    law's error on runs that it was not fitted to, and `left_out_FORM` that of the best law with
    this form of dilution; `kappa` that of the form `linear`.
    """
    import pandas as pd

    parts = [_law_rows(evidence) for evidence in evidence_of(records).values()]
    return shortened(pd.concat(parts, ignore_index=True))


def shortened(table: Any) -> Any:
    """Return the frame with numbers in five digits that count, so that a file holds all of it."""
    numbers = table.select_dtypes("number").columns
    return table.assign(
        **{name: [float(f"{value:.5g}") for value in table[name]] for name in numbers}
    )


def _law_rows(evidence: Evidence) -> Any:
    import pandas as pd

    law = fit_law(evidence)
    linear = fit_law(evidence, dilutions=("linear",))
    information = evidence.run_information
    typical = float(np.median(evidence.alpha[evidence.alpha > 0]))
    found = linear.parameters["kappa"]
    by_form = {
        name: min((v for (_, d), v in law.scores.items() if d == name), default=None)
        for name in DILUTIONS
    }
    return pd.DataFrame(
        {
            "setting": str(evidence.setting),
            "num_clean": evidence.num_clean,
            "alpha": evidence.alpha,
            "accuracy": evidence.accuracy,
            "effective": evidence.num_clean * law.best.worth(evidence.alpha, information),
            "fitted": 1 - (1 - evidence.accuracy) / np.exp(law.residuals),
            "curve": law.best.curve.name,
            "dilution": law.best.dilution.name,
            "spread": law.spread,
            "left_out": min(law.scores.values()),
            **{f"left_out_{name}": score for name, score in by_form.items()},
            "kappa": found.value,
            "kappa_low": found.low,
            "kappa_high": found.high,
            **{
                f"theory_{doubt}": kappa(
                    evidence.setting.pattern, evidence.num_classes or 2, typical, doubt=doubt
                )
                for doubt in ("pairs", "all")
            },
        }
    )


def draw(data: Any, scale: Scale) -> Figure:
    """Draw test error against effective clean examples, with the law; a panel per setting."""
    settings = list(data["setting"].unique())
    rows = -(-len(settings) // _COLUMNS)
    figure, axes = new_figure(
        "Test error against what the clean examples are worth",
        "marks: runs; line: the fitted law; grey: clean examples as they are",
        panels=min(_COLUMNS, len(settings)),
        rows=rows,
        inches=(2.6, 2.4),
    )
    for panel in axes[len(settings) :]:
        panel.set_visible(False)
    for panel, setting in zip(axes, settings, strict=False):
        runs = data[data["setting"] == setting]
        panel.plot(runs["num_clean"], 100 * (1 - runs["accuracy"]), ".", color="0.85", markersize=3)
        for number, (alpha, chosen) in enumerate(runs.groupby("alpha")):
            style = {**line_style(number), "linestyle": "none", "markersize": 3}
            panel.plot(
                chosen["effective"], 100 * (1 - chosen["accuracy"]), label=f"{alpha:.3g}", **style
            )
        line = runs.sort_values("effective")
        panel.plot(line["effective"], 100 * (1 - line["fitted"]), color="0.2", linewidth=0.8)
        panel.set_xscale("log")
        panel.set_yscale("log")
        plain_ticks(panel, x=False)
        panel.set_title(short_name(setting), fontsize=6.5)
        panel.set_xlabel("effective clean examples")
        panel.set_ylabel("test error, %")
        panel.grid(alpha=0.3, linewidth=0.5)
        panel.legend(title="alpha", title_fontsize=6, fontsize=5.5, frameon=False)
    return figure


def summary(data: Any, scale: Scale) -> str:
    """Return the laws in Markdown, a row per setting."""
    heads = ["setting", "runs", "law chosen", "spread", "left out", *DILUTIONS]
    heads += ["kappa of `linear`", "theory: pairs, all in doubt"]
    rows = []
    for setting, runs in data.groupby("setting", sort=False):
        first = runs.iloc[0]
        scores = [first[f"left_out_{name}"] for name in DILUTIONS]
        cells = [
            short_name(str(setting)),
            str(len(runs)),
            f"{first['curve']}, {first['dilution']}",
            f"{np.exp(first['spread']):.2f}",
            f"{np.exp(first['left_out']):.2f}",
            *(
                "–" if score is None or np.isnan(score) else f"{np.exp(score):.2f}"
                for score in scores
            ),
            f"{first['kappa']:.2g} ({first['kappa_low']:.2g} to {first['kappa_high']:.2g})",
            f"{first['theory_pairs']:.2g}, {first['theory_all']:.2g}",
        ]
        rows.append(cells)
    return markdown_table(heads, rows)


def short_name(setting: str) -> str:
    """Return a setting without what most have in common."""
    return setting.replace(" noise", "").replace(" by dilution", "").replace(" of delta", "")


STUDY = Study(
    name="dilution-law",
    title="Test error against what clean examples are worth among noisy ones",
    source="Ours.",
    notes={
        "smoke": "A few steps on 5,000 digits.",
        "laptop": "All labels of an image in one visit, or one label an image for replacement; "
        "AdamW at a rate that falls to zero, the longer the less noise; the last model counts. "
        "Nothing was chosen by the test set.",
        "paper": "As on a laptop.",
    },
    specs=specs,
    table=law_table,
    draw=draw,
    summary=summary,
)
