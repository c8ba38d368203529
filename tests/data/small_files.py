"""Small files of every form, for the tests of data sources."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def picture(value: int = 0, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> Image.Image:
    """Return a picture that `value` makes unlike others."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(value).integers(0, 256, (size[1], size[0], channels), np.uint8)
    return Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels, mode=None)


def encoded(image: Image.Image, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def idx_bytes(array: np.ndarray[Any, Any]) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


def write_idx(folder: Path, sizes: dict[str, int], zipped: bool = False) -> Path:
    """Write IDX pairs of `sizes` (part → examples) with the labels 0, 1, 2, 0, …"""
    folder.mkdir(parents=True, exist_ok=True)
    for part, size in sizes.items():
        images = np.random.default_rng(size).integers(0, 256, (size, 6, 5))
        for name, array in (("images-idx3", images), ("labels-idx1", np.arange(size) % 3)):
            content = idx_bytes(array)
            path = folder / f"{part}-{name}-ubyte{'.gz' if zipped else ''}"
            path.write_bytes(gzip.compress(content) if zipped else content)
    return folder


def write_folder(
    root: Path,
    classes: Iterable[str] = ("cat", "dog"),
    count: int = 5,
    size: tuple[int, int] = (8, 8),
    mode: str = "RGB",
) -> Path:
    """Write `count` PNG files for each class."""
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for index in range(count):
            picture(100 * number + index, size, mode).save(root / name / f"{index}.png")
    return root
