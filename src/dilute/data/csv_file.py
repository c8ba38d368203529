"""CSV tables of paths of images, or of numbers, and labels: `csv:FILE`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dilute.data import cache
from dilute.data.labelled import Splits
from dilute.data.reading import AS_THEY_ARE, Reading
from dilute.data.table_columns import TableRows, image_paths
from dilute.data.table_rows import read_parts
from dilute.errors import DataError, reason_of


def load(path: Path | str, reading: Reading = AS_THEY_ARE) -> Splits:
    """Return images whose paths, relative to the file, are in a column, or numbers; and labels.

    A column of text whose cells end as images do is that of paths; without one, all columns but the
    labels must be numbers, which become features. A seeded fifth becomes the test set.

    Errors: `DataError` for a file that cannot be read, columns that are not clear, paths that lead
        nowhere, or numbers that are missing.
    """
    file = Path(path).expanduser()
    rows = rows_of(file).asked(reading)

    def build() -> Splits:
        return read_parts("csv", str(file), rows, None, reading.resize)

    files = [file, *(image_paths(rows) or ())]
    columns = (reading.image_column, reading.label_column)
    return cache.cached(cache.hash_files(files, "csv", reading.resize, *columns), str(file), build)


def rows_of(file: Path) -> TableRows:
    """Return the rows of a CSV file with column names in its first line.

    Errors: `DataError` for a file that cannot be read.
    """
    import pyarrow as pa
    from pyarrow import csv

    try:
        table = csv.read_csv(file)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {file} as CSV: {reason_of(error)}") from error

    def batches(columns: list[str]) -> Iterator[Any]:
        yield from table.select(columns).to_batches()

    return TableRows(str(file), table.schema, len(table), batches, folder=file.parent)
