"""CSV tables of paths of images, or of numbers, and labels: `csv:FILE`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dilute.data import cache
from dilute.data.csv_text import check_csv
from dilute.data.labelled import Splits
from dilute.data.reading import AS_THEY_ARE, Reading
from dilute.data.table_columns import TableRows, find_columns, image_paths
from dilute.data.table_rows import Decoded, decode_rows, read_parts
from dilute.errors import DataError, reason_of


def load(path: Path | str, reading: Reading = AS_THEY_ARE) -> Splits:
    """Return images whose paths, relative to the file, are in a column, or numbers; and labels.

    A column of text whose cells end as images do is that of paths; without one, all columns but the
    labels must be numbers, which become features. A seeded fifth becomes the test set.

    Errors: `DataError` for a file that cannot be read, columns that are not clear, paths that lead
        nowhere, or numbers that are missing.
    """
    file = Path(path).expanduser()
    rows = rows_of(file, reading)

    def build() -> Splits:
        return read_parts("csv", str(file), rows, None, reading.resize)

    files = [file, *(image_paths(rows) or ())]
    columns = (reading.image_column, reading.label_column)
    return cache.cached(cache.hash_files(files, "csv", reading.resize, *columns), str(file), build)


def load_new(path: Path | str, reading: Reading) -> Decoded:
    """Return the rows of a file as for `load`, which need no labels here, in one piece.

    Errors: those of `load`.
    """
    rows = rows_of(Path(path).expanduser(), reading, needs_labels=False)
    return decode_rows(rows, reading.resize)


def rows_of(file: Path, reading: Reading, *, needs_labels: bool = True) -> TableRows:
    """Return the rows of a CSV file with column names in its first line.

    Labels that numbers would make alike stay text: 1 and 01, true and 1.

    Errors: `DataError` for a file that cannot be read, and those of `find_columns`.
    """
    import pyarrow as pa

    delimiter = check_csv(file)
    table = _read(file, delimiter)
    rows = _rows(file, table).asked(reading, needs_labels=needs_labels)
    _, label = find_columns(rows)
    if label is None:
        return rows
    kind = table.schema.field(label).type
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        text = _read(
            file, delimiter, column_types={label: pa.string()}, include_columns=[label]
        ).column(0)
        numbers = [str(value) for value in table.column(label).to_pylist()]
        if [cell.strip() for cell in text.to_pylist()] != numbers:
            table = table.set_column(table.schema.get_field_index(label), label, text)
    return _rows(file, table).asked(reading, needs_labels=needs_labels)


def _read(file: Path, delimiter: str, **convert: Any) -> Any:
    import pyarrow as pa
    from pyarrow import csv

    parse = csv.ParseOptions(delimiter=delimiter)
    try:
        return csv.read_csv(
            file, parse_options=parse, convert_options=csv.ConvertOptions(**convert)
        )
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"cannot read {file} as CSV: {reason_of(error)}") from error


def _rows(file: Path, table: Any) -> TableRows:
    def batches(columns: list[str]) -> Iterator[Any]:
        yield from table.select(columns).to_batches()

    return TableRows(str(file), table.schema, len(table), batches, folder=file.parent)
