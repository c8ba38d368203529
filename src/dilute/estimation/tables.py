"""Reading users' tables of labels: trusted labels, and labels by annotators."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dilute.data import Annotations
from dilute.data.class_order import in_class_order
from dilute.data.label_cells import is_missing, label_numbers, read_columns
from dilute.errors import EstimateError

_log = logging.getLogger(__name__)
_SHOWN = 5


def read_trusted(
    path: Path | str, num_items: int, class_names: Sequence[str], names: Sequence[str] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows and true labels of a trusted subset, int64 `[M]` each, from a CSV file.

    Arguments:
        path: a CSV file with the columns `label` and either `row` or `file`.
        num_items: how many items the data set has; rows count from 0.
        class_names: K names; a label is one of them, or a number from 0.
        names: the file name of each row, if rows have files.

    Errors: `EstimateError` for a file that cannot be read, items or labels that the data set does
        not have, or an item that is named twice.
    """
    path = Path(path)
    table = read_columns(path, EstimateError)
    if "label" not in table or not ({"row", "file"} & table.keys()):
        raise EstimateError(
            f"{path} has the columns {', '.join(table)}; it must have label and row"
            + (" or file" if names else "")
        )
    if "row" in table:
        rows = _numbered_rows(path, table["row"], num_items)
    elif names is None:
        raise EstimateError(
            f"{path} names files, but these data have rows alone; give a column row"
        )
    else:
        places = {name: place for place, name in enumerate(names)}
        rows = _rows(path, table["file"], places.get, f"files are named as in {names[0]}")
    found, times = np.unique(rows, return_counts=True)
    if (times > 1).any():
        raise EstimateError(
            f"{path} names row {found[times > 1][0]} more than once; give each item one trusted "
            "label"
        )
    return rows, label_numbers(table["label"], class_names, str(path), EstimateError)


def read_annotations(
    path: Path | str, num_items: int | None = None, class_names: Sequence[str] | None = None
) -> tuple[Annotations, list[str], tuple[str, ...]]:
    """Return annotations from a CSV file, the names of the items, and the names of the classes.

    Arguments:
        path: a CSV file with the columns `item`, `annotator` and `label`.
        num_items: how many items the data set has, if items are its rows, counted from 0; None if
            there is no data set, and items may have any names.
        class_names: names of the data set's classes; if None, the labels in the file.

    Errors: `EstimateError` for a file that cannot be read, or items or labels that are not known.
    """
    path = Path(path)
    table = read_columns(path, EstimateError)
    missing = [name for name in ("item", "annotator", "label") if name not in table]
    if missing:
        raise EstimateError(
            f"{path} lacks the column {' and '.join(missing)}; "
            "it must have item, annotator and label"
        )
    table = _answered(path, table, class_names or ())
    if num_items is None:
        names = in_class_order(table["item"])
        places = {name: place for place, name in enumerate(names)}
        items = np.array([places[name] for name in table["item"]], dtype=np.int64)
    else:
        names = [str(row) for row in range(num_items)]
        items = _numbered_rows(path, table["item"], num_items)
    classes = tuple(class_names or in_class_order(table["label"]))
    if len(classes) < 2:
        raise EstimateError(
            f"{path} has one label alone, {classes[0]}; there must be two classes or more"
        )
    people = sorted(set(table["annotator"]))
    who = {name: place for place, name in enumerate(people)}
    annotations = Annotations(
        items=items,
        annotators=np.array([who[name] for name in table["annotator"]], dtype=np.int64),
        labels=label_numbers(table["label"], classes, str(path), EstimateError),
        num_items=len(names),
        num_annotators=len(people),
        num_classes=len(classes),
        annotator_names=tuple(people),
    )
    return annotations, names, classes


def _answered(
    path: Path, table: dict[str, list[str]], class_names: Sequence[str]
) -> dict[str, list[str]]:
    """Return the rows that have a label, and say how many have none."""
    kept = [not is_missing(cell, class_names) for cell in table["label"]]
    if all(kept):
        return table
    _log.warning("%s: %d rows have no label and are left out", path, kept.count(False))
    if not any(kept):
        raise EstimateError(f"{path} has no label at all in {len(kept)} rows; give some")
    return {name: list(compress(cells, kept)) for name, cells in table.items()}


def _numbered_rows(path: Path, cells: Sequence[str], num_items: int) -> NDArray[np.int64]:
    def find(cell: str) -> int | None:
        is_row = cell.isascii() and cell.isdigit() and int(cell) < num_items
        return int(cell) if is_row else None

    return _rows(path, cells, find, f"rows are 0 to {num_items - 1}")


def _rows(
    path: Path, cells: Sequence[str], find: Callable[[str], int | None], allowed: str
) -> NDArray[np.int64]:
    """Return the row that `find` gives for each cell; refuse the cells for which it has none."""
    rows = [find(cell) for cell in cells]
    unknown = [cell for cell, row in zip(cells, rows, strict=True) if row is None]
    if unknown:
        raise EstimateError(
            f"{path} names {len(unknown)} items that the data do not have "
            f"({', '.join(unknown[:_SHOWN])}); {allowed}"
        )
    return np.array(rows, dtype=np.int64)
