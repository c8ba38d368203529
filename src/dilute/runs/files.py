"""Records on disk: a JSON file each, and rows of a table behind a cache that can be deleted at any time."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from dilute.environment import code_hash
from dilute.errors import StoreError, one_line
from dilute.files import in_storage, is_local, read_file, write_file
from dilute.runs.record import RECORD_FORMAT, Accuracy, RunRecord
from dilute.runs.spec import RunSpec

_ROWS_OF_NUMBERS = re.compile(rb"\[\n[\s\d,]+\]")  # in strings, JSON has no line breaks
_LEFT_OUT = {"curve", "heldout_confusion"}
_NESTED: dict[str, type[BaseModel]] = {"spec": RunSpec, "accuracy": Accuracy}
_TIMES, _CHECKSUMS = (
    ("LastModified", "updated", "last_modified", "created"),
    ("ETag", "etag", "md5Hash"),
)
_COLUMNS = ("name", "state", "row")


class _Format(BaseModel):
    format: int = 1


def write_record(path: Path, record: RunRecord) -> None:
    """Write a record to `path`, in place of what is there.

    Errors: `StoreError` if it cannot be written.
    """
    text = record.model_dump_json(indent=1).encode() + b"\n"
    write_file(path, _ROWS_OF_NUMBERS.sub(lambda row: b"".join(row[0].split()), text))


def read_record(path: Path) -> RunRecord | None:
    """Return the record in the file `path`, or None if there is no such file.

    Errors: `StoreError` if it cannot be read, or if a newer version has written it.
    """
    try:
        text = read_file(path)
        # First, for a newer record may have nothing else that is known here.
        found = _Format.model_validate_json(text).format
        if found > RECORD_FORMAT:
            raise StoreError(
                f"record {path} has format {found}, but this version of dilute reads formats up to "
                f"{RECORD_FORMAT}; update dilute"
            )
        return RunRecord.model_validate_json(text)
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = error.strerror or str(error)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        reason = ": ".join(
            part for part in (".".join(map(str, first["loc"])), first["msg"]) if part
        )
    raise StoreError(f"record {path} cannot be read ({reason}); delete it to run again")


class Row(NamedTuple):
    """A record as a row, and the state that its file was in.

    Fields:
        state: as of `file_states`.
        row: JSON of the flat record (columns have values of several types).
    """

    state: str
    row: str


def file_states(folder: Path) -> dict[str, str]:
    """Return for each file of a record in `folder`, by name, what changes when it does.

    That is time, size and inode: a file put in the place of another is a new one, even within one tick
    of the file system's clock. In object storage it is what a listing tells: time, size and checksum.

    Errors: `StoreError` if the storage cannot be reached.
    """
    if not is_local(folder):
        return dict(sorted(_object_states(folder)))
    states = {}
    for name in sorted(record_names(folder)):
        try:
            status = (folder / name).stat()
        except FileNotFoundError:  # deleted meanwhile
            continue
        states[name] = f"{status.st_mtime_ns}/{status.st_size}/{status.st_ino}"
    return states


def record_names(folder: Path) -> list[str]:
    """Return the names of the files of records in `folder`.

    Errors: `StoreError` if object storage cannot be reached.
    """
    if not is_local(folder):
        return [name for name, _ in _object_states(folder)]
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if _is_record(entry.name)]
    except FileNotFoundError:
        return []


def _is_record(name: str) -> bool:
    return name.endswith(".json") and not name.startswith(".")


def _object_states(folder: Path) -> Iterator[tuple[str, str]]:
    storage, name = in_storage(folder)
    try:
        objects = storage.ls(name, detail=True)
    except FileNotFoundError:
        return
    except Exception as error:  # each storage's library has errors of its own
        raise StoreError(f"cannot read {folder}: {one_line(error)}") from error
    for found in objects:
        file = found["name"].rpartition("/")[2]
        if _is_record(file):
            marks = (found.get(mark) for mark in (*_TIMES, "size", *_CHECKSUMS))
            yield file, "/".join(str(mark) for mark in marks if mark is not None)


def row_of(record: RunRecord) -> str:
    """Return the JSON of a record's fields, nested ones as `spec.name`, without what was measured along the run."""
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

    Columns are in the order of the fields of `RunRecord`, `RunSpec` and `Accuracy`, which are always
    there; within a field, what only some records have comes last, by name.
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


def read_cache(path: Path) -> dict[str, Row]:
    """Return the rows in the cache at `path`, by file name; none if it is missing, damaged or of other code."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:
            table = pq.read_table(file, page_checksum_verification=True)
        if (table.schema.metadata or {}).get(b"dilute") != code_hash().encode():
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
    schema = pa.schema([(name, pa.string()) for name in _COLUMNS], {"dilute": code_hash()})
    table = pa.table(dict(zip(_COLUMNS, columns, strict=True)), schema)

    def write(file: BinaryIO) -> None:
        pq.write_table(table, file, compression="zstd", write_page_checksum=True)

    write_file(path, write)
