"""Where named data sets are kept, and where decoded copies go."""

from __future__ import annotations

import os
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


def cache_folder() -> Path:
    """Return the folder of decoded copies: `$DILUTE_CACHE`, else the user's cache folder."""
    chosen = os.environ.get("DILUTE_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return Path(platformdirs.user_cache_dir("dilute", appauthor=False))
