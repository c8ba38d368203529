"""Rows of tables of images, or of numbers, and labels, from whatever file they are in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dilute.data import parts
from dilute.data.images import Encoded, decode_all, in_same_colours
from dilute.data.label_cells import is_missing
from dilute.data.labelled import Splits
from dilute.data.table_columns import TableRows, find_columns, image_paths, is_text
from dilute.errors import DataError, printable, reason_of

if TYPE_CHECKING:
    import pyarrow as pa

_SHOWN = 5


class Decoded(NamedTuple):
    """A part of a table in memory.

    Fields:
        inputs: uint8 images `[N, C, H, W]`, or float32 features `[N, D]`.
        labels: raw label values `[N]`; None for rows that need none and have none.
        class_names: of the labels, where the table has them.
        row_names: str `[N]`, the paths of images as they are in the table; None without.
    """

    inputs: NDArray[Any]
    labels: NDArray[Any] | None
    class_names: tuple[str, ...] | None
    row_names: NDArray[np.str_] | None


def read_parts(
    kind: str, origin: str, train: TableRows, test: TableRows | None, resize: int | None = None
) -> Splits:
    """Return the decoded data set made of one or two parts.

    Errors: `DataError` as for `decode_rows` and `parts.assemble`.
    """
    found = [decode_rows(rows, resize) for rows in (train, test) if rows is not None]
    names = found[0].class_names
    if found[-1].class_names != names:
        raise DataError(f"{origin}: the test part's class names are not the training part's")
    inputs = [part.inputs for part in found]
    if inputs[0].dtype == np.uint8:
        inputs = list(in_same_colours(inputs))
    labels = [part.labels for part in found if part.labels is not None]
    pairs = list(zip(inputs, labels, strict=True))
    rows = [part.row_names for part in found]
    named = [one for one in rows if one is not None]
    return parts.assemble(
        kind, origin, pairs, names, row_names=named if len(named) == len(rows) else None
    )


def decode_rows(rows: TableRows, resize: int | None = None) -> Decoded:
    """Return the rows in memory.

    Errors: `DataError`, naming file and row, for a missing or ambiguous column, an empty cell, an
        image that does not decode, or a number that is none.
    """
    import pyarrow as pa

    if rows.count == 0:
        raise DataError(f"{rows.where} has no rows; at least one example is needed")
    image_column, label_column = find_columns(rows)
    class_names = None if label_column is None else _class_names(rows.schema, label_column)
    if image_column is None:
        return Decoded(*_features(rows, label_column), class_names, None)
    paths = image_paths(rows)
    values: list[NDArray[Any]] = []
    names: list[str] = []

    def items() -> Iterator[Encoded]:
        row = 0
        for batch in rows.batches([image_column, *_named(label_column)]):
            values.extend(_labels_of(rows, batch, name) for name in _named(label_column))
            for cell in batch.column(image_column).to_pylist():
                if row == rows.count:
                    raise DataError(f"{rows.where} is corrupt: it holds more rows than it declares")
                if paths is None:
                    yield _encoded(rows, row, cell)
                else:
                    names.append(str(cell))
                    yield f"{rows.where} row {row} ({printable(str(cell))})", paths[row]
                row += 1
        if row != rows.count:
            raise DataError(
                f"{rows.where} is corrupt: it declares {rows.count} rows and holds {row}"
            )

    try:
        inputs = decode_all(items(), rows.count, resize, rows.where)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{rows.where} is corrupt: {reason_of(error)}") from error
    row_names = np.array(names) if names else None
    return Decoded(inputs, _joined(values), class_names, row_names)


def _named(label_column: str | None) -> list[str]:
    return [] if label_column is None else [label_column]


def _joined(values: list[NDArray[Any]]) -> NDArray[Any] | None:
    return np.concatenate(values) if values else None


def _labels_of(rows: TableRows, batch: Any, column: str) -> NDArray[Any]:
    labels = batch.column(column)
    missing = labels.null_count
    values = _label_values(labels) if not missing else np.array([])
    if values.dtype.kind == "U":
        missing = sum(map(is_missing, values.tolist()))
    if missing:
        raise DataError(
            f"{rows.where}: {missing} empty cells in column {column}; fill them in, or leave these "
            "rows out"
        )
    return values


def _features(
    rows: TableRows, label_column: str | None
) -> tuple[NDArray[np.float32], NDArray[Any] | None]:
    """Return the columns of numbers as features float32 `[N, D]`, and the labels."""
    import pyarrow as pa

    types = pa.types
    columns = [
        field.name
        for field in rows.schema
        if field.name != label_column
        and (types.is_floating(field.type) or types.is_integer(field.type))
    ]
    others = [field.name for field in rows.schema if field.name not in (*columns, label_column)]
    if not columns and not others:
        raise DataError(
            f"{rows.where}: no column could be the image column; columns are {label_column}"
        )
    if others or not columns:
        raise DataError(
            f"{rows.where}: the columns {', '.join(others[:_SHOWN]) or '(none)'} are neither "
            f"images nor numbers{_no_number(rows, others)}; leave them out, or say which holds "
            "images (--image-column)"
        )
    parts_of: list[NDArray[np.float32]] = []
    values: list[NDArray[Any]] = []
    for batch in rows.batches([*columns, *_named(label_column)]):
        arrays = [batch.column(name).to_numpy(zero_copy_only=False) for name in columns]
        with np.errstate(over="ignore"):  # what is too large for a float32 is found below
            parts_of.append(np.stack(arrays, axis=1).astype(np.float32))
        values.extend(_labels_of(rows, batch, name) for name in _named(label_column))
    features = np.concatenate(parts_of)
    wrong, places = np.nonzero(~np.isfinite(features))
    if len(wrong):
        raise DataError(
            f"{rows.where}: {len(set(wrong.tolist()))} rows hold numbers that are missing, not "
            f"finite or beyond 3e38, first row {wrong[0]}, column {columns[places[0]]}; fill them "
            "in, or leave these rows out"
        )
    return features, _joined(values)


def _no_number(rows: TableRows, columns: list[str]) -> str:
    """Return where the first column of text holds no number, in words; nothing if it is no text."""
    name = next((one for one in columns if is_text(rows.schema.field(one).type)), None)
    if name is None:
        return ""
    row = 0
    for batch in rows.batches([name]):
        for cell in batch.column(0).to_pylist():
            try:
                float(cell or "nan")
            except ValueError:
                return f" ({name} holds '{printable(cell)[:40]}' in row {row})"
            row += 1
    return ""


def _encoded(rows: TableRows, row: int, cell: Any) -> Encoded:
    name = f"{rows.where} row {row}"
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if content:
        return name, content
    path = cell.get("path") if isinstance(cell, dict) else None
    if path and rows.folder is not None:
        if not (rows.folder / path).is_file():
            raise DataError(f"{name} holds no image bytes but a path, {path}, which is missing")
        return f"{name} ({path})", rows.folder / path
    raise DataError(f"{name} holds no image bytes; images must be inside the file, or files")


def _label_values(labels: Any) -> NDArray[Any]:
    import pyarrow as pa

    if pa.types.is_dictionary(labels.type):
        labels = labels.dictionary_decode()
    if pa.types.is_string(labels.type) or pa.types.is_large_string(labels.type):
        return np.asarray(labels.to_pylist(), dtype=np.str_)
    values: NDArray[Any] = labels.to_numpy(zero_copy_only=False)
    return values


def _class_names(schema: pa.Schema, column: str) -> tuple[str, ...] | None:
    """Return the names in the Hub's ClassLabel metadata, or None where there are none."""
    try:
        metadata = json.loads((schema.metadata or {})[b"huggingface"])
        feature = metadata["info"]["features"][column]
        names = feature["names"] if feature["_type"] == "ClassLabel" else None
    except (KeyError, TypeError, ValueError):
        return None
    return tuple(map(str, names)) if isinstance(names, list) and names else None
