"""A matrix from a file."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from dilute.errors import NoiseError


def read_matrix(path: Path | str) -> tuple[tuple[float, ...], ...]:
    """Return the square matrix in `path`: `.csv` (numbers alone), `.json` (list of rows) or `.npy`.

    Errors: `NoiseError` if the file is missing, of another kind, not square, or not finite numbers.
    """
    path = Path(path)
    readers: dict[str, Any] = {
        ".csv": lambda: [
            [float(cell) for cell in row]
            for row in csv.reader(path.read_text().splitlines())
            if row
        ],
        ".json": lambda: json.loads(path.read_text()),
        ".npy": lambda: np.load(path, allow_pickle=False),
    }
    if path.suffix not in readers:
        raise NoiseError(
            f"matrix file {path} ends in '{path.suffix}'; allowed are .csv, .json and .npy"
        )
    try:
        values = np.asarray(readers[path.suffix](), dtype=np.float64)
    except FileNotFoundError:
        raise NoiseError(f"matrix file {path} does not exist") from None
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise NoiseError(f"matrix file {path} cannot be read: {error}".splitlines()[0]) from None
    if values.ndim != 2 or values.shape[0] != values.shape[1] or not np.isfinite(values).all():
        raise NoiseError(
            f"matrix file {path} has shape {values.shape}; it must be square, of finite numbers"
        )
    return tuple(tuple(row) for row in values.tolist())
