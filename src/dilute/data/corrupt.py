"""Which images of a source do not decode: found before a run rather than during it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from dilute.data.loading import load
from dilute.data.reading import AS_THEY_ARE, Reading
from dilute.data.sources import can_stream
from dilute.errors import DataError

_IMAGES_AT_ONCE = 256
_PIXELS = 64  # where the caller says nothing: which images decode does not depend on it


def check_images(
    name: str,
    reading: Reading = AS_THEY_ARE,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> list[str]:
    """Return the names of the images that do not decode, of the training and then of the test part.

    They are the images that a run with `on_corrupt = "skip"` skips when it comes upon them, and
    that end one with `"fail"`. Every image is decoded once; none is kept.

    Arguments:
        name: a source that can be streamed, as for `load`.
        reading: how to read; `stream` and `on_corrupt` are set here, `resize` may be left out.
        on_progress: called with the number of images done and their number in all.

    Errors: those of `load`; `DataError` for a source that cannot be streamed (its images are
        decoded when it is loaded, and the first that does not decode is named then), or for an
        image whose file has gone.
    """
    if not can_stream(name):
        raise DataError(
            f"{name} cannot be streamed, so its images are decoded when it is loaded; load it to "
            "check it"
        )
    pixels = reading.resize or _PIXELS
    splits = load(name, replace(reading, resize=pixels, stream=True, on_corrupt="skip"))
    parts = [part for part in (splits.train, splits.test) if part is not None]
    total, done = sum(len(part) for part in parts), 0
    for part in parts:
        for start in range(0, len(part), _IMAGES_AT_ONCE):
            rows = np.arange(start, min(start + _IMAGES_AT_ONCE, len(part)))
            part.gather(rows)
            done += len(rows)
            on_progress(done, total)
    # An image may be in both parts.
    return list(dict.fromkeys(found for part in parts for found in part.unreadable_names()))
