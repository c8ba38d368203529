"""A picture as people see it, in eight bits: upright, on white; and a warning of what that lost."""

from __future__ import annotations

import logging
from collections.abc import Hashable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dilute.errors import DataError, printable

if TYPE_CHECKING:
    from PIL.Image import Image

_log = logging.getLogger("dilute.data")
_EXIF_PLACES = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")
_ORIENTATION = 0x0112
_WHITE = 255
# 16-bit values that come out as fewer levels than this, half of what they were or less, have lost
# what there was to see: 12-bit values in 16 bits become 16 levels.
_FEW_LEVELS = 17


def upright(image: Image) -> Image:
    """Return the picture turned and mirrored as its EXIF data say; itself if they say nothing."""
    from PIL.Image import Transpose

    image.load()  # after which what stands behind the pixels is known, too
    if not any(place in image.info for place in _EXIF_PLACES):
        return image
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # garbage in metadata is no fault of the picture
        return image
    ways: dict[Hashable, Transpose] = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    way = ways.get(orientation)
    return image if way is None else image.transpose(way)


def eight_bits(image: Image) -> Image:
    """Return the image in mode L or RGB, with what is transparent composed on white.

    Of 16-bit values the upper 8 bits are taken, in every image alike, so that images of one set
    stay comparable.

    Errors: `DataError` for pixels of 32 bits.
    """
    from PIL import Image as module

    if image.has_transparency_data and image.mode in ("1", "L", "LA", "La"):
        return _on_white(image.convert("LA"), "L")
    if image.has_transparency_data and not image.mode.startswith("I"):
        return _on_white(image.convert("RGBA"), "RGB")
    if image.mode in ("L", "RGB"):
        return image
    if image.mode == "1":
        return image.convert("L")
    if image.mode.startswith("I;16"):
        return module.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise DataError(
            f"pixels of mode {image.mode} (32 bits) are not supported; convert it to 8 bits"
        )
    return image.convert("RGB")


def _on_white(image: Image, mode: str) -> Image:
    from PIL import Image as module

    ground = module.new(mode, image.size, _WHITE if mode == "L" else (_WHITE,) * 3)
    ground.paste(image.convert(mode), mask=image.getchannel("A"))
    return ground


class LostLevels:
    """The images of a set that show hardly anything once they are decoded; warned of once.

    Threads may note them at the same time.
    """

    def __init__(self) -> None:
        self._flat: list[str] = []
        self._dim: list[str] = []
        self._has_warned = False

    def look(self, name: str, image: Image, pixels: NDArray[np.uint8]) -> None:
        """Note an image if it lost its levels, or has none.

        Arguments:
            image: as it was decoded.
            pixels: what became of it.
        """
        if image.mode.startswith("I;16"):
            values = np.asarray(image)
            levels = len(np.unique(values >> 8))
            if levels < _FEW_LEVELS and len(np.unique(values)) >= 2 * levels:
                self._dim.append(name)
                return
        if pixels.size > 1 and pixels.min() == pixels.max():
            self._flat.append(name)

    def warn(self, origin: str, count: int) -> None:
        """Log what was noted among `count` images, a line for each kind, the first time alone."""
        if self._has_warned or not (self._flat or self._dim):
            return
        self._has_warned = True
        if self._dim:
            _log.warning(
                "%s: %d of %d images have 16 bits a pixel and use so few of their values that "
                "fewer than %d of 256 grey levels are left, as the lower 8 bits are dropped "
                "(first: %s); scale their values to 0 to 65,535, or save them with 8 bits",
                *(printable(origin), len(self._dim), count, _FEW_LEVELS, printable(self._dim[0])),
            )
        if self._flat:
            _log.warning(
                "%s: %d of %d images have one value everywhere (first: %s), so that they show "
                "nothing; what is transparent is shown on white; check them",
                *(printable(origin), len(self._flat), count, printable(self._flat[0])),
            )
