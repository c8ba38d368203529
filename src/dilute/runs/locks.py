"""Who does what in a store's folder: locks that end with the process that holds them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dilute.files import is_local, make_folder, write_error


@contextmanager
def claimed(folder: Path, name: str) -> Iterator[bool]:
    """Yield whether `name` is ours; it is not while another process on this machine has claimed it.

    The operating system releases the claim when the process dies, however it dies. Where files
    cannot be locked, the answer is always true.

    Errors: `StoreError` if the claim's file `.NAME.claim` cannot be written.
    """
    if sys.platform == "win32" or not is_local(folder):
        yield True
        return
    path = make_folder(folder) / f".{name}.claim"
    descriptor = _locked(path)
    if descriptor is None:
        yield False
        return
    try:
        yield True
    finally:
        with suppress(OSError):
            path.unlink()  # before its lock goes, or it could be another's
        os.close(descriptor)


def _locked(path: Path) -> int | None:
    """Return the descriptor of `path`, created and locked; None if another process has it."""
    import fcntl

    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise write_error(path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:  # a file system without locks
            return descriptor
        try:
            if os.path.samestat(path.stat(), os.fstat(descriptor)):
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)  # released and removed between opening and locking
