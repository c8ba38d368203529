"""Many records in one file, as sorted JSON lines.

The first line has the format, the number of records and the SHA-256 of the bytes after it. Each
further line is a record's JSON as it was, without line breaks and indentation. Lines are sorted by
key, so that the same records give the same bytes.

Why lines that are not compressed: Git compresses what it stores. Of a changed text it keeps only
what changed; of a compressed file, each version whole. Measured with the 2,344 records of this
project's own stores (8.75 MB in single files, which Git stores in 3.28 MB): lines have 7.62 MB and
ten versions of them 1.26 MB in Git, where xz has 0.83 MB and 5.89 MB. A diff of lines shows each
new or changed record as one line, and `grep KEY` finds one. Parquet with a column per field cannot
hold stores in which a column has values of several types.

Reading on two cores, single files → packed: all these records 0.43 → 0.28 s, the table without its
cache 1.8 → 1.3 s. One record by key takes up to 12 ms the first time, when the pack is read and
checked, and 0.1 ms from then on, as from a file of its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import from_json

from dilute.errors import StoreError
from dilute.files import read_file, remove_file, write_file
from dilute.runs.locks import claimed
from dilute.runs.record_files import check_format, file_state, parse_record, read_text

PACK = "records.jsonl"
PACK_FORMAT = 1
_LINE_BREAKS = re.compile(rb"[\r\n]\s*")  # in strings, JSON has none
_KEY = re.compile(rb'\{(?:"format": ?\d+, ?)?"key": ?"([^"\\]+)"')


class _Head(BaseModel):
    format: int = Field(ge=1)
    records: int = Field(ge=0)
    sha256: str


class Pack:
    """The records that a store has in one file, which is read again once it has changed.

    Arguments:
        folder: of the store.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / PACK
        self._state: str | None = None
        self._lines: Mapping[str, bytes] = {}

    def lines(self) -> Mapping[str, bytes]:
        """Return each record's JSON by key.

        Errors: those of `read_pack`.
        """
        state = file_state(self.path)
        if state != self._state:
            self._lines = {} if state is None else read_pack(self.path)
            self._state = state
        return self._lines

    def remove(self, key: str) -> None:
        """Remove a record.

        Errors: those of `write_pack`; `StoreError` if another process is packing the store.
        """
        with self._claimed():
            write_pack(
                self.path, {name: line for name, line in self.lines().items() if name != key}
            )

    def take_in(self, names: Sequence[str]) -> int:
        """Put the records in these files into the pack, and return how many it has then.

        Files that nobody has changed meanwhile are removed.

        Errors: those of `packed_line` and `remove`.
        """
        if not names:
            return len(self.lines())
        with self._claimed():
            lines = dict(self.lines())
            states = {}
            for path in (self.path.parent / name for name in names):
                states[path] = file_state(path)
                if (text := read_text(path)) is not None:
                    lines[path.stem] = packed_line(text, path)
            write_pack(self.path, lines)
            for path, state in states.items():
                if file_state(path) == state:
                    remove_file(path)
        return len(lines)

    @contextmanager
    def _claimed(self) -> Iterator[None]:
        folder = self.path.parent
        with claimed(folder, "pack") as is_ours:
            if not is_ours:
                raise StoreError(f"another process is packing {folder}; wait until it is done")
            yield


def packed_line(text: bytes, path: Path) -> bytes:
    """Return the JSON of the record file `path` as one line, checked.

    Errors: `StoreError` if it is no record, or of another key than its file's name.
    """
    key = parse_record(text, str(path)).key
    if key != path.stem:
        raise StoreError(
            f"record {path} is of run {key}, which is not its file's name; rename or delete it"
        )
    return _LINE_BREAKS.sub(b"", text.strip())


def packed_state(line: bytes) -> str:
    """Return what differs once a packed record does."""
    return f"packed/{hashlib.sha256(line).hexdigest()[:16]}"


def write_pack(path: Path, lines: Mapping[str, bytes]) -> None:
    """Write records to the pack `path`, wholly or not at all, and read them back.

    Arguments:
        lines: each record's JSON, without line breaks, by key.

    Errors: `StoreError` if it cannot be written, or is read back otherwise.
    """
    body = b"".join(lines[key] + b"\n" for key in sorted(lines))
    head = _Head(
        format=PACK_FORMAT, records=len(lines), sha256=hashlib.sha256(body).hexdigest()
    ).model_dump_json()
    write_file(path, head.encode() + b"\n" + body)
    if read_pack(path) != lines:
        raise StoreError(f"pack {path} does not hold what was written to it; look at the disk")


def read_pack(path: Path) -> dict[str, bytes]:
    """Return the lines of the pack `path` by key; none if there is no such file.

    Errors: `StoreError` if it cannot be read or is damaged, or if a newer version has written it.
    """
    try:
        content = read_file(path)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StoreError(f"pack {path} cannot be read ({error.strerror or error})") from error
    first, _, body = content.partition(b"\n")
    try:
        # First, since a newer pack may have nothing else that is known here.
        check_format(f"pack {path}", first, PACK_FORMAT)
        head = _Head.model_validate_json(first)
    except ValidationError:
        raise _damaged(path, "its first line is not that of a pack") from None
    if hashlib.sha256(body).hexdigest() != head.sha256:
        raise _damaged(path, "its records do not have the checksum that its first line gives")
    lines = {_key_of(line): line for line in body.splitlines()}
    if len(lines) != head.records:
        raise _damaged(path, f"it has {len(lines)} of {head.records} records")
    return lines


def _key_of(line: bytes) -> str:
    """Return a record's key, without parsing the whole line if the key comes first, as usual."""
    found = _KEY.match(line)
    return found[1].decode() if found else from_json(line)["key"]


def _damaged(path: Path, reason: str) -> StoreError:
    return StoreError(f"pack {path} is damaged ({reason}); put a whole copy in its place")
