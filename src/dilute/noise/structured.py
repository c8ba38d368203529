"""Structured noise: some wrong classes are likelier than others."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from dilute import seeds
from dilute.errors import NoiseError
from dilute.noise.matrix_file import in_order_of, with_rows_of_file
from dilute.noise.pattern import Matrix, NoisePattern, square_matrix


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
        default="confusing",
        description="order of wrong classes: most confused first, last, or random",
    )
    confusion: tuple[tuple[float, ...], ...] | None = Field(
        default=None,
        description="K×K confusion matrix, counts or rates by true class, for the order",
    )
    class_order: tuple[int, ...] | tuple[tuple[int, ...], ...] | None = Field(
        default=None,
        description="classes from most to least confused, instead of a confusion matrix",
    )
    order_seed: int | None = Field(default=None, description="which random order; 0 if not given")
    class_names: tuple[str, ...] | None = Field(
        default=None, description="names of the matrix's classes, matched with the data's"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, values: Any) -> Any:
        return with_rows_of_file(values, "confusion")

    @model_validator(mode="after")
    def _only_what_is_used(self) -> Structured:
        is_random = self.order == "random"
        unused = ("confusion", "class_order") if is_random else ("order_seed",)
        for field in unused:
            if getattr(self, field) is not None:
                raise ValueError(f"{field} has no meaning with order {self.order}; leave it out")
        return self

    def for_classes(self, class_names: tuple[str, ...]) -> Structured:
        """Return the same with its matrix in the order of these classes, and no names."""
        if self.class_names is None:
            return self
        rows = in_order_of(self.confusion, self.class_names, class_names)
        fields = {"confusion": tuple(map(tuple, rows.tolist())), "class_names": None}
        return self.model_copy(update=fields)

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
            confusion = square_matrix(self.confusion, num_classes, "confusion matrix")
            ranking = _without_true_class(np.argsort(-confusion, axis=1, kind="stable"))
        elif self.delta == 0:
            ranking = _same_for_all(np.arange(num_classes))
        else:
            raise NoiseError(
                f"structured noise in {self.order} order needs a confusion matrix or "
                "a class order; give one, or take order random"
            )
        return ranking if self.order == "confusing" else ranking[:, ::-1]

    def _given_ranking(self, num_classes: int) -> NDArray[np.int64]:
        given = np.asarray(self.class_order, dtype=np.int64)
        if given.ndim == 1 and sorted(given) == list(range(num_classes)):
            return _same_for_all(given)
        wrong = _same_for_all(np.arange(num_classes))
        if given.shape == wrong.shape and (np.sort(given, axis=1) == wrong).all():
            return given
        raise NoiseError(
            f"class order of shape {given.shape} does not fit {num_classes} classes; "
            f"it must be all {num_classes} classes in one order, "
            f"or for each class its {num_classes - 1} wrong ones"
        )


def _same_for_all(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rankings `[K, K−1]` in which the classes come in one `order` for all."""
    return _without_true_class(np.tile(order, (len(order), 1)))


def _without_true_class(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Drop the entry `y` from row `y` of int64 `[K, K]`, keeping the order: `[K, K−1]`."""
    is_wrong = order != np.arange(len(order))[:, None]
    wrong: NDArray[np.int64] = order[is_wrong].reshape(len(order), len(order) - 1)
    return wrong
