"""How data are read: from where, and for the sources that leave a choice, how."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dilute.data.encoded import EncodedImages, OnCorrupt, Places
from dilute.data.limits import exceeds_memory
from dilute.errors import DataError


@dataclass(frozen=True)
class Reading:
    """How to read data; one value, which `load` and all that read data take.

    Arguments:
        data_dir: folder of named data sets; else `$DILUTE_DATA`, else the user's data folder.
        resize: side in pixels of a square: the shorter side is scaled to it, the centre cut out.
            For `imagenet` (224 if not given), `imagenet-sample` (96), `folder:`, `shards:`,
            `parquet:` and `hub:`.
        stream: decode images when they are needed, or once; if not given, large sets are streamed.
            These are ImageNet, and what would not fit in the free memory. For `imagenet`,
            `imagenet-sample`, `folder:` and `shards:` (always streamed).
        on_corrupt: `fail` or `skip` at a streamed image that does not decode. One that is skipped
            counts for nothing.
        labels: file of labels from elsewhere, which take the place of the training labels; with
            `:COLUMN` or `:COLUMN,COLUMN` behind it where it has several.
        image_column, label_column: which columns of a table hold images, or their paths, and
            labels; for `csv:`, `parquet:` and `hub:`.
        clean_test: whether the labels of the data's own test part are known to be right; for data
            of your own. Without it, what is measured on them is agreement with labels as given.

    Errors: `DataError` for a value that is not allowed.
    """

    data_dir: Path | str | None = None
    resize: int | None = None
    stream: bool | None = None
    on_corrupt: OnCorrupt = "fail"
    labels: Path | str | None = None
    image_column: str | None = None
    label_column: str | None = None
    clean_test: bool = False

    def __post_init__(self) -> None:
        if self.resize is not None and self.resize < 1:
            raise DataError(f"resize is {self.resize}; it must be a number of pixels, 1 or more")
        if self.on_corrupt not in ("fail", "skip"):
            raise DataError(f"on_corrupt is '{self.on_corrupt}'; it must be fail or skip")

    def absolute(self) -> Reading:
        """Return the same with its paths from the root on, for processes in other folders."""
        changed: dict[str, Any] = {}
        if self.data_dir is not None:
            changed["data_dir"] = Path(self.data_dir).expanduser().absolute()
        if self.labels is not None:
            changed["labels"] = Path(self.labels).expanduser().absolute()
        return replace(self, **changed)

    def streams(self, num_images: int) -> bool:
        """Return whether a set of so many images is to be streamed.

        Errors: `DataError` for values that cannot go together.
        """
        decoded_bytes = num_images * 3 * (self.resize or 0) ** 2
        stream = exceeds_memory(decoded_bytes) if self.stream is None else self.stream
        if stream and self.resize is None:
            raise DataError(
                "images can be streamed at one size only; give --resize (resize= in Python; "
                "pixels, for example 224)"
            )
        if not stream and self.on_corrupt != "fail":
            raise DataError(
                f"on_corrupt = {self.on_corrupt} is for streamed data, as the others are read "
                "before training begins; add --stream (stream=True in Python), or remove the "
                "corrupt image"
            )
        return stream

    def encoded(self, places: Places) -> EncodedImages:
        """Return the images at `places` as they are to be read."""
        assert self.resize is not None
        return EncodedImages(places, self.resize, self.on_corrupt)


AS_THEY_ARE = Reading()
