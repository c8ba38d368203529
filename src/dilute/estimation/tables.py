"""Reading users' tables of labels: trusted labels, and labels by annotators."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dilute.data import Annotations
from dilute.errors import EstimateError

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
    table = _read(path)
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
    return rows, _labels(path, table["label"], class_names)


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
    table = _read(path)
    missing = [name for name in ("item", "annotator", "label") if name not in table]
    if missing:
        raise EstimateError(
            f"{path} lacks the column {' and '.join(missing)}; "
            "it must have item, annotator and label"
        )
    if num_items is None:
        names = sorted(
            set(table["item"]), key=lambda name: (len(name), name) if name.isdigit() else (99, name)
        )
        places = {name: place for place, name in enumerate(names)}
        items = np.array([places[name] for name in table["item"]], dtype=np.int64)
    else:
        names = [str(row) for row in range(num_items)]
        items = _numbered_rows(path, table["item"], num_items)
    classes = tuple(class_names) if class_names is not None else tuple(sorted(set(table["label"])))
    if len(classes) < 2:
        raise EstimateError(
            f"{path} has one label alone, {classes[0]}; there must be two classes or more"
        )
    people = sorted(set(table["annotator"]))
    who = {name: place for place, name in enumerate(people)}
    annotations = Annotations(
        items=items,
        annotators=np.array([who[name] for name in table["annotator"]], dtype=np.int64),
        labels=_labels(path, table["label"], classes),
        num_items=len(names),
        num_annotators=len(people),
        num_classes=len(classes),
        annotator_names=tuple(people),
    )
    return annotations, names, classes


def _read(path: Path) -> dict[str, list[str]]:
    """Return the columns of a CSV file by the names in its first line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file) if line]
    except FileNotFoundError:
        raise EstimateError(f"{path} does not exist; give a CSV file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise EstimateError(f"{path} cannot be read as CSV: {error}") from None
    if len(lines) < 2:
        raise EstimateError(
            f"{path} has no rows; it must have a line of column names and one for each label"
        )
    header = [name.strip().lower() for name in lines[0]]
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(header):
            raise EstimateError(
                f"{path} line {number} has {len(line)} cells; the first line has {len(header)}"
            )
    return {name: [line[place].strip() for line in lines[1:]] for place, name in enumerate(header)}


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


def _labels(path: Path, cells: Sequence[str], class_names: Sequence[str]) -> NDArray[np.int64]:
    """Return labels by class name, or by number where no class has that name."""
    places = {name: place for place, name in enumerate(class_names)}
    numbers = {str(place): place for place in range(len(class_names))}
    unknown = [cell for cell in cells if cell not in places and cell not in numbers]
    if unknown:
        raise EstimateError(
            f"{path} has {len(unknown)} labels that are no class ({', '.join(unknown[:_SHOWN])}); "
            f"classes are {', '.join(list(class_names)[:10])}"
            f"{', …' if len(class_names) > 10 else ''}, or 0 to {len(class_names) - 1}"
        )
    return np.array([places.get(cell, numbers.get(cell, -1)) for cell in cells], dtype=np.int64)
