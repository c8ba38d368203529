"""Parquet files of images and labels, as the Hugging Face Hub keeps them: `parquet:FILE`.

Read with pyarrow rather than through `datasets`: that library imports in seconds, first copies the
whole file into a cache of its own, and shows progress bars, to give the same Arrow batches.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dilute.data import cache, parts
from dilute.data.images import Encoded, decode_all, in_same_colours
from dilute.data.labelled import Splits
from dilute.data.part_names import find_parts, part_of_file, say_unused
from dilute.errors import DataError, reason_of

if TYPE_CHECKING:
    import pyarrow as pa

IMAGE_COLUMNS = ("image", "img", "images", "picture", "photo", "jpg", "png")
LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "target", "y", "category")
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class TableRows:
    """Rows of one part of a data set, to be read in batches.

    Arguments:
        where: the file or data set, for messages.
        schema: the Arrow schema, with the Hub's metadata if there are any.
        count: number of rows.
        batches: reads the columns it is given the names of, in order.
        follow_paths: whether a row without bytes may name an image file instead.
    """

    where: str
    schema: pa.Schema
    count: int
    batches: Callable[[list[str]], Iterator[Any]]
    follow_paths: bool = False


def load(path: Path | str, resize: int | None = None) -> Splits:
    """Return images and labels of a Parquet file, or of a folder of `train*` and `test*` files.

    Without a test part, a seeded fifth becomes the test set.

    Errors: `DataError` for a file that is missing, no Parquet, or without one image and one label
        column.
    """
    place = Path(path).expanduser()
    train_files, test_files = find_files(place)

    def build() -> Splits:
        return read_parts(
            "parquet",
            str(place),
            rows_of_files(train_files),
            rows_of_files(test_files) if test_files else None,
            resize,
        )

    key = cache.hash_files([*train_files, *test_files], "parquet", len(train_files), resize)
    return cache.cached(key, str(place), build)


def find_files(place: Path) -> tuple[list[Path], list[Path]]:
    """Return the training and the test files at `place`, a Parquet file or a folder of them.

    Errors: `DataError` if there is no training file.
    """
    if place.is_file():
        return [place], []
    if not place.is_dir():
        raise DataError(
            f"{place} does not exist; give a Parquet file, or a folder of train*.parquet files"
        )
    try:
        found = sorted(path for path in place.rglob("*.parquet") if path.is_file())
    except OSError as error:
        raise DataError(f"cannot read {place}: {reason_of(error)}") from error
    by_part: dict[str, list[Path]] = {}
    for path in found:
        by_part.setdefault(_part_of(path.relative_to(place)), []).append(path)
    train, tests = find_parts(by_part)
    if train is None:
        names = ", ".join(path.name for path in found[:5]) or "no Parquet files"
        raise DataError(
            f"{place} holds {names}; there must be train*.parquet (and test*.parquet if any)"
        )
    used = by_part[train], by_part[tests[0]] if tests else []
    unused = {*found}.difference(*used)
    say_unused(place, (path.relative_to(place) for path in unused))
    return used


def _part_of(path: Path) -> str:
    """Return the part that a file's name begins with, or that a folder of it is; "" if neither."""
    folders = (name for name in reversed(path.parts[:-1]) if part_of_file(name) == name.lower())
    return part_of_file(path.name) or next(folders, "").lower()


def read_parts(
    kind: str, origin: str, train: TableRows, test: TableRows | None, resize: int | None = None
) -> Splits:
    """Return the decoded data set made of one or two parts.

    Errors: `DataError` as for `decode_rows` and `parts.assemble`.
    """
    found = [decode_rows(rows, resize) for rows in (train, test) if rows is not None]
    names = found[0][2]
    if found[-1][2] != names:
        raise DataError(f"{origin}: the test part's class names are not the training part's")
    inputs = in_same_colours([images for images, *_ in found])
    pairs = [(images, values) for images, (_, values, _) in zip(inputs, found, strict=True)]
    return parts.assemble(kind, origin, pairs, names)


