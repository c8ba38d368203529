"""The noise patterns whose matrix does not depend on `alpha`; see `structured` for the other."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from dilute.errors import NoiseError, unknown_name
from dilute.noise.pattern import Matrix, NoisePattern, square_matrix

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
    normalised.
    """

    pattern: Literal["confusion"] = "confusion"
    rows: tuple[tuple[float, ...], ...] = Field(
        description="K×K matrix: row y has the counts or shares of each label of class y"
    )

    def matrix(self, num_classes: int, alpha: float) -> Matrix:  # noqa: ARG002
        """Return the rows, each divided by its sum."""
        rows = square_matrix(self.rows, num_classes, "confusion matrix")
        sums = rows.sum(axis=1)
        if (rows < 0).any() or (sums <= 0).any():
            row = int(np.flatnonzero((rows < 0).any(axis=1) | (sums <= 0))[0])
            raise NoiseError(
                f"confusion matrix row {row} is {rows[row].tolist()}; "
                "entries must be ≥ 0 and a row's sum > 0"
            )
        shares: Matrix = rows / sums[:, None]
        return shares
