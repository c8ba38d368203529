"""What clean examples among noisy ones are worth: accuracy by size and noise, on one curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from dilute.noise import NoisePattern, Pair, Structured, Uniform, noise_rate
from dilute.paper.figure import Scale
from dilute.planning.recipe import recipe
from dilute.runs import RunRecord, RunSpec

_MNIST = (400, 800, 1600, 3000, 6000, 12_000, 24_000, 60_000)
_CIFAR_SLOW = (1000, 2000, 5000, 12_500, 50_000)
_CIFAR = (500, 1000, 2000, 5000, 10_000, 20_000, 50_000)
_HALF_STRUCTURED = Structured(delta=0.5, order="random")


class Series(NamedTuple):
    """Runs of one setting.

    Fields:
        sizes: clean images, or for replacement images in all, each where it is possible.
        seeds: how many up to a tenth of the data, and how many beyond.
        most_images: runs that would see more, repeats counted, are left out.
        patience: as for `recipe`.
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


_ALPHAS = (0, 2, 5, 10, 20, 50)
SERIES = (
    Series("mnist", "mlp1", Uniform(), _MNIST, _ALPHAS),
    Series("mnist", "mlp1", _HALF_STRUCTURED, _MNIST, (5, 10, 20, 50)),
    Series("mnist", "perceptron", Uniform(), _MNIST, _ALPHAS),
    Series("cifar10", "mlp1", Uniform(), _CIFAR, (0, 5, 20, 50)),
    Series("mnist", "mlp2", Uniform(), _MNIST, (0, 5, 20, 50)),
    Series("mnist", "mlp1", Pair(), _MNIST[:-1], (0.1, 0.25, 0.5, 0.75)),
    Series("mnist", "mlp1", Uniform(), _MNIST, (1, 4, 9, 19, 49), is_replacement=True),
    Series("digits", "mlp1", Uniform(), (50, 100, 200, 400, 800, 1400), (0, 2, 5, 10, 20), (3, 3)),
    Series("mnist", "conv4", Uniform(), _MNIST, (0, 5, 20, 50), (2, 1), most_images=330_000),
    Series(
        "cifar10",
        "conv6",
        Uniform(),
        _CIFAR_SLOW,
        (0, 5, 20, 50),
        (1, 1),
        most_images=360_000,
        patience=2,
    ),
)


def specs(scale: Scale, references: Sequence[RunRecord] = ()) -> list[RunSpec]:  # noqa: ARG001
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
            training = recipe(size, alpha, series.patience)
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
