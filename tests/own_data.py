"""Small data sets in files of several kinds, for the tests of a user's own data."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np


def write_idx(path: Path, values: np.ndarray, magic: int | None = None) -> None:
    header = struct.pack(f">{1 + values.ndim}I", magic or 0x800 + values.ndim, *values.shape)
    path.write_bytes(gzip.compress(header + values.astype(np.uint8).tobytes()))


def write_mnist_like(folder: Path) -> None:
    folder.mkdir()
    for part in ("train", "t10k"):
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", np.zeros((20, 8, 8)))
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", np.arange(20) % 2)


def write_pictures(
    folder: Path, sizes: tuple[int, ...] = (8, 8), classes: tuple[str, ...] = ("ant", "bee")
) -> None:
    from PIL import Image

    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(10):
            side = sizes[number % len(sizes)]
            Image.new("RGB", (side, side), (number, 0, 0)).save(folder / name / f"{number}.png")
