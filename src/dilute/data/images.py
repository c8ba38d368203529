"""Image files in any common format to one uint8 array."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from dilute.data.eight_bits import LostLevels, eight_bits, upright
from dilute.data.limits import check_size
from dilute.errors import DataError, reason_of

if TYPE_CHECKING:
    from PIL.Image import Image
    from tqdm import tqdm

# What an image is called in messages, and its bytes or the file that holds them.
Encoded = tuple[str, bytes | Path]

# Others are rare, and some of Pillow's readers start other programs (PostScript does).
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
_ITEMS_AT_ONCE = 2048
_ITEMS_PER_TASK = 64
SMALL_IMAGE_BYTES = 8192


def decode_all(
    items: Iterable[Encoded], count: int, resize: int | None = None, origin: str = ""
) -> NDArray[np.uint8]:
    """Return the decoded images: uint8 `[N, C, H, W]`, C = 1 if all are greyscale, else 3.

    Arguments:
        items: name and content of each image.
        count: how many there are, N.
        resize: if given, each image's shorter side becomes this many pixels and the centre is cut
            out as a square.
        origin: the data set, for messages and the progress bar.

    Errors: `DataError`, naming the image, for one that does not decode or whose size differs.
    """
    images: NDArray[np.uint8] | None = None
    first, lost = "", LostLevels()
    with (
        ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool,
        _progress_bar(count) as bar,
        pillow_warnings(),
    ):
        row = 0
        for batch in _batches(items):
            names = iter([name for name, _ in batch])
            for image in _decode_batch(pool, batch, resize, lost):
                name = next(names)
                if images is None:
                    images, first = _allocate(image, count, origin or name), name
                images = _with_channels(images, len(image))
                _check_same_size(images, first, image, name)
                images[row] = image
                row += 1
            bar.update(len(batch))
    if images is None:
        raise DataError(f"{origin}: there are no images; at least one is needed")
    assert row == count, (row, count)
    lost.warn(origin or first, count)
    return images


def _progress_bar(count: int) -> tqdm[NoReturn]:
    """Return a bar that shows on a terminal only, and only if decoding takes more than a second."""
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[type-arg]
        # No thread that watches the bar: it would outlive it, and threads make forking unsafe.
        monitor_interval = 0

    return Bar(total=count, desc="decoding", unit="image", disable=None, delay=1, leave=False)


def _batches(items: Iterable[Encoded]) -> Iterator[list[Encoded]]:
    rest = iter(items)
    while batch := list(islice(rest, _ITEMS_AT_ONCE)):
        yield batch


def _decode_batch(
    pool: ThreadPoolExecutor, batch: list[Encoded], resize: int | None, lost: LostLevels
) -> Iterator[NDArray[np.uint8]]:
    def decode_task(task: list[Encoded]) -> list[NDArray[np.uint8]]:
        return [decode(item, bring, lost=lost) for item in task]

    def bring(image: Image) -> Image:
        return image if resize is None else centre_square(image, resize)

    tasks = [batch[at : at + _ITEMS_PER_TASK] for at in range(0, len(batch), _ITEMS_PER_TASK)]
    # Measured: with thumbnails, nearly all time is spent in Python, and threads get in each other's
    # way.
    are_small = isinstance(batch[0][1], bytes) and len(batch[0][1]) < SMALL_IMAGE_BYTES
    return chain.from_iterable(
        map(decode_task, tasks) if are_small else pool.map(decode_task, tasks)
    )


@contextmanager
def pillow_warnings() -> Iterator[None]:
    """Turn Pillow's warnings to what they mean here, for all threads that decode meanwhile.

    It warns of odd metadata, which is no concern, and of pictures so large that they are likely to
    be attacks, which is.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def decode(
    item: Encoded,
    bring: Callable[[Image], Image],
    smallest_side: int | None = None,
    lost: LostLevels | None = None,
) -> NDArray[np.uint8]:
    """Return one image as uint8 `[C, H, W]`.

    Arguments:
        item: what it is called in messages, and its content.
        bring: what is done to the picture (mode L or RGB) before it becomes an array.
        smallest_side: a JPEG file may be decoded at a half, a quarter or an eighth of its size,
            which takes less time, as long as neither side becomes smaller than this; None for its
            full size.
        lost: takes note if the image shows hardly anything.

    EXIF orientation is applied, and what is transparent is composed on white.

    Errors: `DataError`, naming the image, if it does not decode. Call it within `pillow_warnings`.
    """
    from PIL import Image

    name, content = item
    try:
        source = io.BytesIO(content) if isinstance(content, bytes) else content
        with Image.open(source, formats=_FORMATS) as image:
            if smallest_side is not None:
                image.draft(None, (smallest_side, smallest_side))
            turned = upright(image)
            pixels: NDArray[np.uint8] = np.asarray(bring(eight_bits(turned)), dtype=np.uint8)
            if lost is not None:
                lost.look(name, turned, pixels)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(f"{name}: the picture is too large to be trusted ({error})") from error
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    except MemoryError:
        raise  # which is no fault of the picture
    # Pillow's readers raise nearly anything on garbage (OSError, SyntaxError, struct.error, …).
    except Exception as error:
        reason = reason_of(error) or type(error).__name__
        if "cannot identify image file" in reason:
            reason = "it is no image of a known format"
        raise DataError(f"{name} does not decode as an image: {reason}") from error
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def centre_square(image: Image, side: int) -> Image:
    """Return the central square of a picture whose shorter side is scaled to `side` (bilinear)."""
    from PIL import Image as module

    width, height = image.size
    scale = side / min(width, height)
    width, height = max(side, round(width * scale)), max(side, round(height * scale))
    image = image.resize((width, height), module.Resampling.BILINEAR)
    left, top = (width - side) // 2, (height - side) // 2
    return image.crop((left, top, left + side, top + side))


def _allocate(image: NDArray[np.uint8], count: int, where: str) -> NDArray[np.uint8]:
    check_size(f"{where}: {count} images of {_size(image)}", count * image.nbytes)
    return np.empty((count, *image.shape), dtype=np.uint8)


def _with_channels(images: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """Return `images` with as many channels, if they have but one."""
    return np.repeat(images, channels, axis=1) if images.shape[1] < channels else images


def in_same_colours(parts: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Return the images of each part in colour if any of the parts is: grey is a colour, too."""
    channels = max(part.shape[1] for part in parts)
    return [_with_channels(part, channels) for part in parts]


def _check_same_size(images: NDArray[Any], first: str, image: NDArray[Any], name: str) -> None:
    if images.shape[2:] != image.shape[1:]:
        raise DataError(
            f"images have different sizes: {first} is {_size(images)}, {name} is {_size(image)}; "
            "give --resize (resize= in Python; pixels, for example 32) to bring all to one square "
            "size"
        )


def _size(array: NDArray[Any]) -> str:
    return f"{array.shape[-1]}×{array.shape[-2]}"
