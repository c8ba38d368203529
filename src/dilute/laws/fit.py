"""Fitting the law of dilution: which form predicts what it has not seen, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from dilute import seeds
from dilute.errors import LawError
from dilute.laws.evidence import Evidence
from dilute.laws.forms import CURVES, DILUTIONS, Curve, Dilution, Parameter

Array = NDArray[np.float64]
LEVEL = 0.90
FEWEST_RUNS = 8
_NUM_DRAWS = 120
_EQUAL, _ALIKE = 1.05, 1.25
_TOLERANCE = 1e-5
_ROBUST = 0.1
_ROUNDS = 60
_MOST_RESIDUAL = 1.0


@dataclass(frozen=True)
class Predicted:
    """A value with its 90 % interval.

    Attributes:
        value: the median of the draws; None if most of them have none (a target out of reach).
        low, high: ends of the interval; None where there is no bound.
        beyond: what of the question lies outside the runs behind the law; empty inside.
    """

    value: float | None
    low: float | None
    high: float | None
    beyond: str = ""

    def times(self, factor: float) -> Predicted:
        """Return the value and its interval times `factor`."""
        scaled = [
            None if end is None else end * factor for end in (self.value, self.low, self.high)
        ]
        return Predicted(scaled[0], scaled[1], scaled[2], self.beyond)


@dataclass(frozen=True)
class Form:
    """A curve and a dilution with their parameters, in the order of the two."""

    curve: Curve
    dilution: Dilution
    values: Array

    def worth(self, alpha: Array, told: Array) -> Array:
        """Return the worth of a clean example among `alpha` noisy ones, `[M]`."""
        return self.dilution.worth(alpha, told, self.values[len(self.curve.parameters) :])

    def error(self, num_effective: Array, chance: float) -> Array:
        """Return the error after so many clean examples without noise, `[M]`."""
        return self.curve.error(num_effective, self.values, chance)


@dataclass(frozen=True)
class DilutionLaw:
    """A fitted law: accuracy by number of clean examples and `alpha`, with intervals.

    Attributes:
        evidence: the runs behind it.
        best: the form that predicted left-out runs best, fitted to all; of those within 5 % the simplest.
        parameters: its parameters by name, with bootstrap intervals.
        scores: for every pair (curve, dilution), the root mean square of log error on left-out runs.
        residuals: `[M]`, log of observed over fitted error, run by run.
        spread: their root mean square: what a new run may differ inside the range.
        growth: how much more a prediction beyond the runs may be off, in log error per unit of `Evidence.distance`:
            from left-out runs.
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
        """Return the accuracy to expect of a run on `num_clean` clean examples among `alpha` noisy ones each, 0 to 1."""
        beyond = self.evidence.beyond(num_clean, alpha)
        n, a = np.array([float(num_clean)]), np.array([float(alpha)])
        told = self.evidence.information(a)
        logs = [
            math.log(float(form.error(n * form.worth(a, told), self.evidence.chance)[0]))
            for form in self.draws
        ]
        deviation = self._deviation(self.evidence.distance(num_clean, alpha))
        errors = np.minimum(np.exp(np.array(logs) + deviation), self.evidence.chance)
        return interval_of(1 - errors, beyond)

    def needed(self, target: float, alpha: float) -> Predicted:
        """Return the number of clean examples needed for accuracy `target` among `alpha` noisy ones each.

        Errors: those of `needed_clean`.
        """
        effective = self.needed_clean(target)
        worths = self.worths(alpha)
        middle = float(np.median(effective / worths))
        distance = self.evidence.distance(middle if math.isfinite(middle) else None, alpha)
        if distance:
            effective = self.needed_clean(target, distance)
        return interval_of(effective / worths, self.evidence.beyond(middle, alpha))

    def needed_clean(
        self, target: float, distance: float | None = None, *, with_runs: bool = True
    ) -> Array:
        """Return, by draw, how many examples without noise reach `target`; infinite where none do.

        Arguments:
            distance: how far the question lies outside the runs (`Evidence.distance`), which makes the answer less
                sure; that of as many clean examples if None.
            with_runs: whether the answer is for a new run, which deviates from the law, or for the law itself.

        Errors: `LawError` for a target that is no better than a guess, or 1.
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
        """Return what a clean example among `alpha` noisy ones is worth, 0 to 1."""
        return interval_of(self.worths(alpha), self.evidence.beyond(None, alpha))

    def worths(self, alpha: float) -> Array:
        """Return the worth of a clean example among `alpha` noisy ones by each draw, `[draws]`."""
        a = np.array([float(alpha)])
        told = self.evidence.information(a)
        return np.array([float(form.worth(a, told)[0]) for form in self.draws])

    def ceiling(self) -> Predicted:
        """Return the accuracy that no number of clean examples exceeds, as far as the fit tells."""
        errors = [
            float(form.error(np.array([1e15]), self.evidence.chance)[0]) for form in self.draws
        ]
        return interval_of(1 - np.array(errors), "all sizes")

    def check_target(self, target: float) -> None:
        """Refuse a target that no law can answer.

        Errors: `LawError` for one that is no better than a guess, or 1 or more.
        """
        guess = 1 - self.evidence.chance
        if not guess < target < 1:
            raise LawError(
                f"target {target:g} cannot be planned for; it must be above the accuracy of a blind guess, {guess:.3g}, "
                "and below 1"
            )

    def _deviation(self, distance: float) -> Array:
        """Return a deviation of log error for each draw: what new runs may be off so far outside the runs."""
        generator = np.random.default_rng(seeds.word(0, "law deviation"))
        size = math.hypot(self.spread, self.growth * distance)
        return size * generator.standard_normal(len(self.draws))


def fit_law(
    evidence: Evidence, seed: int = 0, dilutions: Sequence[str] = tuple(DILUTIONS)
) -> DilutionLaw:
    """Return the law of dilution of the runs `evidence`: of all rival forms that which best predicts what was left out.

    Arguments:
        seed: of the bootstrap.
        dilutions: the rivals; keys of `DILUTIONS`.

    Errors: `LawError` for too few runs, a single `alpha`, or a single number of clean examples.
    """
    _check(evidence)
    forms = [
        (curve, dilution)
        for curve in CURVES.values()
        for dilution in (DILUTIONS[name] for name in dilutions)
        if evidence.has_information or dilution.name not in ("information", "identified")
    ]
    whole = np.ones(len(evidence.alpha))
    fitted = {(c.name, d.name): _fitted(evidence, c, d, whole) for c, d in forms}
    left_out = {names: _left_out(evidence, form) for names, form in fitted.items()}
    scores = {names: found.score for names, found in left_out.items()}
    lowest = min(scores.values())
    best_names = min(
        (names for names, score in scores.items() if score <= _EQUAL * lowest),
        key=lambda names: (len(fitted[names].values), scores[names]),
    )
    best = fitted[best_names]
    residuals = _residuals(evidence, best)
    freedom = max(1, len(residuals) - len(best.values))
    spread = float(np.sqrt((residuals**2).sum() / freedom))
    alike = [fitted[names] for names, score in scores.items() if score <= _ALIKE * lowest]
    draws = tuple(_draws(evidence, alike, seed))
    of_best = [form.values for form in _draws(evidence, [best], seed)]
    names = [p.name for p in (*best.curve.parameters, *best.dilution.parameters)]
    parameters = {
        name: _interval(float(value), np.array([values[place] for values in of_best]))
        for place, (name, value) in enumerate(zip(names, best.values, strict=True))
    }
    return DilutionLaw(
        evidence=evidence,
        best=best,
        parameters=parameters,
        scores=scores,
        residuals=residuals,
        spread=spread,
        growth=left_out[best_names].growth(spread),
        draws=draws,
        status=_status(evidence, scores[best_names], len(alike)),
    )


def _check(evidence: Evidence) -> None:
    number = len(evidence.alpha)
    alphas, sizes = np.unique(evidence.alpha), np.unique(evidence.num_clean)
    if number < FEWEST_RUNS:
        raise LawError(
            f"{number} finished runs of {evidence.setting} are too few for a law; it takes {FEWEST_RUNS}, at several "
            "alpha and sizes"
        )
    if len(alphas) < 2:
        raise LawError(
            f"all {number} runs of {evidence.setting} have alpha = {alphas[0]:g}; add runs at another, as 0, 5 and 20"
        )
    if len(sizes) < 3:
        raise LawError(
            f"the {number} runs of {evidence.setting} have {len(sizes)} numbers of clean examples; a curve takes three"
        )
    if not list(folds(evidence)):
        raise LawError(
            f"the {number} runs of {evidence.setting} leave too little to fit when an alpha or the largest sizes are left out "
            "to test a law on; add runs at more sizes and alpha"
        )


def _fitted(
    evidence: Evidence,
    curve: Curve,
    dilution: Dilution,
    weights: Array,
    start: Array | None = None,
) -> Form:
    """Return the form with the smallest weighted errors in log error, outliers counting less than squares.

    Arguments:
        weights: `[M]`, how much each run counts.
        start: values of the parameters to start from; those of the form if None.
    """
    parameters = (*curve.parameters, *dilution.parameters)
    used = weights > 0
    told = evidence.told[used]
    n, alpha, observed = evidence.num_clean[used], evidence.alpha[used], evidence.log_error[used]
    roots = np.sqrt(weights[used])
    split = len(curve.parameters)

    def misfit(inner: Array) -> Array:
        values = _outer(parameters, inner)
        effective = n * dilution.worth(alpha, told, values[split:])
        error = curve.error(effective, values, evidence.chance)
        return np.asarray(roots * (np.log(np.maximum(error, 1e-9)) - observed))

    lowest = _inner(parameters, [p.lowest for p in parameters])
    highest = _inner(parameters, [p.highest for p in parameters])
    first = _inner(parameters, [p.start for p in parameters] if start is None else start)
    margin = 1e-3 * (highest - lowest)
    found = least_squares(
        misfit,
        np.clip(first, lowest + margin, highest - margin),
        bounds=(lowest, highest),
        ftol=_TOLERANCE,
        xtol=_TOLERANCE,
        loss="soft_l1",
        f_scale=_ROBUST,
        max_nfev=_ROUNDS,
    )
    return Form(curve, dilution, _outer(parameters, found.x))


def _inner(parameters: tuple[Parameter, ...], values: Iterable[float]) -> Array:
    """Return values as the fit sees them: in logarithms where they are so."""
    pairs = zip(parameters, values, strict=True)
    return np.array([math.log(value) if p.is_logarithmic else value for p, value in pairs])


def _outer(parameters: tuple[Parameter, ...], inner: Array) -> Array:
    is_log = np.array([p.is_logarithmic for p in parameters])
    return np.where(is_log, np.exp(np.where(is_log, inner, 0.0)), inner)


def _residuals(evidence: Evidence, form: Form) -> Array:
    """Return `[M]`, log of observed over fitted error."""
    effective = evidence.num_clean * form.worth(evidence.alpha, evidence.told)
    fitted = np.maximum(form.error(effective, evidence.chance), 1e-9)
    return np.asarray(evidence.log_error - np.log(fitted))


@dataclass(frozen=True)
class _LeftOut:
    """How a form predicted what it was not fitted to.

    Attributes:
        score: root mean square of log error, all folds counting alike.
        residuals, distances: run by run, and how far each was outside of what was fitted.
    """

    score: float
    residuals: Array
    distances: Array

    def growth(self, spread: float) -> float:
        """Return by how much residuals grow with distance, beyond `spread`."""
        squares = self.distances**2
        excess = self.residuals**2 - spread**2
        total = float((squares**2).sum())
        return math.sqrt(max(0.0, float((squares * excess).sum()) / total)) if total else 0.0


def _left_out(evidence: Evidence, form: Form) -> _LeftOut:
    """Return how a form, fitted to the rest, predicts each fold of the runs."""
    residuals, distances = [], []
    for is_left_out in folds(evidence):
        kept = evidence.where(~is_left_out)
        fitted = _fitted(kept, form.curve, form.dilution, np.ones(len(kept.alpha)), form.values)
        found = _residuals(evidence, fitted)[is_left_out]
        residuals.append(np.clip(found, -_MOST_RESIDUAL, _MOST_RESIDUAL))
        asked = zip(evidence.num_clean[is_left_out], evidence.alpha[is_left_out], strict=True)
        distances.append(np.array([kept.distance(float(n), float(a)) for n, a in asked]))
    return _LeftOut(
        math.sqrt(np.mean([float(np.mean(part**2)) for part in residuals])),
        np.concatenate(residuals),
        np.concatenate(distances),
    )


def folds(evidence: Evidence) -> Iterator[NDArray[np.bool_]]:
    """Yield what is left out in turn: each `alpha` but 0, the largest third of the sizes, and the largest half.

    Only where at least five runs, two `alpha` and two sizes are left to fit.
    """
    chosen = [evidence.alpha == alpha for alpha in np.unique(evidence.alpha) if alpha > 0]
    ranks = np.unique(evidence.num_clean)
    for edge in (ranks[-max(1, len(ranks) // 3)], ranks[-max(1, len(ranks) // 2)]):
        chosen.append(evidence.num_clean >= edge)
    for is_left_out in chosen:
        kept = ~is_left_out
        enough = kept.sum() >= 5 and len(np.unique(evidence.num_clean[kept])) >= 2
        if enough and len(np.unique(evidence.alpha[kept])) >= 2 and is_left_out.any():
            yield is_left_out


def _draws(evidence: Evidence, forms: list[Form], seed: int) -> Iterator[Form]:
    """Yield fits to the runs with random weights (a Bayesian bootstrap), the forms taking turns."""
    generator = np.random.default_rng(seeds.word(seed, "law bootstrap"))
    for number in range(_NUM_DRAWS):
        form = forms[number % len(forms)]
        weights = generator.standard_exponential(len(evidence.alpha))
        yield _fitted(evidence, form.curve, form.dilution, weights / weights.mean(), form.values)


def _crossing(form: Form, error: float, chance: float) -> float:
    """Return how many examples without noise bring the error down to `error`; infinite if none do."""
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


def interval_of(values: Array, beyond: str = "") -> Predicted:
    """Return the median of draws and the interval that holds 90 % of them; infinite draws have no value."""
    ends = np.quantile(values, [0.5, (1 - LEVEL) / 2, (1 + LEVEL) / 2], method="nearest")
    value, low, high = (float(end) if np.isfinite(end) else None for end in ends)
    return Predicted(value, low, high, beyond)


def _interval(value: float, values: Array) -> Predicted:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Predicted(value, float(low), float(high))


def _status(evidence: Evidence, score: float, num_alike: int) -> str:
    quality = (
        "predicts left-out runs well"
        if score < 0.1
        else "predicts left-out runs roughly"
        if score < 0.25
        else "predicts left-out runs badly: take its answers as orders of magnitude"
    )
    return (
        f"{quality} (their error within a factor of {math.exp(score):.2f}, root mean square; {len(evidence.alpha)} runs; "
        f"{num_alike} forms do about as well)"
    )
