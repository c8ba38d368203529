"""The matrix of the noise as a method's option, and as estimated from what a network predicts."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from dilute.errors import NoiseError, SpecError
from dilute.methods.method import Method, Uses
from dilute.methods.observed import Observed
from dilute.noise import MatrixFile, checked_law, in_order_of, with_rows_of_file

Rows = tuple[tuple[float, ...], ...]
"""A matrix as an option: K rows, the distribution of a label by true class."""
_PSEUDO_LABELS = 1.0
_LEAST_LARGEST = 0.5


class MatrixMethod(Method):
    """A method that looks at labels through the matrix of the noise, known or estimated.

    Attributes:
        only_estimated: options that have a meaning with an estimated matrix alone.
    """

    is_sum_over_rows: ClassVar[bool] = True
    images_from_elsewhere: ClassVar[bool] = False
    only_estimated: ClassVar[frozenset[str]] = frozenset()
    matrix: Literal["known", "estimated"] | Rows = Field(
        default="estimated",
        description="noise matrix: known to the set, estimated, or K rows of K shares",
    )
    class_names: tuple[str, ...] | None = Field(
        default=None, description="names of the matrix's classes, matched with the data's"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, values: Any) -> Any:
        found = with_rows_of_file(values, "matrix")
        if found is not values:
            _check_law(values["matrix"])
        return found

    @field_validator("matrix", mode="before")
    @classmethod
    def _word_or_rows(cls, value: Any) -> Any:
        if isinstance(value, str) and value not in ("known", "estimated"):
            raise ValueError("it must be known, estimated, or K rows of K shares")
        return value

    @model_validator(mode="after")
    def _only_what_is_used(self) -> MatrixMethod:
        unused = sorted(self.model_fields_set & self.only_estimated)
        if unused and not self.estimates:
            raise ValueError(
                f"{', '.join(unused)} has no meaning with a known matrix; "
                "leave it out, or take matrix = estimated"
            )
        return self

    @property
    def estimates(self) -> bool:
        """Whether the matrix is estimated."""
        return self.matrix == "estimated"

    @property
    def rows(self) -> Rows | None:
        """The rows of the matrix, where they are given."""
        return None if isinstance(self.matrix, str) else self.matrix

    def given_law(self, observed: Observed) -> NDArray[np.float64]:
        """Return float64 `[K, K]`: the rows, or what the set knows of its own noise without them.

        Errors: `SpecError` for rows that are no distributions over the set's classes.
        """
        if self.rows is None:
            return observed.label_law()
        try:
            law = checked_law(self.rows, observed.num_classes, "the matrix")
            return in_order_of(law, self.class_names, observed.class_names)
        except NoiseError as error:
            raise SpecError(str(error)) from None

    @property
    def uses(self) -> Uses:
        """The matrix, known or estimated."""
        return "estimated matrix" if self.estimates else "known matrix"


def _check_law(file: MatrixFile) -> None:
    """Refuse a matrix that is no law of labels; one that does not say is told by its diagonal.

    Errors: a `ValueError`, as pydantic wants it.
    """
    rows = np.asarray(file.rows)
    if file.kind == "added noise":
        raise ValueError(
            "matrix is the distribution of added noise, not of all labels; give the law, as "
            "law.csv of dilute estimate"
        )
    is_largest = np.diag(rows) >= rows.max(axis=1)
    are_alike = np.ptp(rows, axis=0).max() == 0
    if file.kind is None and (are_alike or is_largest.mean() < _LEAST_LARGEST):
        raise ValueError(
            f"matrix has its largest entry on the diagonal in {int(is_largest.sum())} of "
            f"{len(rows)} rows, as added noise has and a law of labels rarely; give the law, as "
            "law.csv of dilute estimate, or write a heading into the file whose first cell is law"
        )


def anchor_law(predicted: NDArray[Any], quantile: float) -> NDArray[np.float64]:
    """Return float64 `[K, K]` from a network that predicts noisy labels.

    Row y is its prediction for the image that it is surest to be y.

    Arguments:
        predicted: `[N, K]`, probabilities of noisy labels.
        quantile: the image at this quantile of `predicted[:, y]` is taken, 1 for the surest of all.

    Source: Patrini et al. 2017, section 3.3.
    """
    rank = min(len(predicted) - 1, round(quantile * (len(predicted) - 1)))
    anchors = np.argpartition(predicted, rank, axis=0)[rank]
    law = predicted[anchors].astype(np.float64)
    return np.asarray(law / law.sum(axis=1, keepdims=True))


def counted_law(posterior: NDArray[Any], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return float64 `[K, K]`, the M-step: by class, how the labels of its images are distributed.

    Arguments:
        posterior: `[N, K]`, the probability of each class for each image.
        counts: int64 `[N, K]`, how often each label stands beside it.

    One label, distributed as all labels are, is added to every class, so that an empty one has a
    law too.
    """
    total = counts.sum(axis=0)
    joint = posterior.T.astype(np.float64) @ counts + _PSEUDO_LABELS * total / total.sum()
    return np.asarray(joint / joint.sum(axis=1, keepdims=True))
