"""Labels in another set's classes."""

from __future__ import annotations

import numpy as np

from dilute.data.labelled import LabelledSet
from dilute.errors import DataError

_SHOWN = 5


def with_classes(labelled: LabelledSet, class_names: tuple[str, ...], what: str) -> LabelledSet:
    """Return the same examples with their labels in `class_names`, matched by name.

    Arguments:
        class_names: K names, among which are all of the set's own.
        what: how the error calls the set.

    Errors: `DataError` for a class that is not among them.
    """
    if labelled.class_names == class_names:
        return labelled
    places = {name: number for number, name in enumerate(class_names)}
    unknown = [name for name in labelled.class_names if name not in places]
    if unknown:
        shown = ", ".join(unknown[:_SHOWN]) + (", …" if len(unknown) > _SHOWN else "")
        raise DataError(
            f"{what} has {len(unknown)} classes that are not known: {shown}; known are "
            f"{', '.join(class_names[:_SHOWN])}{', …' if len(class_names) > _SHOWN else ''}"
        )
    numbers = np.array([places[name] for name in labelled.class_names])
    return LabelledSet(
        labelled.inputs,
        numbers[labelled.labels],
        class_names,
        name=labelled.name,
        row_names=labelled.row_names,
    )
