"""What a noise pattern is: for every true class, the distribution of a noisy copy's label.

Each gives a row-stochastic matrix, or says why it cannot be. A pattern of your own is a subclass
of `NoisePattern` with a `matrix`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema, core_schema

from dilute.errors import NoiseError, one_line

Matrix = NDArray[np.float64]


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

    pattern: str = Field(default="", description="name of the pattern, or module:Class")

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

    def for_classes(self, class_names: tuple[str, ...]) -> NoisePattern:  # noqa: ARG002
        """Return the pattern for data of these classes; one that names none is the same for all.

        Errors: `NoiseError` if it is of other classes.
        """
        return self

    def matrix(self, num_classes: int, alpha: float) -> Matrix:
        """Return the float64 `[K, K]` matrix of the noise.

        Row `y` is the distribution of the label of a noisy copy of class `y`.

        Arguments:
            num_classes: K ≥ 2.
            alpha: noisy examples per clean one, > 0 (may be infinite); of the patterns here only
                `structured` depends on it.

        Errors: `NoiseError`, which states the bound, if there is no such distribution.
        """
        raise NotImplementedError(f"{type(self).__name__} has no function matrix; write it")


def checked_matrix(pattern: NoisePattern, num_classes: int, alpha: float) -> Matrix:
    """Return the pattern's matrix, once it is known to be one: the pattern may be the user's own.

    Arguments: as for `NoisePattern.matrix`; an `alpha` of 0, no noise, gives the identity.

    Errors: `NoiseError` if it cannot be made, or is no distribution of K labels for each of K
        classes.
    """
    if alpha == 0:
        return np.eye(num_classes)
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


def square_matrix(rows: Any, num_classes: int, what: str) -> Matrix:
    """Return `rows` as float64 `[K, K]`.

    Errors: `NoiseError`, which calls them `what`, if there are not K rows of K numbers.
    """
    if len(rows) != num_classes or any(len(row) != num_classes for row in rows):
        width = len(rows[0]) if len(rows) else 0
        raise NoiseError(
            f"{what} is {len(rows)}×{width}; "
            f"with {num_classes} classes it must be {num_classes}×{num_classes}"
        )
    return np.asarray(rows, dtype=np.float64)
