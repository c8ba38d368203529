"""A matrix in a file, which says in itself what it is and of which classes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from dilute.errors import NoiseError, one_line, printable
from dilute.noise.pattern import Matrix

Rows = tuple[tuple[float, ...], ...]
MatrixKind = Literal["law", "added noise"]
_SHOWN = 5


@dataclass(frozen=True)
class MatrixFile:
    """A square matrix, by true class.

    Attributes:
        rows: K rows of K numbers.
        kind: `law`, the distribution of a given label; `added noise`, that of labels which are
            drawn beside right ones; None for a file that does not say.
        class_names: of rows and columns; None for a file that does not say.
    """

    rows: Rows
    kind: MatrixKind | None = None
    class_names: tuple[str, ...] | None = None


def read_matrix(path: Path | str) -> MatrixFile:
    """Return the square matrix in a file.

    `.csv` holds numbers alone, or a heading and a name before each row: the first cell says the
    kind, and class names are beside it. `.json` holds rows, or a mapping with `matrix`, and perhaps
    `kind` and `class_names`. `.npy` holds an array.

    Errors: `NoiseError` if the file is missing, of another kind, not square, or not finite numbers.
    """
    path = Path(path)
    readers: dict[str, Any] = {
        ".csv": lambda: _of_csv(path),
        ".json": lambda: _of_json(path),
        ".npy": lambda: (np.load(path, allow_pickle=False), None, None),
    }
    if path.suffix not in readers:
        raise NoiseError(
            f"matrix file {path} ends in '{path.suffix}'; allowed are .csv, .json and .npy"
        )
    try:
        rows, kind, names = readers[path.suffix]()
        values = np.asarray(rows, dtype=np.float64)
    except FileNotFoundError:
        raise NoiseError(f"matrix file {path} does not exist") from None
    except (OSError, ValueError, TypeError, KeyError, EOFError, csv.Error) as error:
        raise NoiseError(f"matrix file {path} cannot be read: {one_line(error)}") from None
    if values.ndim != 2 or values.shape[0] != values.shape[1] or not np.isfinite(values).all():
        raise NoiseError(
            f"matrix file {path} has shape {values.shape}; it must be square, of finite numbers"
        )
    if kind is not None and kind not in get_args(MatrixKind):
        raise NoiseError(
            f"matrix file {path} calls itself '{printable(kind)}'; it must be "
            f"{' or '.join(get_args(MatrixKind))}"
        )
    if names is not None and (len(names) != len(values) or len(set(names)) != len(names)):
        raise NoiseError(
            f"matrix file {path} has {len(values)} rows but {len(set(names))} class names; there "
            "must be one for each"
        )
    shown = tuple(tuple(row) for row in values.tolist())
    return MatrixFile(shown, kind, None if names is None else tuple(map(printable, names)))


def with_rows_of_file(values: Any, field: str) -> Any:
    """Return what a pydantic model is made of, with the rows of a matrix file and its class names.

    Arguments:
        values: the fields by name, as a validator in mode `before` gets them; anything else, and
            a mapping without a `MatrixFile`, is returned as it is.
        field: the one that may be a `MatrixFile`; the names become `class_names`.
    """
    file = values.get(field) if isinstance(values, dict) else None
    if not isinstance(file, MatrixFile):
        return values
    return {**values, field: file.rows, "class_names": file.class_names}


def write_law(law: Matrix, class_names: Sequence[str]) -> bytes:
    """Return the law of labels as the content of a `.csv` file that `read_matrix` reads."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["law", *class_names])
    for name, row in zip(class_names, law, strict=True):
        writer.writerow([name, *(f"{share:.6f}" for share in row)])
    return text.getvalue().encode()


def in_order_of(
    rows: Any, class_names: Sequence[str] | None, wanted: Sequence[str] | None
) -> Matrix:
    """Return a matrix with its rows and columns in the order of other class names.

    Arguments:
        rows: K rows of K numbers.
        class_names: theirs; None to leave the matrix as it is.
        wanted: K names in the order that is wanted.

    Errors: `NoiseError` if the names are not the same.
    """
    matrix = np.asarray(rows, dtype=np.float64)
    if class_names is None or wanted is None or tuple(class_names) == tuple(wanted):
        return matrix
    absent, beyond = set(wanted) - set(class_names), set(class_names) - set(wanted)
    if absent or beyond:
        parts = [
            f"{what} {', '.join(sorted(names)[:_SHOWN])}{', …' if len(names) > _SHOWN else ''}"
            for what, names in (("lacks", absent), ("has besides", beyond))
            if names
        ]
        raise NoiseError(
            f"the matrix is of other classes than the data's: it {' and '.join(parts)}; give the "
            "matrix of these data"
        )
    places = [list(class_names).index(name) for name in wanted]
    return np.asarray(matrix[np.ix_(places, places)])


def _of_csv(path: Path) -> tuple[Any, str | None, list[str] | None]:
    text = path.read_text(encoding="utf-8-sig")
    table = [row for row in csv.reader(text.splitlines()) if any(cell.strip() for cell in row)]
    try:
        return [[float(cell) for cell in row] for row in table], None, None
    except ValueError:
        heading, *body = table
    if [row[0] for row in body] != heading[1:]:
        raise ValueError(
            "it has neither numbers alone, nor a heading whose class names stand before the rows, "
            "too, in the same order"
        )
    return [[float(cell) for cell in row[1:]] for row in body], heading[0].strip(), heading[1:]


def _of_json(path: Path) -> tuple[Any, str | None, list[str] | None]:
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        return found, None, None
    if "matrix" not in found:
        raise ValueError(f"it holds {', '.join(list(found)[:_SHOWN])} and no matrix")
    names = found.get("class_names")
    return found["matrix"], found.get("kind"), None if names is None else list(map(str, names))
