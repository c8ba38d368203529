"""Fitting the law of dilution: which form predicts runs that it was not fitted to, and how well."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from dilute import seeds
from dilute.errors import LawError
from dilute.laws.evidence import Evidence
from dilute.laws.fitted import DilutionLaw, Form
from dilute.laws.forms import CURVES, DILUTIONS, Curve, Dilution, Parameter
from dilute.laws.predicted import LEVEL, Predicted

Array = NDArray[np.float64]
_FEWEST_RUNS = 8
_NUM_DRAWS = 120
_EQUAL, _ALIKE = 1.05, 1.25
_TOLERANCE = 1e-5
_ROBUST = 0.1
_ROUNDS = 60
_MOST_RESIDUAL = 1.0


def fit_law(
    evidence: Evidence, seed: int = 0, dilutions: Sequence[str] = tuple(DILUTIONS)
) -> DilutionLaw:
    """Return the law of dilution of the runs `evidence`.

    Rival forms are compared. Each is fitted without some of the runs, and the one that predicts
    these best is taken.

    Arguments:
        seed: of the bootstrap behind intervals.
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
    if number < _FEWEST_RUNS:
        raise LawError(
            f"{number} finished runs of {evidence.setting} are too few for a law; "
            f"it takes {_FEWEST_RUNS}, at several alpha and sizes"
        )
    if len(alphas) < 2:
        raise LawError(
            f"all {number} runs of {evidence.setting} have alpha = {alphas[0]:g}; "
            "add runs at another, such as 0, 5 and 20"
        )
    if len(sizes) < 3:
        raise LawError(
            f"the {number} runs of {evidence.setting} have {len(sizes)} numbers of clean "
            "examples; a curve takes three"
        )
    if not list(folds(evidence)):
        raise LawError(
            f"the {number} runs of {evidence.setting} leave too little to fit when an alpha or "
            "the largest sizes are left out to test a law on; add runs at more sizes and alpha"
        )


def _fitted(
    evidence: Evidence, curve: Curve, dilution: Dilution, weights: Array, start: Array | None = None
) -> Form:
    """Return the form whose log error differs least from that of the runs.

    Outliers count less than their squares.

    Arguments:
        weights: `[M]`, how much each run counts, ≥ 0.
        start: values of the parameters to start from; those of the form if None.
    """
    parameters = (*curve.parameters, *dilution.parameters)
    used = weights > 0
    information = evidence.run_information[used]
    n, alpha, observed = evidence.num_clean[used], evidence.alpha[used], evidence.log_error[used]
    roots = np.sqrt(weights[used])
    split = len(curve.parameters)

    def misfit(inner: Array) -> Array:
        values = _outer(parameters, inner)
        effective = n * dilution.worth(alpha, information, values[split:])
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
    """Return values as the fit varies them: logarithms where the parameter says so."""
    pairs = zip(parameters, values, strict=True)
    return np.array([math.log(value) if p.is_logarithmic else value for p, value in pairs])


def _outer(parameters: tuple[Parameter, ...], inner: Array) -> Array:
    """Return the values behind `_inner`."""
    is_log = np.array([p.is_logarithmic for p in parameters])
    return np.where(is_log, np.exp(np.where(is_log, inner, 0.0)), inner)


def _residuals(evidence: Evidence, form: Form) -> Array:
    """Return `[M]`, log of observed over fitted error."""
    effective = evidence.num_clean * form.worth(evidence.alpha, evidence.run_information)
    fitted = np.maximum(form.error(effective, evidence.chance), 1e-9)
    return np.asarray(evidence.log_error - np.log(fitted))


@dataclass(frozen=True)
class _LeftOut:
    """How a form predicted runs that it was not fitted to.

    Attributes:
        score: root mean square of log error; all folds count alike.
        residuals: log of observed over predicted error, run by run.
        distances: how far each run was outside of those that were fitted.
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
    """Yield which runs are left out in turn, bool `[M]`.

    They are those of each `alpha` but 0, of the largest third of the sizes, and of the largest
    half; only where at least five runs, two `alpha` and two sizes are left to fit.
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
        f"{quality} (their error within a factor of {math.exp(score):.2f}, root mean square; "
        f"{len(evidence.alpha)} runs; {num_alike} forms do about as well)"
    )
