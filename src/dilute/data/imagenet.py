"""ImageNet (ILSVRC 2012) from class folders: it cannot be fetched without an account."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dilute.data import folder, parts
from dilute.data.labelled import Splits
from dilute.data.reading import Reading
from dilute.errors import DataError

PIXELS = 224
_SIZES = (1_281_167, 50_000)
_NUM_CLASSES = 1000


def load(data_dir: Path, reading: Reading) -> Splits:
    """Return ImageNet from `imagenet/train/CLASS/…` and `imagenet/val/CLASS/…` in the data folder.

    Images are brought to 224 by 224 pixels, or as `reading` has it (shorter side scaled, centre cut out). Decoded,
    the whole set takes about 200 GB of memory; where that is not free it is streamed, and then called
    `streamed-imagenet@HASH`. A part of the set in memory, or at another size, is called `imagenet@HASH`.

    Errors: `DataError` if it is not there, or does not fit in memory; those of `folder.load`.
    """
    place = data_dir / "imagenet"
    absent = [str(place / part) for part in ("train", "val") if not (place / part).is_dir()]
    if absent:
        raise DataError(
            f"imagenet is not here ({' and '.join(absent)} are missing) and cannot be fetched without an "
            "account; put its class folders there, or set DILUTE_DATA (or --data-dir)"
        )
    reading = replace(reading, resize=reading.resize or PIXELS)
    found = folder.load(str(place), reading, "imagenet")
    assert found.test is not None
    if found.train.is_streamed:
        return found
    sizes = (len(found.train), len(found.test))
    is_usual = found.train.num_classes == _NUM_CLASSES and reading.resize == PIXELS
    whole = sizes == _SIZES and is_usual
    name = "imagenet" if whole else parts.content_name("imagenet", found.train, found.test)
    return Splits(name, found.train, found.test, str(place))
