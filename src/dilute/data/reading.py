"""How data are to be read, for the sources that leave a choice."""

from __future__ import annotations

from dataclasses import dataclass

from dilute.data.encoded import EncodedImages, OnCorrupt, Places
from dilute.data.limits import exceeds_memory
from dilute.errors import DataError


@dataclass(frozen=True)
class Reading:
    """How to read images.

    Arguments:
        resize: side in pixels of the square that every image is brought to; None for their own size.
        stream: whether to decode images when they are needed, rather than all of them beforehand; None to do
            so if all of them decoded would not fit in the memory that is free.
        on_corrupt: what becomes of a streamed image that does not decode, as for `EncodedImages`.
    """

    resize: int | None = None
    stream: bool | None = None
    on_corrupt: OnCorrupt = "fail"

    def streams(self, num_images: int) -> bool:
        """Return whether a set of so many images is to be streamed.

        Errors: `DataError` for what cannot be together.
        """
        decoded_bytes = num_images * 3 * (self.resize or 0) ** 2
        stream = exceeds_memory(decoded_bytes) if self.stream is None else self.stream
        if stream and self.resize is None:
            raise DataError(
                "images can be streamed at one size only; give --resize (resize= in Python; pixels, for "
                "example 224)"
            )
        if not stream and self.on_corrupt != "fail":
            raise DataError(
                f"on_corrupt = {self.on_corrupt} is for streamed data, as the others are read before training "
                "begins; add --stream (stream=True in Python), or remove the corrupt image"
            )
        return stream

    def encoded(self, places: Places) -> EncodedImages:
        """Return the images at `places` as they are to be read."""
        assert self.resize is not None
        return EncodedImages(places, self.resize, self.on_corrupt)


AS_THEY_ARE = Reading()
