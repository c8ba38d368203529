"""Labels from elsewhere, joined to the rows of a data set."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dilute.data.annotations import Annotations
from dilute.data.label_arrays import cells_of, check_no_shares, read_arrays
from dilute.data.label_cells import is_missing, label_numbers, read_columns
from dilute.data.labelled import LabelledSet
from dilute.errors import DataError, printable

_log = logging.getLogger("dilute.data")
_BY_ROW, _BY_INDEX, _BY_NAME = ("row",), ("index",), ("name", "file", "path", "image", "filename")
_LONG = ("item", "annotator", "label")
_TRUTHS = ("clean_label", "clean", "true_label", "truth", "true")
_ORIGINALS = ("cifar10", "cifar100")
_SHOWN = 5
_WHAT = "give FILE:COLUMN, or FILE:COLUMN,COLUMN for several annotators"


@dataclass(frozen=True)
class _Found:
    """Labels of rows: `items` int64 `[M]`, `cells` by annotator, as text; missing ones are gone."""

    items: NDArray[np.int64]
    annotators: NDArray[np.int64]
    cells: list[str]
    names: tuple[str, ...]


def join_labels(
    labelled: LabelledSet, file: Path | str, columns: Sequence[str] = ()
) -> LabelledSet:
    """Return the rows that a file has labels of, with these labels instead of their own.

    Arguments:
        labelled: the set whose inputs are taken.
        file: a `.csv` or `.parquet` table, with a column `row`, `name` (or `file`, `path`) or
            `index` (in the public original), or without these in the order of rows; and one column
            of labels, or one for each annotator; or with the columns item, annotator and label. Or
            a `.npy`, `.npz` or `.pt` file of arrays `[N]` or `[N, annotators]`, in the order of
            rows; for CIFAR in that of the public original. Labels are names or numbers of classes;
            an empty cell, NaN, or −1 in arrays is no label.
        columns: which columns, or arrays, hold labels, where there are several; each is an
            annotator.

    Errors: `DataError` for a file that cannot be read, a wrong length, items or labels that are not
        known, items named twice, or data whose order in the public original is not known.
    """
    path = Path(file).expanduser()
    if path.suffix in (".csv", ".parquet"):
        found = _of_table(path, labelled, columns)
    elif path.suffix in (".npy", ".npz", ".pt"):
        found = _of_arrays(path, labelled, columns)
    else:
        raise DataError(
            f"labels {path} end in '{path.suffix}'; allowed are .csv, .parquet, .npy, .npz and .pt"
        )
    if not len(found.items):
        raise DataError(f"labels {path} hold no label at all; give some")
    names = labelled.class_names
    annotations = Annotations(
        found.items,
        found.annotators,
        label_numbers(found.cells, names, f"labels {path}"),
        len(labelled),
        len(found.names),
        len(names),
        tuple(map(printable, found.names)),
    )
    is_labelled = np.bincount(annotations.items, minlength=len(labelled)) > 0
    without = int((~is_labelled).sum())
    if without:
        _log.warning(
            "%s: %d of %d rows have no label and are left out", path, without, len(labelled)
        )
    rows = np.flatnonzero(is_labelled)
    part, annotations = labelled.take(rows), annotations.take(rows)
    several = np.bincount(annotations.items).max() > 1
    return LabelledSet(
        part.inputs,
        annotations.most_frequent(),
        names,
        row_names=part.row_names,
        annotations=annotations if several else None,
    )


def columns_of(text: str) -> tuple[Path, tuple[str, ...]]:
    """Return file and columns of what was typed: `FILE` or `FILE:COLUMN,COLUMN`."""
    path = Path(text).expanduser()
    file, colon, columns = text.rpartition(":")
    if path.exists() or not colon or not Path(file).suffix:
        return path, ()
    return Path(file).expanduser(), tuple(part.strip() for part in columns.split(","))


# Tables


def _of_table(path: Path, labelled: LabelledSet, columns: Sequence[str]) -> _Found:
    table = read_columns(path)
    if set(_LONG) <= table.keys() and not columns:
        return _of_long_table(path, table, labelled)
    keys = [name for name in (*_BY_ROW, *_BY_NAME, *_BY_INDEX) if name in table]
    keys = [name for name in keys if name not in columns]
    if len(keys) > 1:
        raise DataError(
            f"labels {path} have the columns {', '.join(keys)}, each of which may say the row; "
            "leave one"
        )
    chosen = [name.lower() for name in columns] or [name for name in table if name not in keys]
    unknown = [name for name in chosen if name not in table]
    if unknown or not chosen:
        raise DataError(
            f"labels {path} have no column {', '.join(unknown) or 'of labels'}; columns are "
            f"{', '.join(table)}"
        )
    _check_no_truth(path, chosen, columns)
    count = len(table[chosen[0]])
    rows = _rows(path, labelled, keys[0], table[keys[0]]) if keys else np.arange(count)
    if not keys:
        _check_length(path, count, labelled)
    return _answers(rows, [table[name] for name in chosen], chosen, labelled.class_names)


def _of_long_table(path: Path, table: dict[str, list[str]], labelled: LabelledSet) -> _Found:
    """Return the labels of a table with a line for each item and annotator."""
    names = labelled.class_names
    kept = [k for k, cell in enumerate(table["label"]) if not is_missing(cell, names)]
    items = [table["item"][k] for k in kept]
    are_names = labelled.row_names is not None and not all(item.isdigit() for item in items)
    rows = _rows(path, labelled, "name" if are_names else "row", items, may_repeat=True)
    people = tuple(sorted({table["annotator"][k] for k in kept}))
    who = {name: place for place, name in enumerate(people)}
    annotators = np.array([who[table["annotator"][k]] for k in kept], dtype=np.int64)
    _say_missing(path, len(table["label"]) - len(kept), len(table["label"]))
    return _Found(rows, annotators, [table["label"][k] for k in kept], people)


def _rows(
    path: Path, labelled: LabelledSet, key: str, cells: Sequence[str], *, may_repeat: bool = False
) -> NDArray[np.int64]:
    """Return the row that each cell of the column `key` names."""
    names = labelled.row_names
    if key in _BY_ROW:
        places = {str(row): row for row in range(len(labelled))}
        allowed = f"rows are 0 to {len(labelled) - 1}"
    elif names is None:
        raise DataError(
            f"labels {path} name rows by {key}, but "
            + (
                "these data have rows alone; give a column row"
                if key in _BY_NAME
                else "the order of these data in the public original is not known, as in a copy "
                "that was shuffled; read them from the original files"
            )
        )
    else:
        places = _places(path, names)
        allowed = f"names are as {names[0]}"
    found = [places.get(printable(cell.removeprefix("./")), -1) for cell in cells]
    unknown = [cell for cell, row in zip(cells, found, strict=True) if row < 0]
    if unknown:
        raise DataError(
            f"labels {path} name {len(unknown)} rows that the data do not have "
            f"({', '.join(unknown[:_SHOWN])}); {allowed}"
        )
    rows = np.array(found, dtype=np.int64)
    if not may_repeat:
        twice = np.flatnonzero(np.bincount(rows, minlength=len(labelled)) > 1)
        if len(twice):
            named = [cells[int(np.flatnonzero(rows == row)[0])] for row in twice[:_SHOWN]]
            raise DataError(
                f"labels {path} name {len(twice)} rows more than once ({', '.join(named)}); give "
                "each one line, with a column for each annotator, or a table of item, annotator, "
                "label"
            )
    return rows


def _places(path: Path, names: NDArray[np.str_]) -> dict[str, int]:
    """Return the row of each name; of names whose last part is unique, by that, too."""
    places = {str(name): row for row, name in enumerate(names)}
    if len(places) < len(names):
        raise DataError(
            f"labels {path} are joined by name, but {len(names) - len(places)} names of the data "
            "stand for several rows; give a column row"
        )
    last: dict[str, list[int]] = {}
    for name, row in places.items():
        last.setdefault(name.rpartition("/")[2], []).append(row)
    return {name: rows[0] for name, rows in last.items() if len(rows) == 1} | places


# Arrays


def _of_arrays(path: Path, labelled: LabelledSet, columns: Sequence[str]) -> _Found:
    arrays = read_arrays(path)
    fitting = [name for name, array in arrays.items() if array.ndim in (1, 2)]
    chosen = list(columns) or fitting
    unknown = [name for name in chosen if name not in arrays]
    if unknown or not chosen:
        raise DataError(
            f"labels {path} have no array {', '.join(unknown) or 'of labels'}; it holds "
            f"{', '.join(arrays) or 'nothing'}"
        )
    if len(chosen) > 1 and not columns:
        raise DataError(
            f"labels {path} hold several arrays, {', '.join(chosen)}; say which: {_WHAT}"
        )
    _check_no_truth(path, chosen, columns)
    parts, names = [], []
    for name in chosen:
        array = arrays[name]
        _check_length(path, len(array), labelled)
        check_no_shares(path, array, labelled.num_classes)
        parts += [array] if array.ndim == 1 else list(array.T)
        names += [name] if array.ndim == 1 else [f"{name} {k}" for k in range(array.shape[1])]
    cells = [cells_of(path, part) for part in parts]
    rows = np.arange(len(labelled))
    original = labelled.name.partition("@")[0].removesuffix(":whole")
    if original in _ORIGINALS:
        rows = _rows(path, labelled, "index", [str(row) for row in range(len(labelled))])
    return _answers(rows, cells, names, labelled.class_names)


# Both


def _answers(
    rows: NDArray[np.int64],
    columns: Sequence[Sequence[str]],
    names: Sequence[str],
    class_names: Sequence[str],
) -> _Found:
    """Return the labels that are there, of one column for each annotator."""
    items, annotators, cells = [], [], []
    for annotator, column in enumerate(columns):
        for row, cell in zip(rows.tolist(), column, strict=True):
            if not is_missing(cell, class_names):
                items.append(row)
                annotators.append(annotator)
                cells.append(cell)
    found = [np.array(part, dtype=np.int64) for part in (items, annotators)]
    return _Found(found[0], found[1], cells, tuple(names))


def _check_length(path: Path, count: int, labelled: LabelledSet) -> None:
    if count != len(labelled):
        raise DataError(
            f"labels {path} have {count:,} rows, and the data {len(labelled):,}; there must be as "
            "many, or a column row, name or index that says which"
        )


def _check_no_truth(path: Path, chosen: Sequence[str], named: Sequence[str]) -> None:
    """Refuse to take what is called the truth for the labels of an annotator."""
    truths = [name for name in chosen if name.lower() in _TRUTHS]
    if truths and len(chosen) > 1 and not named:
        raise DataError(
            f"labels {path} have a column {truths[0]}, which seems to be the truth, beside others; "
            f"say which to take: {_WHAT}"
        )
    if truths and not named:
        _log.warning("%s: the labels are those of its only column, %s", path, truths[0])


def _say_missing(path: Path, missing: int, count: int) -> None:
    if missing:
        _log.warning("%s: %d of %d labels are missing and are left out", path, missing, count)
