"""Noise patterns: for every true class, the distribution of a noisy copy's label.

Each pattern gives a row-stochastic matrix, or says why it cannot be. A pattern of your own is a
subclass of `NoisePattern` with a `matrix`.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from dilute import seeds
from dilute.errors import NoiseError, one_line, unknown_name

Matrix = NDArray[np.float64]

CLASS_MAPS: dict[str, dict[int, int]] = {
    # 2→7, 3→8, 5↔6, 7→1: digits that look alike.
    "mnist": {2: 7, 3: 8, 5: 6, 6: 5, 7: 1},
    # truck→automobile, bird→airplane, deer→horse, cat↔dog.
    "cifar10": {9: 1, 2: 0, 4: 7, 3: 5, 5: 3},
}


def _any_pattern(value: Any) -> NoisePattern:
    from dilute.noise.registry import as_pattern

    try:
        return as_pattern(value)
    except NoiseError as error:
        raise ValueError(str(error)) from None


class NoisePattern(BaseModel):
    """Which labels noisy copies get; its fields are its options.

    A pattern of your own is a subclass that has `matrix` and perhaps options. In a spec it is
    written as a mapping of its options and of `pattern`, which is `module:Class`. As the type of
    a field, this class stands for any pattern: its name, such a mapping, or an instance.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    pattern: str = Field("", description="name of the pattern, or module:Class")

    @model_validator(mode="after")
    def _fill_in_name(self) -> NoisePattern:
        name = f"{type(self).__module__}:{type(self).__qualname__}"
        if not self.pattern:
            object.__setattr__(self, "pattern", name)
        elif ":" in self.pattern and self.pattern != name:
            raise ValueError(f"pattern is {self.pattern}; it must be {name}")
        return self

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        if cls.__base__ is not BaseModel:
            return schema
        from_user = core_schema.no_info_plain_validator_function(_any_pattern)
        as_it_is = core_schema.wrap_serializer_function_ser_schema(
            lambda pattern, serialize: serialize(pattern), schema=core_schema.any_schema()
        )
        return {**from_user, "serialization": as_it_is}

    def matrix(self, num_classes: int, alpha: float) -> Matrix:
        """Return the float64 `[K, K]` matrix of the noise.

        Row `y` is the distribution of the label of a noisy copy of class `y`.

        Arguments:
            num_classes: K ≥ 2.
            alpha: noisy examples per clean one, > 0 (may be infinite); of the patterns here only
                `structured` depends on it.

        Errors: `NoiseError`, which states the bound, if there is no such distribution.
        """
        raise NotImplementedError


def checked_matrix(pattern: NoisePattern, num_classes: int, alpha: float) -> Matrix:
    """Return the pattern's matrix, once it is known to be one: the pattern may be the user's own.

    Arguments: as for `NoisePattern.matrix`.

    Errors: `NoiseError` if it cannot be made, or is no distribution of K labels for each of K
        classes.
    """
    name = pattern.pattern
    try:
        matrix = np.asarray(pattern.matrix(num_classes, alpha), dtype=np.float64)
    except NoiseError:
        raise
    except Exception as error:  # whatever the user's code raises
        raise NoiseError(
            f"noise pattern {name} gives no matrix ({one_line(error)}); "
            f"it was called with num_classes = {num_classes} and alpha = {alpha:g}"
        ) from error
    if matrix.shape != (num_classes, num_classes):
        raise NoiseError(
            f"noise pattern {name} gives a matrix of shape {matrix.shape}; "
            f"with {num_classes} classes it must be {num_classes}×{num_classes}"
        )
    is_wrong = ~((matrix >= 0).all(axis=1) & (np.abs(matrix.sum(axis=1) - 1) <= 1e-6))
    if is_wrong.any():
        row = int(np.flatnonzero(is_wrong)[0])
        raise NoiseError(
            f"noise pattern {name} gives a matrix whose row {row} has entries from "
            f"{matrix[row].min():g} and sums to {matrix[row].sum():g}; "
            "every row must be ≥ 0 and sum to 1"
        )
    return matrix


class Uniform(NoisePattern):
    """Every class alike, the true one included: the literature's *symmetric* noise.

    Source: section 3, *uniform label noise*.
    """

    pattern: Literal["uniform"] = "uniform"

    def matrix(self, num_classes: int, alpha: float) -> Matrix:  # noqa: ARG002
        """Return `1/K` everywhere; see `NoisePattern.matrix`."""
        return np.full((num_classes, num_classes), 1 / num_classes)


class UniformOther(NoisePattern):
    """Every wrong class alike, never the true one."""

    pattern: Literal["uniform_other"] = "uniform_other"

    def matrix(self, num_classes: int, alpha: float) -> Matrix:  # noqa: ARG002
        """Return `1/(K−1)` off the diagonal and 0 on it."""
        return (1 - np.eye(num_classes)) / (num_classes - 1)


