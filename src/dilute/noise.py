"""Noise patterns: for every true class, the distribution of a noisy copy's label.

Each pattern gives a row-stochastic matrix, or says why it cannot be. The measures of how much noise
there is (`alpha`, the share of noisy examples, the share of wrong labels) are converted here too.
"""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from dilute import seeds
from dilute.errors import NoiseError, unknown_name, validation_line

Matrix = NDArray[np.float64]

CLASS_MAPS: dict[str, dict[int, int]] = {
    # 2→7, 3→8, 5↔6, 7→1: digits that look alike.
    "mnist": {2: 7, 3: 8, 5: 6, 6: 5, 7: 1},
    # truck→automobile, bird→airplane, deer→horse, cat↔dog.
    "cifar10": {9: 1, 2: 0, 4: 7, 3: 5, 5: 3},
}


class _Pattern(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def matrix(self, num_classes: int, alpha: float) -> Matrix:
        """Return the float64 `[K, K]` matrix whose row `y` is the label distribution of a noisy copy of class `y`.

        Arguments:
            num_classes: K ≥ 2.
            alpha: noisy examples per clean one, > 0 (may be infinite); only `structured` depends on it.

        Errors: `NoiseError`, which states the bound, if there is no such distribution.
        """
        raise NotImplementedError


class Uniform(_Pattern):
    """Every class alike, the true one included: the literature's *symmetric* noise.

    Source: section 3, *uniform label noise*.
    """

    pattern: Literal["uniform"] = "uniform"

    def matrix(self, num_classes: int, alpha: float) -> Matrix:  # noqa: ARG002
        """Return `1/K` everywhere; see `_Pattern.matrix`."""
        return np.full((num_classes, num_classes), 1 / num_classes)


class UniformOther(_Pattern):
    """Every wrong class alike, never the true one."""

    pattern: Literal["uniform_other"] = "uniform_other"

    def matrix(self, num_classes: int, alpha: float) -> Matrix:  # noqa: ARG002
        """Return `1/(K−1)` off the diagonal and 0 on it."""
        return (1 - np.eye(num_classes)) / (num_classes - 1)


class Pair(_Pattern):
    """Always the next class, the last one's next being the first: the literature's *pair flip*."""

    pattern: Literal["pair"] = "pair"

    def matrix(self, num_classes: int, alpha: float) -> Matrix:  # noqa: ARG002
        """Return 1 at `(y, (y + 1) mod K)`."""
        return np.roll(np.eye(num_classes), 1, axis=1)


class Asymmetric(_Pattern):
    """A class map: noisy copies of class `a` say `b`; classes outside the map keep their label.

    Arguments:
        class_map: pairs `{a: b}` of class indices, or `"mnist"` or `"cifar10"` for the maps usual in
            the field (Patrini et al. 2017).
    """

    pattern: Literal["asymmetric"] = "asymmetric"
    class_map: str | dict[int, int]

    @field_validator("class_map")
    @classmethod
    def _known_map(cls, value: str | dict[int, int]) -> str | dict[int, int]:
        if isinstance(value, str) and value not in CLASS_MAPS:
            raise ValueError(unknown_name("class map", value, CLASS_MAPS))
        return value

    def matrix(self, num_classes: int, alpha: float) -> Matrix:  # noqa: ARG002
        """Return 1 at `(a, b)` for each pair and at `(y, y)` for the rest."""
        pairs = CLASS_MAPS[self.class_map] if isinstance(self.class_map, str) else self.class_map
        rows = np.eye(num_classes)
        for source, target in pairs.items():
            if not (0 <= source < num_classes and 0 <= target < num_classes):
                raise NoiseError(
                    f"class map {source}→{target} is out of range; with {num_classes} classes "
                    f"both must be 0 to {num_classes - 1}"
                )
            rows[source] = np.eye(num_classes)[target]
        return rows


class Structured(_Pattern):
    """Some wrong classes are likelier than others, to a degree `delta`.

    The true class has probability `1/K`; the wrong ones, in the chosen order, take a linear ramp from
    `1/K + delta/alpha` to `1/K − delta/alpha`. `delta = 0` is uniform; at `delta = 1` the first wrong
    class is exactly as frequent in the diluted set as the right one.

    Arguments:
        delta: degree, ≥ 0; needs `alpha ≥ K·delta`.
        order: `"confusing"` (most confused class first), `"reverse"` (least first) or `"random"`.
        confusion: for the first two, a `[K, K]` confusion matrix (counts or rates; row: true class).
        class_order: instead of `confusion`, the classes from most to least confused: K of them, one
            order for all, or K rows of the K−1 wrong classes.
        order_seed: which random order; 0 if not given.

    Source: section 3.2, *structured noise*; the ramp between the two ends is our reading.
    """

    pattern: Literal["structured"] = "structured"
    delta: float = Field(ge=0)
    order: Literal["confusing", "reverse", "random"] = "confusing"
    confusion: tuple[tuple[float, ...], ...] | None = None
    class_order: tuple[int, ...] | tuple[tuple[int, ...], ...] | None = None
    order_seed: int | None = None

    @model_validator(mode="after")
    def _only_what_is_used(self) -> Structured:
        is_random = self.order == "random"
        unused = ("confusion", "class_order") if is_random else ("order_seed",)
        for field in unused:
            if getattr(self, field) is not None:
                raise ValueError(f"{field} has no meaning with order {self.order}; leave it out")
        return self

    def matrix(self, num_classes: int, alpha: float) -> Matrix:
        """Return the ramp in the chosen order; see the class."""
        if self.delta > 0 and num_classes < 3:
            raise NoiseError(
                f"structured noise with delta = {self.delta:g} needs at least 3 classes, not {num_classes}: "
                "with one wrong class there is nothing to prefer"
            )
        if alpha < num_classes * self.delta:
            raise NoiseError(
                f"structured noise with delta = {self.delta:g} and {num_classes} classes needs "
                f"alpha ≥ {num_classes * self.delta:g}, not {alpha:g}; raise alpha or take "
                f"delta ≤ {alpha / num_classes:g}"
            )
        ramp = 1 / num_classes + (self.delta / alpha) * np.linspace(1, -1, num_classes - 1)
        rows = np.full((num_classes, num_classes), 1 / num_classes)
        np.put_along_axis(rows, self.ranking(num_classes), np.maximum(ramp, 0)[None, :], axis=1)
        return rows

    def ranking(self, num_classes: int) -> NDArray[np.int64]:
        """Return int64 `[K, K−1]`: for each true class the wrong ones, likeliest noisy label first."""
        if self.order == "random":
            words = np.stack(
                [
                    seeds.raw(self.order_seed or 0, "class order", y, count=num_classes)
                    for y in range(num_classes)
                ]
            )
            return _without_true_class(np.argsort(words, axis=1, kind="stable"))
        if self.class_order is not None:
            ranking = self._given_ranking(num_classes)
        elif self.confusion is not None:
            confusion = _square(self.confusion, num_classes, "confusion matrix")
            ranking = _without_true_class(np.argsort(-confusion, axis=1, kind="stable"))
        elif self.delta == 0:
            ranking = _without_true_class(np.tile(np.arange(num_classes), (num_classes, 1)))
        else:
            raise NoiseError(
                f"structured noise in {self.order} order needs a confusion matrix or a class order; "
                "give one, or take order random"
            )
        return ranking if self.order == "confusing" else ranking[:, ::-1]

    def _given_ranking(self, num_classes: int) -> NDArray[np.int64]:
        given = np.asarray(self.class_order, dtype=np.int64)
        if given.ndim == 1 and sorted(given) == list(range(num_classes)):
            return _without_true_class(np.tile(given, (num_classes, 1)))
        wrong = _without_true_class(np.tile(np.arange(num_classes), (num_classes, 1)))
        if given.shape == wrong.shape and (np.sort(given, axis=1) == wrong).all():
            return given
        raise NoiseError(
            f"class order of shape {given.shape} does not fit {num_classes} classes; it must be all "
            f"{num_classes} classes in one order, or for each class its {num_classes - 1} wrong ones"
        )


class Confusion(_Pattern):
    """Noise as given by a matrix: human-like or measured.

    Arguments:
        rows: `[K, K]`, row `y` the counts or probabilities of each label when the truth is `y`; rows
            are normalised.
    """

    pattern: Literal["confusion"] = "confusion"
    rows: tuple[tuple[float, ...], ...]

    def matrix(self, num_classes: int, alpha: float) -> Matrix:  # noqa: ARG002
        """Return the rows, each divided by its sum."""
        rows = _square(self.rows, num_classes, "confusion matrix")
        sums = rows.sum(axis=1)
        if (rows < 0).any() or (sums <= 0).any():
            row = int(np.flatnonzero((rows < 0).any(axis=1) | (sums <= 0))[0])
            raise NoiseError(
                f"confusion matrix row {row} is {rows[row].tolist()}; entries must be ≥ 0 and a row's sum > 0"
            )
        shares: Matrix = rows / sums[:, None]
        return shares


NoisePattern = Annotated[
    Uniform | UniformOther | Pair | Asymmetric | Structured | Confusion,
    Field(discriminator="pattern"),
]
PATTERNS: dict[str, type[_Pattern]] = {
    "uniform": Uniform,
    "uniform_other": UniformOther,
    "pair": Pair,
    "asymmetric": Asymmetric,
    "structured": Structured,
    "confusion": Confusion,
}


def make_pattern(name: str, **options: Any) -> NoisePattern:
    """Return the pattern `name` with the given options.

    Errors: `NoiseError` for an unknown name, an option that the pattern lacks or has no use for, or a
        value out of range.
    """
    if name not in PATTERNS:
        raise NoiseError(unknown_name("noise pattern", name, PATTERNS))
    fields = [field for field in PATTERNS[name].model_fields if field != "pattern"]
    unused = sorted(set(options) - set(fields))
    if unused:
        raise NoiseError(
            f"{', '.join(unused)} has no meaning for {name} noise, "
            + (f"which takes {', '.join(fields)}" if fields else "which takes no options")
        )
    missing = [
        field
        for field, info in PATTERNS[name].model_fields.items()
        if info.is_required() and field not in options
    ]
    if missing:
        raise NoiseError(f"{name} noise needs {' and '.join(missing)}; give it")
    try:
        pattern: NoisePattern = PATTERNS[name](**options)  # type: ignore[assignment]
        return pattern
    except ValidationError as error:
        raise NoiseError(f"{name} noise: {validation_line(error)}") from None


def read_matrix(path: Path) -> tuple[tuple[float, ...], ...]:
    """Return the square matrix in `path`: `.csv` (numbers alone), `.json` (list of rows) or `.npy`.

    Errors: `NoiseError` if the file is missing, of another kind, not square, or not finite numbers.
    """
    readers: dict[str, Any] = {
        ".csv": lambda: [
            [float(cell) for cell in row]
            for row in csv.reader(path.read_text().splitlines())
            if row
        ],
        ".json": lambda: json.loads(path.read_text()),
        ".npy": lambda: np.load(path, allow_pickle=False),
    }
    if path.suffix not in readers:
        raise NoiseError(
            f"matrix file {path} ends in '{path.suffix}'; allowed are .csv, .json and .npy"
        )
    try:
        values = np.asarray(readers[path.suffix](), dtype=np.float64)
    except FileNotFoundError:
        raise NoiseError(f"matrix file {path} does not exist") from None
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise NoiseError(f"matrix file {path} cannot be read: {error}".splitlines()[0]) from None
    if values.ndim != 2 or values.shape[0] != values.shape[1] or not np.isfinite(values).all():
        raise NoiseError(
            f"matrix file {path} has shape {values.shape}; it must be square, of finite numbers"
        )
    return tuple(tuple(row) for row in values.tolist())


# How much noise: three measures and their conversions


def noise_rate(alpha: float) -> float:
    """Return the share of examples that were added as noise, `alpha / (1 + alpha)`, 0 to 1.

    Some of them carry the true label by chance: for uniform noise this is the literature's symmetric
    noise rate *with the true class included*.
    """
    return 1.0 if math.isinf(alpha) else alpha / (1 + alpha)


def alpha_from_rate(rate: float) -> float:
    """Return noisy examples per clean one for a share `rate` (0 to 1) of noisy examples: `rate / (1 − rate)`.

    Errors: `NoiseError` outside 0 to 1. A rate of 1 gives infinity.
    """
    if not 0 <= rate <= 1:
        raise NoiseError(f"noise rate {rate:g} is out of range; it must be 0 to 1")
    return math.inf if rate == 1 else rate / (1 - rate)


def wrong_rate(
    alpha: float, matrix: Matrix, class_shares: NDArray[np.float64] | None = None
) -> float:
    """Return the expected share of labels that are wrong, 0 to 1: the noise rate *without the true class*.

    Arguments:
        alpha: noisy examples per clean one, ≥ 0.
        matrix: float64 `[K, K]`, the pattern's matrix.
        class_shares: `[K]`, the share of each class in the clean examples; equal if not given.
    """
    wrong = 1 - np.diag(matrix)
    return noise_rate(alpha) * float(np.average(wrong, weights=class_shares))


def alpha_from_wrong_rate(
    rate: float, matrix: Matrix, class_shares: NDArray[np.float64] | None = None
) -> float:
    """Return the `alpha` at which a share `rate` of all labels is wrong: the inverse of `wrong_rate`.

    Errors: `NoiseError` if this pattern cannot reach that share, with the share that it can.
    """
    reachable = wrong_rate(math.inf, matrix, class_shares)
    if not 0 <= rate < reachable:
        raise NoiseError(
            f"a share of {rate:g} wrong labels cannot be had; with this pattern it must be 0 to below {reachable:g}"
        )
    return alpha_from_rate(rate / reachable)


def label_laws(alpha: float, matrix: Matrix) -> Matrix:
    """Return float64 `[K, K]`: by true class, the distribution of all labels, own and noisy together.

    Arguments:
        alpha: noisy examples per clean one, ≥ 0, or infinite.
        matrix: float64 `[K, K]`, the pattern's matrix.
    """
    rate = noise_rate(alpha)
    return (1 - rate) * np.eye(len(matrix)) + rate * matrix


def majority_is_true(laws: Matrix) -> NDArray[np.bool_]:
    """Return bool `[K]`: whether the true class is the single most frequent label, given `label_laws`.

    Where it is not, no amount of data lets plain training recover the class.
    """
    others = np.where(np.eye(len(laws), dtype=bool), -np.inf, laws)
    answer: NDArray[np.bool_] = np.diag(laws) > others.max(axis=1) + 1e-12
    return answer


# What label counts say of an image's class

_NEVER = -1e6  # the logarithm of a probability of 0: finite, so that 0 times it is 0


def count_log_likelihood(counts: NDArray[np.int64], matrix: Matrix) -> NDArray[np.float64]:
    """Return float64 `[N, K]`: by class, the log-likelihood of label counts of which one is the image's own, up to a number per image.

    Arguments:
        counts: int64 `[N, K]`, how often each label stands beside each image.
        matrix: float64 `[K, K]`, the distribution of the other labels by true class.

    With y the class, the other labels are multinomial with counts less one at y: their probability goes as
    `c_y / T_yy · ∏ T_yl^c_l`.
    """
    with np.errstate(divide="ignore"):
        logs = np.maximum(np.log(matrix), _NEVER)
        return np.asarray(np.log(counts) + counts @ logs.T - np.diag(logs))


def law_log_likelihood(counts: NDArray[np.int64], laws: Matrix) -> NDArray[np.float64]:
    """Return float64 `[N, K]`: by class, the log-likelihood of label counts that are all drawn from the class's law, up to a number per image.

    Arguments:
        counts: int64 `[N, K]`.
        laws: float64 `[K, K]`, the distribution of a label by true class.
    """
    with np.errstate(divide="ignore"):
        return np.asarray(counts @ np.maximum(np.log(laws), _NEVER).T)


def _square(rows: Any, num_classes: int, what: str) -> Matrix:
    shape = (len(rows), len(rows[0]) if len(rows) else 0)
    if any(len(row) != num_classes for row in rows) or len(rows) != num_classes:
        raise NoiseError(
            f"{what} is {shape[0]}×{shape[1]}; with {num_classes} classes it must be {num_classes}×{num_classes}"
        )
    return np.asarray(rows, dtype=np.float64)


def _without_true_class(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Drop from row `y` of int64 `[K, K]` the entry `y`, keeping the order of the rest: `[K, K−1]`."""
    is_wrong = order != np.arange(len(order))[:, None]
    wrong: NDArray[np.int64] = order[is_wrong].reshape(len(order), len(order) - 1)
    return wrong
