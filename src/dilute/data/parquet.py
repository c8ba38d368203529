"""Parquet files of images and labels, as the Hugging Face Hub keeps them: `parquet:FILE`.

Read with pyarrow rather than through `datasets`: that library imports in seconds, first copies the
whole file into a cache of its own, and shows progress bars, to give the same Arrow batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dilute.data import cache
from dilute.data.labelled import Splits
from dilute.data.part_names import find_parts, part_of_file, say_unused
from dilute.data.reading import AS_THEY_ARE, Reading
from dilute.data.table_columns import TableRows, image_paths
from dilute.data.table_rows import Decoded, decode_rows, read_parts
from dilute.errors import DataError, reason_of

_ROWS_AT_ONCE = 1024


def load(path: Path | str, reading: Reading = AS_THEY_ARE) -> Splits:
    """Return images and labels of a Parquet file, or of a folder of `train*` and `test*` files.

    Images are in the file, or are files whose paths are in it. Without a test part, a seeded fifth
    becomes the test set.

    Errors: `DataError` for a file that is missing, no Parquet, or without one image and one label
        column, and for paths that lead nowhere.
    """
    place = Path(path).expanduser()
    train_files, test_files = find_files(place)
    train = rows_of_files(train_files).asked(reading)
    test = rows_of_files(test_files).asked(reading) if test_files else None
    named = [file for rows in (train, test) if rows is not None for file in image_paths(rows) or ()]

    def build() -> Splits:
        return read_parts("parquet", str(place), train, test, reading.resize)

    files = [*train_files, *test_files, *named]
    columns = (reading.image_column, reading.label_column)
    asked = columns if any(columns) else ()
    key = cache.hash_files(files, "parquet", len(train_files), reading.resize, *asked)
    return cache.cached(key, str(place), build)


def load_new(path: Path | str, reading: Reading) -> Decoded:
    """Return the rows as for `load`, which need no labels here, of the test part if there is one.

    Errors: those of `load`.
    """
    train_files, test_files = find_files(Path(path).expanduser())
    rows = rows_of_files(test_files or train_files).asked(reading, needs_labels=False)
    return decode_rows(rows, reading.resize)


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
    return TableRows(str(files[0]), schema, count, batches, folder=files[0].parent)
