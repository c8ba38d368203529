"""The rival forms of a law: how error falls with clean examples, and what noise leaves of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Parameter(NamedTuple):
    """A parameter of a form.

    Fields:
        lowest, highest: range that it may take.
        start: value from which a fit starts.
        is_logarithmic: whether a fit varies its logarithm.
    """

    name: str
    lowest: float
    highest: float
    start: float
    is_logarithmic: bool = False


class Curve(NamedTuple):
    """How the error falls with the number of clean examples.

    Fields:
        name: for tables.
        formula: with `n_eff` for clean examples, and `chance` for the error of a blind guess.
        parameters: in the order in which `error` takes them.
        error: takes clean examples `[M]`, values of the parameters and `chance`; returns the
            error `[M]`, 0 to 1.
    """

    name: str
    formula: str
    parameters: tuple[Parameter, ...]
    error: Callable[[Array, Array, float], Array]


class Dilution(NamedTuple):
    """How many examples without noise one clean example among `alpha` noisy ones is worth.

    Fields:
        name: for tables.
        formula: with `n` for clean examples; `told` is what `worth` takes as information.
        parameters: in the order in which `worth` takes them.
        worth: takes alpha `[M]`, how much the labels say about the class `[M]`
            (`Evidence.information`) and values of the parameters; returns the worth `[M]`.
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
            lambda alpha, info, p: 1 / (1 + p[0] * alpha),
        ),
        Dilution(
            "exponent",
            "n / (1 + kappa·alpha)^gamma",
            (_KAPPA, Parameter("gamma", 0.3, 3.0, 1.0, is_logarithmic=True)),
            lambda alpha, info, p: (1 + p[0] * alpha) ** -p[1],
        ),
        Dilution(
            "saturating",
            "n · (share + (1 − share) / (1 + kappa·alpha))",
            (_KAPPA, Parameter("share", 0.0, 0.5, 0.01)),
            lambda alpha, info, p: p[1] + (1 - p[1]) / (1 + p[0] * alpha),
        ),
        Dilution(
            "information",
            "n · told, told: what labels tell of the class, over what a clean label tells",
            (),
            lambda alpha, info, p: info,
        ),
        Dilution(
            "identified",
            "n · (told + (1 − told) / (1 + kappa·alpha))",
            (_KAPPA,),
            lambda alpha, info, p: info + np.maximum(1 - info, 0) / (1 + p[0] * alpha),
        ),
    )
}
