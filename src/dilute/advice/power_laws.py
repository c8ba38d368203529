"""How learning rate and training length go with the gradient's noise scale: two power laws, fitted to stored runs.

The numbers are in `power_laws.json`, which `make studies` writes from the stored runs of the study `advice-law`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.resources import files

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy import stats

_HOME = "power_laws.json"


class PowerLaw(BaseModel):
    """`y = factor · x^power`, with what is not explained by it.

    Attributes:
        factor, power: fitted in logarithms.
        spread: standard deviation of the residuals, as a factor ≥ 1.
        bound: by what factor, up or down, a new value may differ: Student's 95 % bound on a new residual.
        num_points: points behind the fit.
        lowest, highest: range of x in the fit.
    """

    model_config = ConfigDict(frozen=True)

    factor: float
    power: float
    spread: float
    bound: float
    num_points: int
    lowest: float
    highest: float

    def at(self, x: float) -> float:
        """Return `y` at `x` > 0."""
        return float(self.factor * x**self.power)


class AdviceLaw(BaseModel):
    """What the advice rests on.

    Attributes:
        rate: peak learning rate of AdamW, falling linearly to zero, of `1 + scale/batch`.
        images: images that small batches need, of the noise scale; `1 + batch/scale` times as many are
            needed for others.
        learned_fraction: the share of what the longest runs learn (of the held-out likelihood that they
            gain over a guess) after so many images.
    """

    model_config = ConfigDict(frozen=True)

    rate: PowerLaw
    images: PowerLaw
    learned_fraction: float

    def learning_rate(self, batch_size: int, scale: float) -> float:
        """Return the peak learning rate for batches of visits with noise scale `scale`."""
        return self.rate.at(1 + scale / batch_size)

    def num_images(self, batch_size: int, scale: float) -> float:
        """Return how many images training takes."""
        return self.images.at(scale) * (1 + batch_size / scale)


def power_law(x: Sequence[float], y: Sequence[float]) -> PowerLaw:
    """Return the fit of `y` against `x`, both > 0, at least three points."""
    logs, values = np.log(np.asarray(x, dtype=float)), np.log(np.asarray(y, dtype=float))
    fit = stats.linregress(logs, values)
    freedom = len(logs) - 2
    residuals = values - fit.intercept - fit.slope * logs
    deviation = math.sqrt(float((residuals**2).sum()) / freedom)
    return PowerLaw(
        factor=float(np.exp(fit.intercept)),
        power=float(fit.slope),
        spread=math.exp(deviation),
        bound=math.exp(float(stats.t.ppf(0.975, freedom)) * deviation),
        num_points=len(logs),
        lowest=float(np.exp(logs.min())),
        highest=float(np.exp(logs.max())),
    )


def warmup_steps(steps: int) -> int:
    """Return over how many of so many steps the learning rate rises: a tenth, and at most 50."""
    return min(50, steps // 10)


def read_law() -> AdviceLaw:
    """Return the law that this version of the package comes with."""
    return AdviceLaw.model_validate_json(files("dilute.advice").joinpath(_HOME).read_text())
