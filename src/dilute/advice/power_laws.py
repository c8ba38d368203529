"""Learning rate and training length by the gradient's noise scale: two power laws, fitted to runs.

The numbers are in `power_laws.json`, which is written from the stored runs of the study
`advice-law`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.resources import files

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy import stats

_FILE = "power_laws.json"


class PowerLaw(BaseModel):
    """`y = factor · x^power`, and how far points differ from it.

    Attributes:
        factor, power: fitted in logarithms.
        spread: standard deviation of the residuals, as a factor ≥ 1.
        bound: the factor by which a new value may differ, up or down: Student's 95 % bound on a new
            residual.
        num_points: how many points were fitted.
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
    """The power laws that advice comes from; `scale` is the noise scale of visits.

    Attributes:
        rate: from `1 + scale/batch` to the peak learning rate of AdamW, which falls linearly to
            zero.
        images: from `scale` to the number of images that small batches need; a batch size needs
            `1 + batch/scale` times as many.
        learned_fraction: how much is learned from so many images, as a share of what the longest
            runs learn (of the held-out likelihood that they gain over a blind guess).
    """

    model_config = ConfigDict(frozen=True)

    rate: PowerLaw
    images: PowerLaw
    learned_fraction: float

    def learning_rate(self, batch_size: int, scale: float) -> float:
        """Return the peak learning rate for batches of visits with noise scale `scale`."""
        return self.rate.at(1 + scale / batch_size)

    def num_images(self, batch_size: int, scale: float) -> float:
        """Return how many images training takes with batches of `batch_size` visits."""
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
    """Return over how many of `steps` the learning rate rises: a tenth of them, at most 50."""
    return min(50, steps // 10)


def read_law() -> AdviceLaw:
    """Return the power laws that this version of the package comes with."""
    return AdviceLaw.model_validate_json(files("dilute.advice").joinpath(_FILE).read_text())
