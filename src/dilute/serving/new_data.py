"""Data to predict, as they are named on the command line: inputs, their names, labels if any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dilute.data import Reading, can_resize, csv_file, load, npz, parquet, with_classes
from dilute.data.parts import plain_labels
from dilute.data.table_rows import Decoded
from dilute.errors import DataError, printable
from dilute.serving.inputs import images_at
from dilute.serving.trained_model import TrainedModel

_SHOWN = 5
_TABLES = {"csv": csv_file.load_new, "parquet": parquet.load_new}


@dataclass(frozen=True, eq=False)
class NewData:
    """Inputs to predict.

    Attributes:
        inputs: as for `TrainedModel.predict_proba`; their number is their length.
        names: of the rows; None where they have numbers alone.
        labels: int64 `[N]`, in the model's classes; None where there are none.
        are_right: whether the labels are known to be right, as those of a public test set.
    """

    inputs: Any
    names: Sequence[str] | None = None
    labels: NDArray[np.int64] | None = None
    are_right: bool = False

    def __len__(self) -> int:
        return len(self.inputs)


def new_data(name: str, model: TrainedModel, reading: Reading) -> NewData:
    """Return the data called `name`, for the model to predict.

    Arguments:
        name: an image, or a folder of them; or a data set as for `dilute.load`. Folders of images,
            tables and NumPy's archives need no labels. Of data in two parts the test part is taken.
        reading: how to read it; images are brought to size as the model says.

    Errors: `DataError` for what cannot be read, and for classes that the model does not know.
    """
    form, colon, argument = name.partition(":")
    if not colon and Path(name).expanduser().exists():
        form, argument = "folder", name
    if argument and reading.labels is None:
        if form == "folder":
            return _of_folder(Path(argument).expanduser(), model)
        if form == "npz":
            inputs, labels = npz.load_new(argument)
            return NewData(inputs, None, _of_values(labels, model, name))
        if form in _TABLES:
            table = _TABLES[form](argument, replace(reading, resize=model.resize))
            return _of_table(table, model, name)
    if model.resize is not None and can_resize(name):
        reading = replace(reading, resize=model.resize)
    splits = load(name, reading)
    found = with_classes(splits.measured(), model.class_names, name)
    names = None if found.row_names is None else found.row_names.tolist()
    are_right = splits.test_is_clean and splits.cut_rows is None
    return NewData(found.inputs, names, found.labels, are_right)


def _of_folder(root: Path, model: TrainedModel) -> NewData:
    """Return the images below a folder; the folders of classes that the model knows are labels."""
    files = images_at(root)
    if root.is_file():
        return NewData(files, [printable(root.name)])
    paths = [path.relative_to(root) for path in files]
    tops = [printable(path.parts[0]) if len(path.parts) > 1 else "" for path in paths]
    known = set(model.class_names)
    unknown = sorted(set(tops) - known)
    labels = None
    if not unknown:
        labels = np.array([model.class_names.index(top) for top in tops], dtype=np.int64)
    elif set(tops) & known:
        what = [top or "(images beside the folders)" for top in unknown]
        raise DataError(
            f"{root}: {len(unknown)} of its folders are no classes of the model "
            f"({', '.join(what[:_SHOWN])}), while others are; its classes are "
            f"{', '.join(model.class_names[:_SHOWN])}{', …' if len(known) > _SHOWN else ''}"
        )
    return NewData(files, [printable(str(path)) for path in paths], labels)


def _of_table(found: Decoded, model: TrainedModel, what: str) -> NewData:
    labels = found.labels
    if labels is not None and found.class_names is not None:
        labels = np.array(found.class_names)[labels]
    names = None if found.row_names is None else [printable(name) for name in found.row_names]
    return NewData(found.inputs, names, _of_values(labels, model, what))


def _of_values(
    labels: NDArray[Any] | None, model: TrainedModel, what: str
) -> NDArray[np.int64] | None:
    """Return raw label values, which are class names, as numbers of the model's classes."""
    if labels is None:
        return None
    places = {name: number for number, name in enumerate(model.class_names)}
    named = [printable(str(label)) for label in plain_labels(labels).tolist()]
    unknown = sorted(set(named) - places.keys())
    if unknown:
        raise DataError(
            f"{what} has labels that are no classes of the model: {', '.join(unknown[:_SHOWN])}"
            f"{', …' if len(unknown) > _SHOWN else ''}; its classes are "
            f"{', '.join(model.class_names[:_SHOWN])}{', …' if len(places) > _SHOWN else ''}"
        )
    return np.array([places[name] for name in named], dtype=np.int64)
