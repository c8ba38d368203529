"""Refuse files that declare more data than they can hold, or than fits in memory."""

from __future__ import annotations

from dilute.errors import DataError

# Deflate cannot do better than 1032:1, and real images stay below 100:1; small files may be
# anything.
_LARGEST_RATIO = 200
_SMALL_BYTES = 64 * 2**20


def check_size(where: str, declared_bytes: int, stored_bytes: int | None = None) -> None:
    """Raise `DataError` if it is not safe to unpack `declared_bytes` from `stored_bytes` of file.

    Arguments:
        where: the file (and part of it), for the message.
        declared_bytes: the size after unpacking, as the file itself states it.
        stored_bytes: the size on disk where the file is compressed, else None.
    """
    import psutil

    available = psutil.virtual_memory().available
    if declared_bytes > available:
        raise DataError(
            f"{where} declares {in_words(declared_bytes)} of data, and {in_words(available)} of "
            "memory are free; it is corrupt, or too large for this machine"
        )
    if stored_bytes is None or declared_bytes <= _SMALL_BYTES:
        return
    if declared_bytes > _LARGEST_RATIO * max(1, stored_bytes):
        raise DataError(
            f"{where} declares {in_words(declared_bytes)} of data in {in_words(stored_bytes)} of "
            f"file, more than {_LARGEST_RATIO} to 1; it is corrupt or a decompression bomb"
        )


def exceeds_memory(size_bytes: int) -> bool:
    """Return whether so much is more than the memory that is free."""
    import psutil

    return size_bytes > int(psutil.virtual_memory().available)


def in_words(size_bytes: int) -> str:
    """Return a size for people: `512 bytes`, `3.4 MiB`."""
    size = float(size_bytes)
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.3g} {unit}"
        size /= 1024
    raise AssertionError(size)
