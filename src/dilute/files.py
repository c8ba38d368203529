"""Write files so that they are whole or absent: temporary name, flush to disk, rename."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dilute.errors import StoreError

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space or choose another folder",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another folder",
    errno.EACCES: "permission denied; choose a folder that you may write to",
    errno.EPERM: "permission denied; choose a folder that you may write to",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.ENOTDIR: "a part of the path is a file; choose another folder",
    errno.EISDIR: "the path is a folder; choose a file name",
    errno.EEXIST: "a file of that name is in the way; choose another folder",
}


def write_error(path: Path, error: OSError) -> StoreError:
    """Return the one-line error for a failed write to `path`."""
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    return StoreError(f"cannot write {path}: {reason}")


@contextmanager
def _as_store_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise write_error(path, error) from error


def make_folder(path: Path) -> Path:
    """Create `path` and its parents if they are missing, and return it.

    Errors: `StoreError` if it cannot be created or written to.
    """
    with _as_store_error(path):
        path.mkdir(parents=True, exist_ok=True)
    return check_writable(path)


def check_writable(path: Path) -> Path:
    """Return `path`, a folder that exists and may be written to, or that could be created.

    Errors: `StoreError` if not.
    """
    existing = _nearest_folder(path)
    if not os.access(existing, os.W_OK | os.X_OK):
        raise StoreError(f"cannot write to {existing}: permission denied; choose another folder")
    return path


def check_folder(path: Path) -> Path:
    """Return `path`, a folder that exists, or that no file is in the way of.

    Errors: `StoreError` if not.
    """
    _nearest_folder(path)
    return path


def _nearest_folder(path: Path) -> Path:
    """Return `path` if it exists, else the nearest of its parents that does."""
    with _as_store_error(path):
        existing = next(place for place in (path, *path.absolute().parents) if place.exists())
        if not existing.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "not a folder")
    return existing


def write_file(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Write `content` (bytes, or a function that writes to an open file) to `path`, wholly or not at all.

    The bytes go to a temporary name in the same folder, are flushed to disk and renamed, so that a
    reader sees the old file or the new one and a failure leaves nothing behind.

    Errors: `StoreError` for anything that the operating system refuses (disk full, no permission, …).
    """
    path = Path(path)
    make_folder(path.parent)
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex[:12]}.part"
    try:
        with _as_store_error(path):
            with temporary.open("xb") as file:
                if callable(content):
                    content(file)
                else:
                    file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _flush_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut, where the platform can."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
