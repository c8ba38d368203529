"""Files that are whole or absent: by a rename in a folder, by one upload in object storage."""

from __future__ import annotations

import errno
import io
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from dilute.errors import StoreError, one_line, reason_of

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
# Where an upload is seen whole or not at all; `memory` is for tests.
_OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "memory")


def as_path(name: Path | str) -> Path:
    """Return `name` as a local path, or as an address in object storage (`s3://bucket/runs`).

    An address is a `UPath`, which has the methods of `Path` that stores need.

    Errors: `StoreError` for storage of another kind, or whose library is not installed.
    """
    protocol, separator, rest = str(name).partition("://")
    if not separator:
        return Path(name)
    if protocol in ("file", "local"):
        return Path(rest)
    if protocol not in _OBJECT_STORES:
        raise StoreError(
            f"{name}: {protocol} is no object storage in which files are whole or absent; "
            f"allowed are {', '.join(_OBJECT_STORES[:-1])}, or a folder where it is mounted"
        )
    from upath import UPath

    try:
        path = UPath(name, use_listings_cache=False)  # others write there, too
        path.fs  # noqa: B018 (imports the storage's library)
    except ImportError as error:
        raise StoreError(f"{name}: {error} (pip install, in every environment that runs)") from None
    return cast(Path, path)


def is_local(path: Path) -> bool:
    """Return whether `path` is in this machine's file system and not in object storage."""
    return isinstance(path, Path)


def in_storage(path: Path) -> tuple[Any, str]:
    """Return the fsspec file system of an address in object storage, and its name there."""
    address = cast(Any, path)
    return address.fs, address.path


def read_file(path: Path) -> bytes:
    """Return the bytes of a file.

    Errors: `OSError`; `StoreError` for all other errors of object storage.
    """
    if is_local(path):
        return path.read_bytes()
    storage, name = in_storage(path)
    try:
        content: bytes = storage.cat_file(name)
    except OSError:
        raise
    except Exception as error:  # each storage's library has errors of its own
        raise StoreError(f"cannot read {path}: {one_line(error)}") from error
    return content


@contextmanager
def local_copy(path: Path) -> Iterator[Path]:
    """Yield a local file with the content of `path`: the file itself, or a download of it.

    Errors: `FileNotFoundError` if it is missing.
    """
    if is_local(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(read_file(path))
        yield copy


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

    Object storage has no folders, and nothing is created there.

    Errors: `StoreError` if it cannot be created or written to.
    """
    if not is_local(path):
        return path
    with _as_store_error(path):
        path.mkdir(parents=True, exist_ok=True)
    return check_writable(path)


def check_writable(path: Path) -> Path:
    """Return `path`, a folder that exists and may be written to, or that could be created.

    For object storage this is not known before something is written.

    Errors: `StoreError` if not.
    """
    if not is_local(path):
        return path
    existing = _nearest_folder(path)
    if not os.access(existing, os.W_OK | os.X_OK):
        raise StoreError(f"cannot write to {existing}: permission denied; choose another folder")
    try:  # the superuser has all permissions, also where there is no writing
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, f"{reason_of(error)}; choose another folder")
        raise StoreError(f"cannot write to {existing}: {reason}") from error
    return path


def check_file(path: Path) -> Path:
    """Return `path`, a file that may be written, as far as this is known before it is.

    Errors: `StoreError` if not.
    """
    if is_local(path):
        if path.is_dir():
            raise write_error(path, IsADirectoryError(errno.EISDIR, "a folder"))
        check_writable(path.parent)
    return path


def check_folder(path: Path) -> Path:
    """Return `path`, a folder that exists, or that no file is in the way of.

    Errors: `StoreError` if not.
    """
    if is_local(path):
        _nearest_folder(path)
    return path


def _nearest_folder(path: Path) -> Path:
    """Return `path` if it exists, else the nearest of its parents that does."""
    with _as_store_error(path):
        existing = next(place for place in (path, *path.absolute().parents) if place.exists())
        if not existing.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "not a folder")
    return existing


def write_file(path: Path | str, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Write `content` (bytes, or a function that writes to an open file) to `path`.

    `path` may be an address in object storage, as for `as_path`.

    The bytes go to a temporary name in the same folder, are flushed to disk and renamed, so that a
    reader sees the old file or the new one and a failure leaves nothing behind. In object storage
    they are one upload, which does the same.

    Errors: `StoreError` for anything that the operating system or the storage refuses (disk full,
        no permission, …).
    """
    if isinstance(path, str):
        path = as_path(path)
    if not is_local(path):
        _upload(path, content)
        return
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


def _upload(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    if callable(content):
        buffer = io.BytesIO()
        content(buffer)
        content = buffer.getvalue()
    storage, name = in_storage(path)
    try:
        storage.pipe_file(name, content)
    except Exception as error:  # each storage's library has errors of its own
        raise StoreError(f"cannot write {path}: {one_line(error)}") from error


def remove_file(path: Path) -> None:
    """Remove a file, if it is there.

    Errors: `StoreError` if it cannot be removed.
    """
    with _as_store_error(path):
        path.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut, where the platform can."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
