"""The noise patterns whose matrix does not depend on `alpha`; see `structured` for the other."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from dilute.errors import NoiseError, unknown_name
from dilute.noise.matrix_file import in_order_of, with_rows_of_file
from dilute.noise.pattern import Matrix, NoisePattern, square_matrix

_ROUNDING = 1e-6  # of shares with six digits, as files have them
CLASS_MAPS: dict[str, dict[int, int]] = {
    # 2→7, 3→8, 5↔6, 7→1: digits that look alike.
    "mnist": {2: 7, 3: 8, 5: 6, 6: 5, 7: 1},
    # truck→automobile, bird→airplane, deer→horse, cat↔dog.
    "cifar10": {9: 1, 2: 0, 4: 7, 3: 5, 5: 3},
}


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


class Confusion(NoisePattern):
    """Noise as given by a matrix: human-like or measured.

    Row `y` has the counts or probabilities of each label when the truth is `y`; rows are
    normalised. They may come from a file, as `rows = read_matrix(FILE)`. Of a law, which is the
    distribution of all labels, the part is drawn that is not clean.
    """

    pattern: Literal["confusion"] = "confusion"
    rows: tuple[tuple[float, ...], ...] = Field(
        description="K×K matrix: row y has the counts or shares of each label of class y"
    )
    class_names: tuple[str, ...] | None = Field(
        default=None, description="names of the matrix's classes, matched with the data's"
    )
    is_law: bool | None = Field(
        default=None, description="whether rows are the law of all labels, clean ones included"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, values: Any) -> Any:
        found = with_rows_of_file(values, "rows")
        if found is not values:
            found["is_law"] = True if values["rows"].kind == "law" else None
        return found

    def for_classes(self, class_names: tuple[str, ...]) -> Confusion:
        """Return the same with the matrix in the order of these classes, and no names."""
        if self.class_names is None:
            return self
        rows = in_order_of(self.rows, self.class_names, class_names)
        return Confusion(rows=tuple(map(tuple, rows.tolist())), is_law=self.is_law)

    def matrix(self, num_classes: int, alpha: float) -> Matrix:
        """Return the rows, each divided by its sum; of a law what is drawn beside clean labels.

        Errors: `NoiseError` for rows that are none, or a law in which some class has fewer right
            labels than are clean.
        """
        rows = square_matrix(self.rows, num_classes, "confusion matrix")
        sums = rows.sum(axis=1)
        if (rows < 0).any() or (sums <= 0).any():
            row = int(np.flatnonzero((rows < 0).any(axis=1) | (sums <= 0))[0])
            raise NoiseError(
                f"confusion matrix row {row} is {rows[row].tolist()}; "
                "entries must be ≥ 0 and a row's sum > 0"
            )
        shares: Matrix = rows / sums[:, None]
        return self._drawn(shares, alpha) if self.is_law else shares

    def _drawn(self, law: Matrix, alpha: float) -> Matrix:
        """Return the distribution of the labels that, with the clean ones, make up a law."""
        clean = 0.0 if math.isinf(alpha) else 1 / (1 + alpha)
        least = float(np.diag(law).min())
        if clean > least + _ROUNDING:
            enough = "infinite (rate = 1)" if least == 0 else f"≥ {1 / least - 1:.4g}"
            raise NoiseError(
                f"a law whose class {int(np.diag(law).argmin())} has {least:.1%} right labels "
                f"leaves no room for {clean:.1%} clean ones; take alpha {enough}"
            )
        drawn = np.maximum(law - clean * np.eye(len(law)), 0)
        return np.asarray(drawn / drawn.sum(axis=1, keepdims=True))
