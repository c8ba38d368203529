"""IDX files, the form that MNIST and its relatives come in: `mnist` and `idx:DIR`."""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from dilute.data import cache, parts
from dilute.data.labelled import LabelledSet, Splits
from dilute.data.limits import check_size
from dilute.errors import DataError, reason_of

# MD5 of the unpacked files of MNIST, as published with the set.
MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
_PIECE_BYTES = 2**20


def read_idx(path: Path, dimensions: int, md5: str | None = None) -> NDArray[np.uint8]:
    """Return the array in an IDX file of unsigned bytes: uint8 with `dimensions` axes.

    No more is unpacked than the header declares, and nothing if it declares too much.

    Arguments:
        path: the file; gzipped if its name ends in `.gz`.
        dimensions: number of axes, 1 for labels and 3 for images.
        md5: hex MD5 of the unpacked file, if it is known.

    Errors: `DataError`, naming the file, for anything that is not exactly such a file.
    """
    try:
        stored = path.stat().st_size
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as opened:
            # gzip's file object reads like any binary file, but is not typed as one.
            return _read(cast(BinaryIO, opened), path, dimensions, stored, md5)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path}: {reason_of(error)}") from error


def _read(
    file: BinaryIO, path: Path, dimensions: int, stored: int, md5: str | None
) -> NDArray[np.uint8]:
    header = file.read(4 + 4 * dimensions)
    magic = bytes([0, 0, 8, dimensions])
    if header[:4] != magic:
        raise DataError(
            f"{path} begins with {header[:4].hex() or 'nothing'}; an IDX file of unsigned bytes "
            f"with {dimensions} axes begins with {magic.hex()}"
        )
    if len(header) < 4 + 4 * dimensions:
        raise DataError(f"{path} is cut off: it ends within its header")
    shape = tuple(int(size) for size in np.frombuffer(header[4:], dtype=">u4"))
    declared = math.prod(shape)
    if declared == 0:
        raise DataError(f"{path} declares the shape {shape}; it must hold at least one example")
    if path.suffix != ".gz" and stored != len(header) + declared:
        found = stored - len(header)
        state = "is cut off" if found < declared else "has trailing bytes"
        raise DataError(f"{path} {state}: shape {shape} means {declared} bytes, it has {found}")
    check_size(str(path), declared, stored if path.suffix == ".gz" else None)
    values = np.empty(declared, dtype=np.uint8)
    filled = 0
    while filled < declared:
        piece = file.read(min(_PIECE_BYTES, declared - filled))
        if not piece:
            raise DataError(
                f"{path} is cut off: shape {shape} means {declared} bytes, it has {filled}"
            )
        values[filled : filled + len(piece)] = np.frombuffer(piece, dtype=np.uint8)
        filled += len(piece)
    if file.read(1):
        raise DataError(f"{path} has trailing bytes after the {declared} that shape {shape} means")
    if md5 is not None:
        digest = hashlib.md5(header, usedforsecurity=False)
        digest.update(values.data)
        if digest.hexdigest() != md5:
            raise DataError(
                f"{path} is corrupt: MD5 {digest.hexdigest()} instead of {md5}; delete it and "
                "fetch it again"
            )
    return values.reshape(shape)


def find_files(folder: Path) -> dict[str, Path]:
    """Return the IDX files in `folder` by their plain names; unpacked ones are preferred."""
    found = {}
    for name in MNIST_MD5:
        for path in (folder / f"{name}.gz", folder / name):
            if path.is_file():
                found[name] = path
    return found


def load_mnist(folder: Path) -> Splits | None:
    """Return MNIST from a data folder (`MNIST/raw/`, as torchvision keeps it); None if not there.

    Errors: `DataError` for files that are not MNIST's.
    """
    for place in (folder / "MNIST" / "raw", folder / "mnist", folder):
        files = find_files(place)
        if len(files) == len(MNIST_MD5):
            break
    else:
        return None

    def build() -> Splits:
        names = tuple(str(digit) for digit in range(10))
        train, test = (
            LabelledSet(*_pair(files, part, MNIST_MD5), names) for part in ("train", "t10k")
        )
        return Splits("mnist", train, test, str(place))

    return cache.cached(cache.hash_files(files.values(), "mnist"), str(place), build)


def load(path: Path | str) -> Splits:
    """Return the images and labels of an IDX folder.

    Without `t10k-` files, a seeded fifth becomes the test set.

    Errors: `DataError` for a missing, malformed or mismatched file.
    """
    folder = Path(path).expanduser()
    files = find_files(folder)
    needed = list(MNIST_MD5)[: 4 if any(name.startswith("t10k") for name in files) else 2]
    missing = [name for name in needed if name not in files]
    if missing:
        raise DataError(
            f"{folder} has no {' and no '.join(missing)} (or the same with .gz); an IDX folder "
            "holds train-images-idx3-ubyte and train-labels-idx1-ubyte, and the t10k- pair if "
            "there is a test set"
        )

    def build() -> Splits:
        names = ["train", "t10k"][: len(needed) // 2]
        return parts.assemble("idx", str(folder), [_pair(files, name) for name in names])

    return cache.cached(cache.hash_files(files.values(), "idx", sorted(files)), str(folder), build)


def _pair(
    files: dict[str, Path], part: str, md5: dict[str, str] | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the images `[N, 1, H, W]` and labels `[N]` of one part."""
    md5 = md5 or {}
    image_name, label_name = f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"
    images = read_idx(files[image_name], 3, md5.get(image_name))
    labels = read_idx(files[label_name], 1, md5.get(label_name))
    if len(images) != len(labels):
        raise DataError(
            f"{files[image_name]} has {len(images)} images but {files[label_name]} has "
            f"{len(labels)} labels; there must be one label per image"
        )
    return images[:, None], labels.astype(np.int64)
