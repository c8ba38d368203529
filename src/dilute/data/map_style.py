"""Data sets of other libraries, read into arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dilute.data import parts
from dilute.data.eight_bits import eight_bits, upright
from dilute.data.hub import rows_of
from dilute.data.images import in_same_colours, pillow_warnings
from dilute.data.labelled import LabelledSet
from dilute.data.reading import Reading
from dilute.data.table_rows import decode_rows
from dilute.errors import DataError


def from_dataset(
    dataset: Any,
    *,
    resize: int | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    class_names: Sequence[str] | None = None,
) -> LabelledSet:
    """Return a data set of another library as inputs with labels, in memory.

    Arguments:
        dataset: one split of Hugging Face's `datasets`; or a map-style PyTorch data set, whose
            items are pairs of an input and a label: a Pillow image, uint8 `[H, W]`, `[C, H, W]` or
            `[H, W, C]`, or floats of any shape, which are features.
        resize: side in pixels that images are brought to, as in `Reading`; for `datasets`.
        image_column, label_column: which columns to take; for `datasets`.
        class_names: names of the classes 0 to K−1; the data set's own (`classes`) if None.

    Errors: `DataError` for a data set of another kind, or items that do not fit.
    """
    if hasattr(dataset, "features") and hasattr(dataset, "select_columns"):
        reading = Reading(image_column=image_column, label_column=label_column)
        found = decode_rows(rows_of(dataset, "the data set").asked(reading), resize)
        assert found.labels is not None
        inputs, values, named = found.inputs, found.labels, found.class_names
    elif hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__"):
        if isinstance(dataset, dict):
            raise DataError(f"the data set has parts ({', '.join(dataset)}); give one of them")
        inputs, values = _of_items(dataset)
        own = _classes_of(dataset)
        named = tuple(map(str, own)) if own is not None else None
    else:
        raise DataError(
            f"the data set is of type {type(dataset).__name__}; give one with a length and items, "
            "or a LabelledSet of arrays"
        )
    names = tuple(class_names) if class_names is not None else named
    labels, _, classes = parts.encode(values, None, names)
    return LabelledSet(inputs, labels, classes)


def _classes_of(dataset: Any) -> Any:
    """Return the class names that a data set, or the one that it is a part of, has; else None."""
    while dataset is not None:
        if getattr(dataset, "classes", None) is not None:
            return dataset.classes
        dataset = getattr(dataset, "dataset", None)  # as in torch.utils.data.Subset
    return None


def _of_items(dataset: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return inputs `[N, …]` and raw label values `[N]` of pairs."""
    inputs, labels = [], []
    with pillow_warnings():
        for number in range(len(dataset)):
            item = dataset[number]
            if not isinstance(item, (tuple, list)) or len(item) != 2:
                raise DataError(
                    f"item {number} of the data set is a {type(item).__name__}; it must be a pair "
                    "of an input and a label"
                )
            inputs.append(_input(item[0]))
            labels.append(item[1].item() if hasattr(item[1], "item") else item[1])
    if not inputs:
        raise DataError("the data set has no items; at least one example is needed")
    if inputs[0].ndim == 3 and inputs[0].dtype == np.uint8:
        inputs = [one[0] for one in in_same_colours([one[None] for one in inputs])]
    shapes = {one.shape: number for number, one in enumerate(inputs)}
    if len(shapes) > 1:
        shown = " and ".join(f"{list(shape)} (item {k})" for shape, k in list(shapes.items())[:2])
        raise DataError(f"inputs have different shapes, as {shown}; bring all to one shape")
    return np.stack(inputs), np.asarray(labels)


def _input(value: Any) -> NDArray[Any]:
    """Return one input: uint8 `[C, H, W]`, or float32."""
    if hasattr(value, "getbands"):
        value = np.asarray(eight_bits(upright(value)), dtype=np.uint8)
    elif hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    array = np.asarray(value)
    if array.dtype != np.uint8 or array.ndim not in (2, 3):
        return array.astype(np.float32)
    if array.ndim == 2:
        return array[None]
    if array.shape[2] in (1, 3) and array.shape[0] not in (1, 3):
        return np.ascontiguousarray(array.transpose(2, 0, 1))
    return array