class Pair(NoisePattern):
    """Always the next class, the last one's next being the first: the literature's *pair flip*."""

    pattern: Literal["pair"] = "pair"

    def matrix(self, num_classes: int, alpha: float) -> Matrix:  # noqa: ARG002
        """Return 1 at `(y, (y + 1) mod K)`."""
        return np.roll(np.eye(num_classes), 1, axis=1)


class Asymmetric(NoisePattern):
    """A class map: noisy copies of class `a` say `b`; classes outside the map keep their label.

    Source: Patrini et al. 2017, for the maps `"mnist"` and `"cifar10"`, which are usual in the
        field.
    """

    pattern: Literal["asymmetric"] = "asymmetric"
    class_map: str | dict[int, int] = Field(
        description="pairs {a: b} of class indices, or mnist or cifar10 for their usual maps"
    )

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


class Structured(NoisePattern):
    """Some wrong classes are likelier than others, to a degree `delta`.

    The true class has probability `1/K`; the wrong ones, in the chosen order, take a linear ramp
    from `1/K + delta/alpha` to `1/K − delta/alpha`. `delta = 0` is uniform; at `delta = 1` the
    first wrong class is exactly as frequent in the diluted set as the right one.

    It needs `alpha ≥ K·delta`. Orders `"confusing"` and `"reverse"` need `confusion` or
    `class_order`: K classes, one order for all, or K rows of the K−1 wrong classes.

    Source: section 3.2, *structured noise*; the ramp between the two ends is our reading.
    """

    pattern: Literal["structured"] = "structured"
    delta: float = Field(ge=0, description="degree of structure, 0 (uniform) to alpha/K")
    order: Literal["confusing", "reverse", "random"] = Field(
        "confusing", description="order of wrong classes: most confused first, last, or random"
    )
    confusion: tuple[tuple[float, ...], ...] | None = Field(
        None, description="K×K confusion matrix, counts or rates by true class, for the order"
    )
    class_order: tuple[int, ...] | tuple[tuple[int, ...], ...] | None = Field(
        None, description="classes from most to least confused, instead of a confusion matrix"
    )
    order_seed: int | None = Field(None, description="which random order; 0 if not given")

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
                f"structured noise with delta = {self.delta:g} needs at least 3 classes, "
                f"not {num_classes}: with one wrong class there is nothing to prefer"
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
        """Return int64 `[K, K−1]`: for each true class the wrong ones, likeliest label first."""
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
                f"structured noise in {self.order} order needs a confusion matrix or "
                "a class order; give one, or take order random"
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
            f"class order of shape {given.shape} does not fit {num_classes} classes; "
            f"it must be all {num_classes} classes in one order, "
            f"or for each class its {num_classes - 1} wrong ones"
        )


class Confusion(NoisePattern):
    """Noise as given by a matrix: human-like or measured.

    Row `y` has the counts or probabilities of each label when the truth is `y`; rows are
    normalised.
    """

    pattern: Literal["confusion"] = "confusion"
    rows: tuple[tuple[float, ...], ...] = Field(
        description="K×K matrix: row y has the counts or shares of each label of class y"
    )

    def matrix(self, num_classes: int, alpha: float) -> Matrix:  # noqa: ARG002
        """Return the rows, each divided by its sum."""
        rows = _square(self.rows, num_classes, "confusion matrix")
        sums = rows.sum(axis=1)
        if (rows < 0).any() or (sums <= 0).any():
            row = int(np.flatnonzero((rows < 0).any(axis=1) | (sums <= 0))[0])
            raise NoiseError(
                f"confusion matrix row {row} is {rows[row].tolist()}; "
                "entries must be ≥ 0 and a row's sum > 0"
            )
        shares: Matrix = rows / sums[:, None]
        return shares


def _square(rows: Any, num_classes: int, what: str) -> Matrix:
    shape = (len(rows), len(rows[0]) if len(rows) else 0)
    if any(len(row) != num_classes for row in rows) or len(rows) != num_classes:
        raise NoiseError(
            f"{what} is {shape[0]}×{shape[1]}; "
            f"with {num_classes} classes it must be {num_classes}×{num_classes}"
        )
    return np.asarray(rows, dtype=np.float64)


def _without_true_class(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Drop the entry `y` from row `y` of int64 `[K, K]`, keeping the order: `[K, K−1]`."""
    is_wrong = order != np.arange(len(order))[:, None]
    wrong: NDArray[np.int64] = order[is_wrong].reshape(len(order), len(order) - 1)
    return wrong
