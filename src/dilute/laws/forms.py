"""The rival forms that a law can take: how error falls with clean examples, and what dilution leaves of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Parameter(NamedTuple):
    """A parameter of a form: the range that it may take, where a fit starts, and whether that is in logarithms."""

    name: str
    lowest: float
    highest: float
    start: float
    is_logarithmic: bool = False


class Curve(NamedTuple):
    """Error against clean examples.

    Fields:
        name: for tables.
        formula: with `n_eff` for clean examples, and `chance` for the error of a blind guess.
        parameters: in the order that `error` takes them.
        error: from clean examples `[M]`, parameters and chance to error, 0 to 1, `[M]`.
    """

    name: str
    formula: str
    parameters: tuple[Parameter, ...]
    error: Callable[[Array, Array, float], Array]


class Dilution(NamedTuple):
    """What one clean example among `alpha` noisy ones is worth.

    Fields:
        worth: from alpha `[M]`, what labels tell of the class `[M]` (`Evidence.information`), and parameters to
            worth `[M]`.
    """

    name: str
    formula: str
    parameters: tuple[Parameter, ...]
    worth: Callable[[Array, Array, Array], Array]


_FLOOR = Parameter("floor", 0.0, 0.9, 0.02)
_HALF = Parameter("half", 1.0, 1e9, 300.0, is_logarithmic=True)
_POWER = Parameter("power", 0.05, 3.0, 0.7, is_logarithmic=True)
_KAPPA = Parameter("kappa", 1e-3, 1e3, 0.7, is_logarithmic=True)


def _falling(n: Array, half: float, power: float) -> Array:
    return np.asarray(1 / (1 + (n / half) ** power))


CURVES = {
    curve.name: curve
    for curve in (
        Curve(
            "power",
            "floor + (half / n_eff)^power",
            (_FLOOR, _HALF, _POWER),
            lambda n, p, chance: np.minimum(chance, p[0] + (p[1] / n) ** p[2]),
        ),
        Curve(
            "sigmoid",
            "floor + (chance − floor) / (1 + (n_eff / half)^power)",
            (_FLOOR, _HALF, _POWER),
            lambda n, p, chance: p[0] + np.maximum(chance - p[0], 0) * _falling(n, p[1], p[2]),
        ),
        Curve(
            "sigmoid to zero",
            "chance / (1 + (n_eff / half)^power)",
            (_HALF, _POWER),
            lambda n, p, chance: chance * _falling(n, p[0], p[1]),
        ),
    )
}

DILUTIONS = {
    dilution.name: dilution
    for dilution in (
        Dilution(
            "linear",
            "n / (1 + kappa·alpha)",
            (_KAPPA,),
            lambda alpha, told, p: 1 / (1 + p[0] * alpha),
        ),
        Dilution(
            "exponent",
            "n / (1 + kappa·alpha)^gamma",
            (_KAPPA, Parameter("gamma", 0.3, 3.0, 1.0, is_logarithmic=True)),
            lambda alpha, told, p: (1 + p[0] * alpha) ** -p[1],
        ),
        Dilution(
            "saturating",
            "n · (share + (1 − share) / (1 + kappa·alpha))",
            (_KAPPA, Parameter("share", 0.0, 0.5, 0.01)),
            lambda alpha, told, p: p[1] + (1 - p[1]) / (1 + p[0] * alpha),
        ),
        Dilution(
            "information",
            "n · told, told: what labels tell of the class, over what a clean label tells",
            (),
            lambda alpha, told, p: told,
        ),
        Dilution(
            "identified",
            "n · (told + (1 − told) / (1 + kappa·alpha))",
            (_KAPPA,),
            lambda alpha, told, p: told + np.maximum(1 - told, 0) / (1 + p[0] * alpha),
        ),
    )
}