def rows_of_files(files: list[Path]) -> TableRows:
    """Return the rows of Parquet files that have the same columns, one file after another.

    Errors: `DataError` for a file that is no Parquet file.
    """
    import pyarrow as pa
    from pyarrow import parquet

    def open_file(path: Path) -> Any:
        try:
            return parquet.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"cannot read {path} as Parquet: {reason_of(error)}") from error

    def batches(columns: list[str]) -> Iterator[Any]:
        for path in files:
            with open_file(path) as opened:
                missing = set(columns) - set(opened.schema_arrow.names)
                if missing:
                    raise DataError(
                        f"{path} has no column {', '.join(sorted(missing))}, unlike {files[0]}"
                    )
                yield from opened.iter_batches(_ROWS_AT_ONCE, columns=columns)

    count, schema = 0, None
    for path in files:
        with open_file(path) as opened:
            count += opened.metadata.num_rows
            schema = schema or opened.schema_arrow
    return TableRows(str(files[0]), schema, count, batches)


def decode_rows(
    rows: TableRows, resize: int | None = None
) -> tuple[NDArray[np.uint8], NDArray[Any], tuple[str, ...] | None]:
    """Return images uint8 `[N, C, H, W]`, raw label values `[N]`, and class names or None.

    Errors: `DataError`, naming file and row, for a missing or ambiguous column, an empty cell, or
        an image that does not decode.
    """
    import pyarrow as pa

    image_column, label_column = find_columns(rows)
    values: list[NDArray[Any]] = []

    def items() -> Iterator[Encoded]:
        row = 0
        for batch in rows.batches([image_column, label_column]):
            labels = batch.column(label_column)
            if labels.null_count:
                raise DataError(
                    f"{rows.where}: {labels.null_count} empty cells in column {label_column}"
                )
            values.append(_label_values(labels))
            for cell in batch.column(image_column).to_pylist():
                if row == rows.count:
                    raise DataError(f"{rows.where} is corrupt: it holds more rows than it declares")
                yield _encoded(rows, row, cell)
                row += 1
        if row != rows.count:
            raise DataError(
                f"{rows.where} is corrupt: it declares {rows.count} rows and holds {row}"
            )

    if rows.count == 0:
        raise DataError(f"{rows.where} has no rows; at least one example is needed")
    try:
        inputs = decode_all(items(), rows.count, resize, rows.where)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{rows.where} is corrupt: {reason_of(error)}") from error
    return inputs, np.concatenate(values), _class_names(rows.schema, label_column)


def find_columns(rows: TableRows) -> tuple[str, str]:
    """Return the names of the image and of the label column.

    Errors: `DataError`, listing the columns, if there is none or more than one that it could be.
    """
    import pyarrow as pa

    def holds_images(kind: pa.DataType) -> bool:
        if pa.types.is_struct(kind):
            return any(kind.field(index).name == "bytes" for index in range(kind.num_fields))
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    def holds_labels(kind: pa.DataType) -> bool:
        types = pa.types
        tests = (types.is_integer, types.is_string, types.is_large_string, types.is_boolean)
        return types.is_dictionary(kind) or any(test(kind) for test in tests)

    chosen = []
    for what, fits, usual in (
        ("image", holds_images, IMAGE_COLUMNS),
        ("label", holds_labels, LABEL_COLUMNS),
    ):
        fitting = [field.name for field in rows.schema if fits(field.type)]
        likely = [name for name in fitting if name.lower() in usual] or fitting
        if len(likely) != 1:
            listed = ", ".join(f"{field.name} ({field.type})" for field in rows.schema)
            count = "no column" if not likely else f"several columns ({', '.join(likely)})"
            raise DataError(
                f"{rows.where}: {count} could be the {what} column; columns are {listed}; "
                f"name the right one '{usual[0]}'"
            )
        chosen.append(likely[0])
    return chosen[0], chosen[1]


def _encoded(rows: TableRows, row: int, cell: Any) -> Encoded:
    name = f"{rows.where} row {row}"
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if content:
        return name, content
    path = cell.get("path") if isinstance(cell, dict) else None
    if path and rows.follow_paths:
        return f"{name} ({path})", Path(path)
    raise DataError(
        f"{name} holds no image bytes"
        + (" but a path" if path else "")
        + "; images must be inside the file"
    )


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
