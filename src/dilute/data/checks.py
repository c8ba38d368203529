"""What inputs and labels must be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dilute.data.encoded import EncodedImages
from dilute.errors import DataError

if TYPE_CHECKING:
    from dilute.data.labelled import LabelledSet


def channels_first(inputs: NDArray[Any] | EncodedImages) -> NDArray[Any] | EncodedImages:
    """Return images `[N, H, W]` or `[N, H, W, C]` as `[N, C, H, W]`; other inputs as they are."""
    if not isinstance(inputs, np.ndarray) or inputs.dtype != np.uint8:
        return inputs
    if inputs.ndim == 3:
        return inputs[:, None]
    if inputs.ndim == 4 and inputs.shape[1] not in (1, 3) and inputs.shape[3] in (1, 3):
        return np.ascontiguousarray(inputs.transpose(0, 3, 1, 2))
    return inputs


def check_inputs(inputs: NDArray[Any] | EncodedImages) -> None:
    """Check that inputs are uint8 images or finite float32 features, and not none.

    Errors: `DataError` if they are not.
    """
    if len(inputs) == 0:
        raise DataError("the set is empty; it needs at least one example")
    if inputs.dtype == np.uint8:
        if inputs.ndim != 4 or inputs.shape[1] not in (1, 3):
            raise DataError(
                f"uint8 inputs have shape {inputs.shape}; images must be [N, C, H, W] with C 1 or 3"
            )
    elif isinstance(inputs, np.ndarray) and inputs.dtype == np.float32:
        if inputs.ndim < 2:
            raise DataError(f"float inputs have shape {inputs.shape}; features must be [N, …]")
        finite = np.isfinite(inputs).reshape(len(inputs), -1).all(axis=1)
        if not finite.all():
            row = int(np.flatnonzero(~finite)[0])
            raise DataError(
                f"{int((~finite).sum())} of {len(inputs)} feature rows hold NaN or infinity "
                f"(first: row {row}); fill or drop them"
            )
    else:
        raise DataError(f"inputs are {inputs.dtype}; allowed are uint8 images and float32 features")


def checked_labels(labels: NDArray[Any], num_classes: int) -> NDArray[np.int64]:
    """Return labels as int64 `[N]`, each 0 to `num_classes` − 1.

    Errors: `DataError` for fewer than two classes, or labels of another kind.
    """
    if num_classes < 2:
        raise DataError(f"{num_classes} class; a classifier needs at least two")
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"labels are {labels.dtype} of shape {labels.shape}; they must be integers of shape [N]"
        )
    if len(labels) and (labels.min() < 0 or labels.max() >= num_classes):
        wrong = int(labels.min()) if labels.min() < 0 else int(labels.max())
        raise DataError(
            f"label {wrong} is out of range; with {num_classes} classes it must be 0 to "
            f"{num_classes - 1}"
        )
    return labels.astype(np.int64, copy=False)


def check_alike(train: LabelledSet, other: LabelledSet, what: str) -> None:
    """Check that a test or held-out set has the training set's classes and kind of input.

    Arguments:
        what: how the error calls `other`.

    Errors: `DataError` if they differ.
    """
    if other.class_names != train.class_names:
        unseen = sorted(set(other.class_names) - set(train.class_names))
        raise DataError(
            f"{what}'s classes are not the training set's"
            + (f" (only there: {', '.join(unseen[:5])})" if unseen else "")
            + "; both must have the same classes in the same order"
        )
    if other.inputs.dtype != train.inputs.dtype:
        raise DataError(
            f"{what}'s inputs are {other.inputs.dtype}, training inputs {train.inputs.dtype}; they "
            "must agree"
        )
    if other.input_shape != train.input_shape:
        raise DataError(
            f"{what}'s inputs have shape {other.input_shape}, training inputs {train.input_shape}; "
            "they must agree"
        )
