"""Columns of labels in tables: one reading for a column, and what is missing."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dilute.data.csv_text import check_csv
from dilute.errors import DataError, DiluteError, printable, reason_of

_MISSING = frozenset({"", "nan", "none", "null", "na", "n/a", "<na>"})
_DECIMAL = re.compile(r"(?<=\d)\.0+$")
_SHOWN = 5


def read_columns(path: Path, error: type[DiluteError] = DataError) -> dict[str, list[str]]:
    """Return the columns of a CSV or Parquet file as text, by their names in small letters.

    Arguments:
        error: the class of what is raised.

    Errors: `error` for a file that is missing, cannot be read, or has no rows.
    """
    columns = _of_parquet(path, error) if path.suffix == ".parquet" else _of_csv(path, error)
    if not columns or not any(columns.values()):
        raise error(
            f"{path} has no rows; it must have a line of column names and one for each label"
        )
    return columns


def is_missing(cell: str, class_names: Sequence[str] = ()) -> bool:
    """Return whether a cell holds no label: it is empty, NaN or null, and no class is called so."""
    return cell.lower() in _MISSING and cell not in class_names


def label_numbers(
    cells: Sequence[str],
    class_names: Sequence[str],
    what: str,
    error: type[DiluteError] = DataError,
) -> NDArray[np.int64]:
    """Return labels 0 to K−1 of the cells of a column, none of them missing.

    All cells are names of classes; or else all are numbers from 0 to K−1, unless the classes are
    called by numbers.

    Arguments:
        class_names: K names, printable as in a `LabelledSet`.
        what: how the error calls the column.
        error: the class of what is raised.

    Errors: `error`, with the values that fit neither.
    """
    places = {name: place for place, name in enumerate(class_names)}
    # Columns of numbers with gaps are often written as 0.0, 1.0.
    named = [cell if cell in places else _DECIMAL.sub("", cell) for cell in map(printable, cells)]
    unknown = [cell for cell in named if cell not in places]
    are_numbers = all(name.lstrip("-").isdigit() for name in class_names)
    if unknown and not are_numbers:
        numbers = {str(place): place for place in range(len(class_names))}
        if all(cell in numbers for cell in named):
            places, unknown = numbers, []
    if unknown:
        shown = ", ".join(dict.fromkeys(unknown[: 10 * _SHOWN]))
        names = ", ".join(list(class_names)[:10]) + (", …" if len(class_names) > 10 else "")
        raise error(
            f"{what} has {len(unknown)} labels that are no class "
            f"({', '.join(shown.split(', ')[:_SHOWN])}); classes are {names}"
            + ("" if are_numbers else f", or all labels are numbers, 0 to {len(class_names) - 1}")
        )
    return np.array([places[cell] for cell in named], dtype=np.int64)


def _of_csv(path: Path, error: type[DiluteError]) -> dict[str, list[str]]:
    delimiter = check_csv(path, error)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file, delimiter=delimiter) if line]
    except csv.Error as reason:
        raise error(f"{path} cannot be read as CSV: {reason}") from None
    if not lines:
        return {}
    header = [name.strip().lower() for name in lines[0]]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise error(f"{path} has several columns {', '.join(twice)}; give each a name of its own")
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(header):
            raise error(
                f"{path} line {number} has {len(line)} cells; the first line has {len(header)}"
            )
    return {name: [line[place].strip() for line in lines[1:]] for place, name in enumerate(header)}


def _of_parquet(path: Path, error: type[DiluteError]) -> dict[str, list[str]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except FileNotFoundError:
        raise error(f"{path} does not exist; give a Parquet file") from None
    except (pa.ArrowException, OSError) as reason:
        raise error(f"cannot read {path} as Parquet: {reason_of(reason)}") from None
    return {
        name.lower(): [_text(value) for value in table.column(name).to_pylist()]
        for name in table.column_names
    }


def _text(value: object) -> str:
    """Return a value as a cell of a CSV file has it."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
