"""Inputs to predict, of whatever kind, in batches of arrays."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dilute.data import IMAGE_SUFFIXES, LabelledSet
from dilute.data.eight_bits import eight_bits, upright
from dilute.data.images import centre_square, decode, pillow_warnings
from dilute.errors import DataError, printable


class Expected(NamedTuple):
    """The inputs that a model takes; fields as in `TrainedModel`."""

    input_shape: tuple[int, ...]
    is_images: bool
    resize: int | None

    @property
    def kind(self) -> str:
        """The kind of input in words."""
        if not self.is_images:
            return f"features of shape {_shape(self.input_shape)}"
        channels, height, width = self.input_shape
        return f"{'grey' if channels == 1 else 'colour'} images of {width}×{height} pixels"


def batches(inputs: Any, expected: Expected, batch_size: int) -> Iterator[NDArray[Any]]:
    """Yield inputs of any kind as arrays `[B, …]` that a model takes, at most `batch_size` each.

    Arguments:
        inputs: as for `TrainedModel.predict_proba`.

    Errors: `DataError` for what the model cannot take, or that cannot be read.
    """
    if batch_size < 1:
        raise DataError(f"batch_size is {batch_size}; it must be 1 or more")
    if isinstance(inputs, LabelledSet):
        inputs = inputs.inputs
    if isinstance(inputs, (str, Path)):
        inputs = images_at(inputs)
    elif _is_picture(inputs):
        inputs = [inputs]
    if hasattr(inputs, "detach"):  # a tensor
        inputs = inputs.detach().cpu().numpy()
    if not hasattr(inputs, "__len__") or not hasattr(inputs, "__getitem__"):
        raise DataError(
            f"inputs are of type {type(inputs).__name__}; give an array, images, paths or a data "
            f"set of {expected.kind}"
        )
    if hasattr(inputs, "dtype") and hasattr(inputs, "shape"):
        yield from _of_array(inputs, expected, batch_size)
    else:
        yield from _of_items(inputs, expected, batch_size)


def images_at(path: Path | str) -> list[Path]:
    """Return the image at a path, or the images below a folder, sorted by their paths.

    Links to folders are not followed; hidden files are left out.

    Errors: `DataError` if there are none.
    """
    root = Path(path).expanduser()
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise DataError(f"{root} does not exist; give an image, or a folder of images")
    found = [
        Path(folder, name)
        for folder, _, names in os.walk(root)
        for name in names
        if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES
    ]
    if not found:
        raise DataError(f"{root} holds no images; they end in {', '.join(sorted(IMAGE_SUFFIXES))}")
    return sorted(found)


def _of_array(inputs: Any, expected: Expected, size: int) -> Iterator[NDArray[Any]]:
    if len(inputs.shape) == 0:
        raise DataError(f"inputs are a single number; the model takes {expected.kind}")
    for start in range(0, len(inputs), size):
        part = np.asarray(inputs[start : start + size])
        yield images(part, expected) if expected.is_images else features(part, expected, start)


def _of_items(inputs: Any, expected: Expected, size: int) -> Iterator[NDArray[Any]]:
    """Yield batches of single pictures, paths, arrays, or pairs of these with a label."""
    rest = (inputs[number] for number in range(len(inputs)))
    start = 0
    while items := list(islice(rest, size)):
        items = [
            one[0] if isinstance(one, (tuple, list)) and _has_label(one) else one for one in items
        ]
        mapping = next((one for one in items if isinstance(one, dict)), None)
        if mapping is not None:
            raise DataError(
                f"items are mappings with {', '.join(map(str, mapping))}; give their inputs alone"
            )
        are_pictures = [_is_picture(one) or isinstance(one, (str, Path)) for one in items]
        if all(are_pictures):
            if not expected.is_images:
                raise DataError(f"inputs are images; the model takes {expected.kind}")
            part = _decoded(items, expected, start)
        elif any(are_pictures):
            raise DataError(
                f"some inputs are pictures or paths and others arrays (input "
                f"{start + are_pictures.index(not are_pictures[0])} is the first of another kind); "
                "give all of one kind"
            )
        else:
            part = _stacked(items, expected)
        yield images(part, expected) if expected.is_images else features(part, expected, start)
        start += len(items)


def _has_label(item: Sequence[Any]) -> bool:
    """Return whether an item of a data set is an input with a label behind it."""
    if len(item) != 2:
        return False
    first, second = item
    is_input = _is_picture(first) or isinstance(first, (str, Path)) or np.ndim(first) > 0
    return is_input and (isinstance(second, str) or np.ndim(second) == 0)


def _is_picture(thing: Any) -> bool:
    return type(thing).__module__.startswith("PIL.") or (
        hasattr(thing, "getbands") and hasattr(thing, "convert")
    )


def _decoded(items: list[Any], expected: Expected, start: int) -> NDArray[np.uint8]:
    """Return pictures and files as uint8 `[B, C, H, W]`, brought to size as in training."""

    def bring(picture: Any) -> Any:
        return picture if expected.resize is None else centre_square(picture, expected.resize)

    def decoded(number: int) -> NDArray[np.uint8]:
        one = items[number]
        if not isinstance(one, (str, Path)):
            name = f"image {start + number}"
            pixels = np.asarray(bring(eight_bits(upright(one))), dtype=np.uint8)
            found = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        else:
            name, path = printable(str(one)), Path(one).expanduser()
            if not path.exists():
                raise DataError(f"{name} does not exist; give the path of an image")
            found = decode((name, path), bring)
        return np.asarray(images(found[None], expected, name)[0])

    with pillow_warnings(), ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        found: NDArray[np.uint8] = np.stack(list(pool.map(decoded, range(len(items)))))
        return found


def _stacked(items: list[Any], expected: Expected) -> NDArray[Any]:
    try:
        arrays = [np.asarray(one) for one in items]
        return np.stack(arrays)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"inputs cannot be joined into one array ({error}); the model takes {expected.kind}"
        ) from None


def images(part: NDArray[Any], expected: Expected, name: str = "") -> NDArray[np.uint8]:
    """Return an array of images as uint8 `[B, C, H, W]`.

    Arguments:
        part: uint8 `[B, C, H, W]`, `[B, H, W, C]` or `[B, H, W]`. Grey ones become colour ones
            where the model takes these.
        name: of the image, for messages.

    Errors: `DataError` for another type, size or number of channels.
    """
    channels, height, width = expected.input_shape
    what = f"{name} has" if name else "images have"
    if part.dtype != np.uint8:
        raise DataError(
            f"inputs are {part.dtype}; the model takes {expected.kind} as uint8, 0 to 255"
        )
    if part.ndim == 3:
        if part.shape == expected.input_shape and channels == 3:
            raise DataError(
                f"inputs have shape {_shape(part.shape)}, which may be one colour image or three "
                f"grey ones; give [1, {_shape(part.shape)[1:]} or [3, 1, {height}, {width}]"
            )
        part = part[:, None]
    if part.ndim != 4:
        raise DataError(
            f"inputs have shape {_shape(part.shape)}; the model takes {expected.kind}, as "
            "[N, C, H, W], [N, H, W, C] or [N, H, W]"
        )
    size = (height, width)
    if part.shape[2:] != size and part.shape[1:3] == size and part.shape[3] in (1, 3):
        part = part.transpose(0, 3, 1, 2)
    if part.shape[2:] != size:
        raise DataError(
            f"{what} {part.shape[3]}×{part.shape[2]} pixels; the model takes {expected.kind}; "
            f"bring them to this size, or train with --resize, which the model then does, too"
        )
    if part.shape[1] == 1 and channels == 3:
        return np.repeat(part, 3, axis=1)
    if part.shape[1] != channels:
        raise DataError(
            f"{what} {part.shape[1]} channels; the model takes {expected.kind}; convert them, "
            "as with Pillow's convert('L')"
        )
    return part


def features(part: NDArray[Any], expected: Expected, start: int) -> NDArray[np.float32]:
    """Return an array of features as float32 `[B, …]`.

    Arguments:
        start: the number of the first, for messages.

    Errors: `DataError` for another type or shape, or values that are not finite.
    """
    if part.shape[1:] != expected.input_shape:
        raise DataError(
            f"inputs have shape {_shape(part.shape[1:])} each; the model takes {expected.kind}"
        )
    if part.dtype.kind not in "fiub":
        raise DataError(f"inputs are {part.dtype}; the model takes {expected.kind} as numbers")
    with np.errstate(over="ignore"):  # what is too large for a float32 is found below
        values = part.astype(np.float32)
    wrong = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
    if len(wrong):
        raise DataError(
            f"{len(wrong)} of the inputs hold values that are not finite or beyond 3e38, the first "
            f"is number {start + wrong[0]}; fill them in, or leave these rows out"
        )
    return values


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"
