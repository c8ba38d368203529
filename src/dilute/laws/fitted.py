"""A fitted law of dilution, and the questions that it answers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dilute import seeds
from dilute.errors import LawError
from dilute.laws.evidence import Evidence
from dilute.laws.forms import Curve, Dilution
from dilute.laws.predicted import Predicted, interval_of

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Form:
    """A curve and a dilution with values of their parameters.

    Attributes:
        values: those of the curve, then those of the dilution.
    """

    curve: Curve
    dilution: Dilution
    values: Array

    def worth(self, alpha: Array, information: Array) -> Array:
        """Return how many clean labels a clean example is worth among its noisy ones, `[M]`.

        Arguments:
            alpha: `[M]`, noisy examples per clean one, ≥ 0.
            information: `[M]`, `Evidence.information` at these `alpha`.
        """
        return self.dilution.worth(alpha, information, self.values[len(self.curve.parameters) :])

    def error(self, num_effective: Array, chance: float) -> Array:
        """Return the error after training on `num_effective` `[M]` examples without noise, `[M]`.

        Arguments:
            chance: the error of a blind guess, 0 to 1.
        """
        return self.curve.error(num_effective, self.values, chance)

    def error_at(self, num_effective: float, chance: float) -> float:
        """Return the error after training on `num_effective` examples without noise."""
        return float(self.error(np.array([num_effective]), chance)[0])


@dataclass(frozen=True)
class DilutionLaw:
    """A fitted law: accuracy by number of clean examples and `alpha`, with intervals.

    The *worth* of a clean example among `alpha` noisy ones is the number of examples without noise
    that would do as much: 1 at `alpha = 0`, less with noise.

    Attributes:
        evidence: the runs that it was fitted to.
        best: the form that predicted left-out runs best, fitted to all runs; of those within 5 %
            of the best, the simplest.
        parameters: its parameters by name, with bootstrap intervals.
        scores: for every pair (curve, dilution), the root mean square of log error on left-out
            runs.
        residuals: `[M]`, log of observed over fitted error, run by run.
        spread: their root mean square: how far a new run inside the range may differ.
        growth: how much more a prediction outside the runs may be off, in log error per unit of
            `Evidence.distance`; estimated from left-out runs.
        draws: fits to reweighted runs, of all forms that predict about as well as the best.
        status: what a reader should know before using it.
    """

    evidence: Evidence
    best: Form
    parameters: dict[str, Predicted]
    scores: dict[tuple[str, str], float]
    residuals: Array = field(repr=False)
    spread: float
    growth: float
    draws: tuple[Form, ...] = field(repr=False)
    status: str

    def accuracy(self, num_clean: float, alpha: float) -> Predicted:
        """Return the accuracy to expect of a new run, 0 to 1.

        Arguments:
            num_clean: clean examples to train on, > 0.
            alpha: noisy examples per clean one, ≥ 0.
        """
        effective = num_clean * self.worth_by_draw(alpha)
        logs = [
            math.log(form.error_at(n, self.evidence.chance))
            for form, n in zip(self.draws, effective, strict=True)
        ]
        deviation = self._deviation(self.evidence.distance(num_clean, alpha))
        errors = np.minimum(np.exp(np.array(logs) + deviation), self.evidence.chance)
        return interval_of(1 - errors, self.evidence.beyond(num_clean, alpha))

    def needed(self, target: float, alpha: float) -> Predicted:
        """Return how many clean examples reach accuracy `target` among `alpha` noisy ones each.

        Errors: those of `check_target`.
        """
        effective = self.needed_by_draw(target)
        by_draw = self.worth_by_draw(alpha)
        middle = float(np.median(effective / by_draw))
        distance = self.evidence.distance(middle if math.isfinite(middle) else None, alpha)
        if distance:
            effective = self.needed_by_draw(target, distance)
        return interval_of(effective / by_draw, self.evidence.beyond(middle, alpha))

    def needed_by_draw(
        self, target: float, distance: float | None = None, *, with_runs: bool = True
    ) -> Array:
        """Return, for each draw, how many examples without noise reach `target`, `[draws]`.

        It is infinite where no number does.

        Arguments:
            target: accuracy.
            distance: how far the question lies outside the runs (`Evidence.distance`): the
                farther, the less sure the answer. None to take it from the answer itself.
            with_runs: whether the answer is for a new run, which deviates from the law, or for the
                law itself.

        Errors: those of `check_target`.
        """
        self.check_target(target)
        plain = self._crossings(np.full(len(self.draws), 1 - target))
        if not with_runs:
            return plain
        if distance is None:
            middle = float(np.median(plain))
            distance = self.evidence.distance(middle if math.isfinite(middle) else None, 0.0)
        return self._crossings((1 - target) * np.exp(-self._deviation(distance)))

    def _crossings(self, errors: Array) -> Array:
        """Return, by draw, how many examples without noise bring the error down to `errors`."""
        return np.array(
            [
                _crossing(form, error, self.evidence.chance)
                for form, error in zip(self.draws, errors, strict=True)
            ]
        )

    def worth(self, alpha: float) -> Predicted:
        """Return the worth of a clean example among `alpha` noisy ones, 0 to 1."""
        return interval_of(self.worth_by_draw(alpha), self.evidence.beyond(None, alpha))

    def worth_by_draw(self, alpha: float) -> Array:
        """Return the worth of a clean example among `alpha` noisy ones by each draw, `[draws]`."""
        a = np.array([float(alpha)])
        information = self.evidence.information(a)
        return np.array([float(form.worth(a, information)[0]) for form in self.draws])

    def ceiling(self) -> Predicted:
        """Return the accuracy that no number of clean examples exceeds, by extrapolation."""
        errors = np.array([form.error_at(1e15, self.evidence.chance) for form in self.draws])
        return interval_of(1 - errors, "all sizes")

    def check_target(self, target: float) -> None:
        """Refuse a target accuracy that no law can answer.

        Errors: `LawError` for one that is no better than a blind guess, or 1 or more.
        """
        guess = 1 - self.evidence.chance
        if not guess < target < 1:
            raise LawError(
                f"target {target:g} cannot be planned for; it must be above the accuracy of a "
                f"blind guess, {guess:.3g}, and below 1"
            )

    def _deviation(self, distance: float) -> Array:
        """Return by draw how far a new run deviates in log error, at `distance` from the runs."""
        generator = np.random.default_rng(seeds.word(0, "law deviation"))
        size = math.hypot(self.spread, self.growth * distance)
        return size * generator.standard_normal(len(self.draws))


def _crossing(form: Form, error: float, chance: float) -> float:
    """Return how many examples without noise bring the error down to `error`.

    It is infinite if no number does.
    """
    low, high = 0.0, 35.0  # logarithms: 1 to 1.6e15 examples
    if form.error(np.exp([high]), chance)[0] > error:
        return math.inf
    if form.error(np.exp([low]), chance)[0] <= error:
        return 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if form.error(np.exp([middle]), chance)[0] > error:
            low = middle
        else:
            high = middle
    return math.exp(high)
