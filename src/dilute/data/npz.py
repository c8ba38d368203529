"""Arrays in NumPy's own archive: `npz:FILE`."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dilute.data import parts
from dilute.data.labelled import Splits
from dilute.data.limits import check_size
from dilute.data.part_names import find_parts, part_of_key, say_unused
from dilute.errors import DataError, reason_of

# Keys of inputs and labels; case does not count, and the name of a part stands before or after.
_PAIRS = (
    ("x", "y"),
    ("images", "labels"),
    ("features", "labels"),
    ("inputs", "labels"),
    ("data", "target"),
    ("data", "labels"),
)


def load(path: Path | str) -> Splits:
    """Return inputs and labels of an `.npz` file; without a test part, a seeded fifth becomes one.

    uint8 `[N, H, W]`, `[N, H, W, C]` or `[N, C, H, W]` are images; anything else becomes float32
    features `[N, …]`.

    Errors: `DataError` for a file that is no such archive, lacks the keys, or whose arrays do not
        fit.
    """
    file = Path(path).expanduser()
    with _opened(file) as archive:
        keys = _find_keys(file, archive)
        arrays = [_read(file, archive, key) for key in keys]
    pairs = [
        (_inputs(file, keys[at], arrays[at]), arrays[at + 1]) for at in range(0, len(arrays), 2)
    ]
    if len({inputs.dtype for inputs, _ in pairs}) > 1:
        raise DataError(
            f"{file}: {keys[0]} is {arrays[0].dtype} but {keys[2]} is {arrays[2].dtype}; both must "
            "be alike"
        )
    return parts.assemble("npz", str(file), pairs)


def load_new(path: Path | str) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return the inputs of an `.npz` file in one piece, as for `load`, and its labels if any.

    Errors: those of `load`.
    """
    file = Path(path).expanduser()
    with _opened(file) as archive:
        present = _present(archive)
        words = {key.lower() for key in present}
        alone = {key for key in present if key.lower() in {inputs for inputs, _ in _PAIRS}}
        if alone and not any({*pair} <= words for pair in _PAIRS):
            (key,), labels = sorted(alone)[:1], None
        else:
            key, of_labels = _find_keys(file, archive)[-2:]
            labels = _read(file, archive, of_labels)
        return _inputs(file, key, _read(file, archive, key)), labels


@contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    # An encrypted archive is a RuntimeError, and so is a kind of packing that is not implemented.
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise DataError(f"cannot read {file} as an .npz file: {reason_of(error)}") from error


def _present(archive: zipfile.ZipFile) -> set[str]:
    return {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}


def _find_keys(file: Path, archive: zipfile.ZipFile) -> tuple[str, ...]:
    """Return the keys of inputs and labels: of training, and of the test part if there is one."""
    present = _present(archive)
    by_part: dict[str, dict[str, str]] = {}
    for key in sorted(present):
        part, word = part_of_key(key)
        by_part.setdefault(part, {})[word] = key
    pairs = {
        part: (keys[one], keys[other])
        for part, keys in by_part.items()
        for one, other in reversed(_PAIRS)
        if {one, other} <= {*keys}
    }
    train, tests = find_parts(pairs)
    chosen = [train, *tests[:1]] if train else [""]
    if chosen[0] in pairs:
        found = tuple(key for part in chosen for key in pairs[part])
        say_unused(file, present.difference(found))
        return found
    raise DataError(
        f"{file} holds {', '.join(sorted(present)[:10]) or 'nothing'}; it must hold x_train and "
        "y_train (with x_test and y_test if there is a test set), x and y, or images and labels"
    )


def _read(file: Path, archive: zipfile.ZipFile, key: str) -> NDArray[Any]:
    """Return one array, after its header has been found to promise just what the archive holds."""
    where = f"{file} array {key}"
    member = archive.getinfo(f"{key}.npy")
    check_size(where, member.file_size, member.compress_size)
    try:
        with archive.open(member) as stream:
            version = np.lib.format.read_magic(stream)
            if version == (1, 0):
                shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
            else:
                shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
            header_bytes = stream.tell()
        if dtype.hasobject:
            raise DataError(f"{where} holds Python objects; save it as plain numbers or text")
        declared = math.prod(shape) * dtype.itemsize
        if declared + header_bytes != member.file_size:
            raise DataError(
                f"{where} is corrupt: shape {shape} of {dtype} means {declared} bytes, "
                f"it holds {member.file_size - header_bytes}"
            )
        with archive.open(member) as stream:
            array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    except (ValueError, TypeError, SyntaxError, MemoryError, OverflowError) as error:
        raise DataError(f"{where} is corrupt: {reason_of(error)}") from error
    return array


def _inputs(file: Path, key: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return uint8 images `[N, C, H, W]` or float32 features `[N, …]`."""
    if array.dtype.kind not in "biuf":
        raise DataError(f"{file} array {key} is {array.dtype}; inputs must be numbers")
    if array.ndim < 2:
        raise DataError(
            f"{file} array {key} has shape {array.shape}; it must be [N, …] with one row per "
            "example"
        )
    # Images are often saved as wider integers than they need.
    may_be_images = array.dtype.kind in "iu" and array.ndim >= 3 and array.size > 0
    if may_be_images and array.min() >= 0 and array.max() <= 255:
        array = array.astype(np.uint8, copy=False)
    if array.dtype != np.uint8 or array.ndim == 2:
        # What overflows becomes infinite, and is refused with NaN.
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(array, dtype=np.float32)
    if array.ndim == 3:
        return np.ascontiguousarray(array[:, None])
    if array.ndim == 4 and array.shape[3] in (1, 3):
        return np.ascontiguousarray(array.transpose(0, 3, 1, 2))
    if array.ndim == 4 and array.shape[1] in (1, 3):
        return np.ascontiguousarray(array)
    raise DataError(
        f"{file} array {key} is uint8 of shape {array.shape}; images must be [N, H, W], [N, H, W, "
        "C] or [N, C, H, W] with C 1 or 3"
    )
