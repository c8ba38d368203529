"""Records on disk, a JSON file each; and which files of a folder are records, and have changed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from dilute.errors import StoreError, one_line
from dilute.files import in_storage, is_local, read_file, write_file
from dilute.runs.record import RECORD_FORMAT, RunRecord

_ROWS_OF_NUMBERS = re.compile(rb"\[\n[\s\d,]+\]")  # in strings, JSON has no line breaks
_MARKS = (
    *("LastModified", "updated", "last_modified", "created"),
    "size",
    *("ETag", "etag", "md5Hash"),
)


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
    text = read_text(path)
    return None if text is None else parse_record(text, str(path))


def read_text(path: Path) -> bytes | None:
    """Return the bytes of a record's file, or None if there is no such file.

    Errors: `StoreError` if it cannot be read.
    """
    try:
        return read_file(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(str(path), error.strerror or str(error)) from error


def parse_record(text: bytes, name: str) -> RunRecord:
    """Return the record whose JSON is `text`.

    Arguments:
        name: says in errors where the text was found.

    Errors: `StoreError` if it is no record, or if a newer version has written it.
    """
    try:
        # First, since a newer record may have nothing else that is known here.
        check_format(f"record {name}", text, RECORD_FORMAT)
        return RunRecord.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place, reason = ".".join(map(str, first["loc"])), first["msg"]
        raise _unreadable(name, f"{place}: {reason}" if place else reason) from None


def check_format(name: str, text: bytes, newest: int) -> None:
    """Refuse JSON that a newer version of this package has written.

    Errors: `StoreError`; a pydantic `ValidationError` for other text.
    """
    found = _Format.model_validate_json(text).format
    if found > newest:
        raise StoreError(
            f"{name} has format {found}, but this version of dilute reads formats up to {newest}; "
            "update dilute"
        )


def _unreadable(name: str, reason: str) -> StoreError:
    return StoreError(f"record {name} cannot be read ({reason}); delete it to run again")


def file_states(folder: Path) -> dict[str, str]:
    """Return the state of each file of a record in `folder`, by name.

    A file that has changed has another state. It is made of time, size and inode: a file put in the
    place of another is a new one, even within one tick of the file system's clock. In object
    storage it is made of what a listing gives: time, size and checksum.

    Errors: `StoreError` if the storage cannot be reached.
    """
    if not is_local(folder):
        return dict(_object_states(folder))
    states = {name: file_state(folder / name) for name in record_names(folder)}
    return {name: state for name, state in states.items() if state is not None}


def file_state(path: Path) -> str | None:
    """Return the state of a file, as for `file_states`; None if there is no such file.

    Errors: `StoreError` if the storage cannot be reached.
    """
    try:
        if is_local(path):
            status = path.stat()
            return f"{status.st_mtime_ns}/{status.st_size}/{status.st_ino}"
        storage, name = in_storage(path)
        return _object_state(storage.info(name))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # each storage's library has errors of its own
        raise StoreError(f"cannot read {path}: {one_line(error)}") from error


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
            yield file, _object_state(found)


def _object_state(found: Mapping[str, Any]) -> str:
    return "/".join(str(found[mark]) for mark in _MARKS if found.get(mark) is not None)
