"""A store's table: a row of flat values per record, and its cache, which can be deleted."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from pydantic import BaseModel
from pydantic_core import from_json

from dilute.environment import source_hash
from dilute.files import write_file
from dilute.runs.record import Accuracy, RunRecord
from dilute.runs.spec import RunSpec

_LEFT_OUT = {"curve", "heldout_confusion"}
_NESTED: dict[str, type[BaseModel]] = {"spec": RunSpec, "accuracy": Accuracy}
_COLUMNS = ("name", "state", "row")


class Row(NamedTuple):
    """A record as a row, and the state that its file was in.

    Fields:
        state: as of `file_states`, or of `packed_state`.
        row: JSON of the flat record (columns have values of several types).
    """

    state: str
    row: str


def row_of(record: RunRecord) -> str:
    """Return the JSON of a record's fields, nested ones as `spec.name`.

    What was measured along the run is left out.
    """
    return json.dumps(_flat("", record.model_dump(mode="json", exclude=_LEFT_OUT)))


def _flat(prefix: str, values: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(f"{prefix}{name}.", value)
        else:
            flat[prefix + name] = value
    return flat


def frame(rows: Iterable[str]) -> Any:
    """Return the pandas data frame of `rows`, what is missing as None or NaN.

    Columns are in the order of the fields of `RunRecord`, `RunSpec` and `Accuracy`, which are
    always there. Within a field, what only some records have comes last, by name.
    """
    import pandas as pd

    flat = from_json("[" + ",".join(rows) + "]", cache_strings="all")
    standard = _standard_columns()
    more = {name for row in flat for name in row.keys() - standard.keys()}
    places = {name: place for place, name in enumerate(RunRecord.model_fields)}
    columns = sorted(
        [*standard, *more],
        key=lambda name: (places[name.partition(".")[0]], standard.get(name, len(standard)), name),
    )
    return pd.DataFrame({name: [row.get(name) for row in flat] for name in columns})


def _standard_columns() -> dict[str, int]:
    """Return the columns that are always there, numbered."""
    names = []
    for field, description in RunRecord.model_fields.items():
        if field in _NESTED:
            inner = [f"{field}.{name}" for name in _NESTED[field].model_fields]
            names += ["spec.noise.pattern" if name == "spec.noise" else name for name in inner]
        elif description.default != {} and field not in _LEFT_OUT:
            names.append(field)
    return {name: place for place, name in enumerate(names)}


def cache_version() -> str:
    """Return what a cache must carry to be used: a hash of the code that makes rows of files."""
    return source_hash("runs/record_files", "runs/record", "runs/table")


def read_cache(path: Path) -> dict[str, Row]:
    """Return the rows in the cache at `path`, by file name.

    There are none if it is missing, damaged, or of another `cache_version`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:
            table = pq.read_table(file, page_checksum_verification=True)
        if (table.schema.metadata or {}).get(b"dilute") != cache_version().encode():
            return {}
        names, states, rows = (table[column].to_pylist() for column in _COLUMNS)
    except (OSError, KeyError, ValueError, pa.ArrowException):
        return {}
    return {name: Row(*row) for name, *row in zip(names, states, rows, strict=True)}


def write_cache(path: Path, rows: dict[str, Row]) -> None:
    """Write `rows`, by file name, to the cache at `path`.

    Errors: `StoreError` if it cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = (list(rows), [row.state for row in rows.values()], [row.row for row in rows.values()])
    schema = pa.schema([(name, pa.string()) for name in _COLUMNS], {"dilute": cache_version()})
    table = pa.table(dict(zip(_COLUMNS, columns, strict=True)), schema)

    def write(file: BinaryIO) -> None:
        pq.write_table(table, file, compression="zstd", write_page_checksum=True)

    write_file(path, write)
