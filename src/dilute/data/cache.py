"""Decoded arrays of data sets on disk: memory-mapped, verified, and rebuilt if they are not whole.

A folder per data set, named by a hash of the source's content. It is written under a temporary name
and renamed, so a reader sees all of it or nothing, and of two processes that build the same one the
second simply drops its own. Files are not flushed to disk one by one: what a power cut may leave is
found by the checksums, and the cache can always be rebuilt.
"""

from __future__ import annotations

import json
import logging
import shutil
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dilute.data import home
from dilute.data.labelled import LabelledSet, Splits
from dilute.errors import DataError, reason_of
from dilute.files import write_error

log = logging.getLogger("dilute.data")

# Part of every key: raise it when decoding, splitting or the layout of the cache changes.
_VERSION = 4
_FIELDS = ("inputs", "labels", "row_names")
_BLOCK_BYTES = 16 * 2**20
# Reading all of a cache that is larger than this would cost more than it protects: blocks of it are
# then checked at even distances.
_MOST_BLOCKS = 256


def hash_files(files: Iterable[Path], *more: object) -> str:
    """Return the cache key, 32 hex digits, of a source: `files` that are read with options `more`.

    Errors: `DataError` for a file that cannot be read.
    """
    import xxhash

    digest = xxhash.xxh3_128(repr((_VERSION, *more)).encode())
    for path in files:
        try:
            with path.open("rb") as file:
                size = 0
                while piece := file.read(_BLOCK_BYTES):
                    size += len(piece)
                    digest.update(piece)
        except OSError as error:
            raise DataError(f"cannot read {path}: {reason_of(error)}") from error
        digest.update(f"/{size}/".encode())
    return digest.hexdigest()


def hash_words(*words: object) -> str:
    """Return the cache key, 32 hex digits, of a source that `words` identify."""
    return hash_files([], *words)


def cached(key: str, origin: str, build: Callable[[], Splits]) -> Splits:
    """Return the data set of `key`, memory-mapped from the cache; if it is not there, from `build`.

    A cache that is cut off, corrupt or cannot be written costs a line in the log, never the data.

    Arguments:
        key: hash of the source's content and of how it is read.
        origin: where the data came from this time, for people.
        build: makes the data set; its errors pass through.
    """
    folder = home.cache_folder() / key
    if folder.exists():
        try:
            return _read(folder, origin)
        except (OSError, ValueError, KeyError, TypeError, DataError) as error:
            log.warning(
                "rebuilding the decoded copy of %s: %s: %s", origin, folder, reason_of(error)
            )
            _discard(folder)
    splits = build()
    if not splits.train.is_images:
        return splits
    try:
        _write(folder, splits)
        return _read(folder, origin)
    except OSError as error:
        log.warning("no decoded copy of %s is kept: %s", origin, write_error(folder, error))
    except (ValueError, KeyError, DataError) as error:
        log.warning("no decoded copy of %s is kept: %s: %s", origin, folder, reason_of(error))
    return splits


def _write(folder: Path, splits: Splits) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.parent / f".{folder.name}.{uuid.uuid4().hex[:12]}.part"
    try:
        temporary.mkdir()
        about: dict[str, Any] = {"name": splits.name, "parts": {}}
        for name, part in (("train", splits.train), ("test", splits.test)):
            if part is None:
                continue
            files = {
                field: _write_file(temporary / f"{name}-{field}.npy", getattr(part, field))
                for field in _FIELDS
                if getattr(part, field) is not None
            }
            about["parts"][name] = {
                "class_names": part.class_names,
                "content_hash": part.content_hash,
                "files": files,
            }
        if splits.cut_rows is not None:
            about["cut_rows"] = _write_file(temporary / "cut-rows.npy", splits.cut_rows)
        (temporary / "about.json").write_text(json.dumps(about), encoding="utf-8")
        try:
            temporary.rename(folder)
        except OSError:
            # Another process was first: its copy is of the same content. Anything else is a
            # failure.
            if not folder.is_dir():
                raise
    finally:
        _discard(temporary)


def _read(folder: Path, origin: str) -> Splits:
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    parts: dict[str, LabelledSet] = {}
    for name, part in about["parts"].items():
        arrays: dict[str, Any] = {
            field: _map_file(folder / f"{name}-{field}.npy", expected)
            for field, expected in part["files"].items()
        }
        labelled = LabelledSet(class_names=tuple(part["class_names"]), **arrays)
        # Preset, since reading a large set again to hash it would undo what the cache is for.
        labelled.__dict__["content_hash"] = str(part["content_hash"])
        parts[name] = labelled
    expected = about.get("cut_rows")
    cut_rows = None if expected is None else _map_file(folder / "cut-rows.npy", expected)
    return Splits(str(about["name"]), parts["train"], parts.get("test"), origin, cut_rows)


def _write_file(path: Path, array: NDArray[Any]) -> dict[str, Any]:
    """Write an array and return what `_map_file` checks it against."""
    with path.open("xb") as file:
        np.save(file, array, allow_pickle=False)
    return {"bytes": path.stat().st_size, "blocks": _checksums(path)}


def _map_file(path: Path, expected: dict[str, Any]) -> NDArray[Any]:
    """Return the array in `path`, memory-mapped; copy-on-write, so that PyTorch takes it."""
    size = path.stat().st_size
    if size != expected["bytes"]:
        raise ValueError(f"{path.name} has {size} bytes instead of {expected['bytes']}")
    blocks = expected["blocks"]
    chosen = np.unique(np.linspace(0, len(blocks) - 1, min(len(blocks), _MOST_BLOCKS)).astype(int))
    for index, found in zip(chosen, _checksums(path, chosen), strict=True):
        if found != blocks[index]:
            raise ValueError(f"{path.name} is corrupt in its block {index}")
    array: NDArray[Any] = np.load(path, mmap_mode="c", allow_pickle=False)
    return array


def _checksums(path: Path, blocks: Iterable[int] | None = None) -> list[str]:
    """Return the checksums of the given blocks of a file, or of all."""
    import xxhash

    if blocks is None:
        blocks = range(-(-path.stat().st_size // _BLOCK_BYTES))
    found = []
    with path.open("rb") as file:
        for index in blocks:
            file.seek(int(index) * _BLOCK_BYTES)
            found.append(xxhash.xxh3_64_hexdigest(file.read(_BLOCK_BYTES)))
    return found


def _discard(folder: Path) -> None:
    """Remove `folder` if it is there; renamed first, so that no reader meets half of it."""
    old = folder.parent / f".{folder.name}.{uuid.uuid4().hex[:12]}.old"
    try:
        folder.rename(old)
    except OSError:
        old = folder
    shutil.rmtree(old, ignore_errors=True)
