"""Where named data sets are kept, and where decoded copies go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs


def data_folder(data_dir: Path | str | None = None) -> Path:
    """Return the folder of named data sets.

    It is `data_dir`, else `$DILUTE_DATA`, else the user's data folder.
    """
    chosen = data_dir or os.environ.get("DILUTE_DATA")
    if chosen:
        return Path(chosen).expanduser()
    return Path(platformdirs.user_data_dir("dilute", appauthor=False))


@contextmanager
def data_folder_at(data_dir: Path | str | None) -> Iterator[None]:
    """Set `$DILUTE_DATA` to `data_dir`, if given, within a `with`, for child processes too."""
    before = os.environ.get("DILUTE_DATA")
    if data_dir is not None:
        os.environ["DILUTE_DATA"] = str(data_dir)
    try:
        yield
    finally:
        if before is not None:
            os.environ["DILUTE_DATA"] = before
        elif data_dir is not None:
            del os.environ["DILUTE_DATA"]


def cache_folder() -> Path:
    """Return the folder of decoded copies: `$DILUTE_CACHE`, else the user's cache folder."""
    chosen = os.environ.get("DILUTE_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return Path(platformdirs.user_cache_dir("dilute", appauthor=False))
