"""ImageNet (ILSVRC 2012) from class folders, streamed: it cannot be fetched without an account."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dilute.data import folder, parts
from dilute.data.labelled import Splits
from dilute.data.reading import Reading
from dilute.errors import DataError

PIXELS = 224
SAMPLE_PIXELS = 96
_SIZES = (1_281_167, 50_000)
_NUM_CLASSES = 1000


def load(data_dir: Path, reading: Reading) -> Splits:
    """Return ImageNet from `imagenet/train/CLASS/…` and `imagenet/val/CLASS/…` in the data folder.

    Unless `reading` says otherwise, images are streamed, on every machine alike, and brought to 224
    by 224 pixels. The whole set, streamed at that size with no image skipped, is called `imagenet`.
    A part of it, or the set read in another way, has a hash of its content in its name:
    `streamed-imagenet@HASH` or `imagenet@HASH`.

    Errors: `DataError` if it is not there, or does not fit in memory; those of `folder.load`.
    """
    place = data_dir / "imagenet"
    absent = [str(place / part) for part in ("train", "val") if not (place / part).is_dir()]
    if absent:
        raise DataError(
            f"imagenet is not here ({' and '.join(absent)} are missing) and cannot be fetched "
            "without an account; put its class folders there, or set DILUTE_DATA (or --data-dir)"
        )
    found = folder.load(str(place), _streamed(reading, PIXELS), "imagenet")
    assert found.test is not None
    if not found.train.is_streamed:
        return _named(parts.content_name("imagenet", found.train, found.test), found)
    is_whole = (len(found.train), len(found.test)) == _SIZES
    return _named("imagenet", found) if is_whole and _is_usual(reading, PIXELS) else found


def has_sample(data_dir: Path) -> bool:
    """Return whether the data folder has `imagenet-sample`."""
    return (data_dir / "imagenet-sample" / "train").is_dir()


def load_sample(data_dir: Path, reading: Reading) -> Splits:
    """Return one image of each class, from `imagenet-sample/train/CLASS/…` in the data folder.

    It is for trying out what is meant for ImageNet. It is streamed like that, at 96 by 96 pixels.
    Its test set is the training set, which measures nothing. Its name is `imagenet-sample`; with
    other images, or read in another way, it is read as a `folder:` and has a hash in its name.

    Errors: `DataError` if it is not there; those of `folder.load`.
    """
    place = data_dir / "imagenet-sample"
    if not has_sample(data_dir):
        raise DataError(
            f"imagenet-sample is not here ({place / 'train'} is missing); put a folder per class "
            "with an image in it there, or set DILUTE_DATA (or --data-dir)"
        )
    found = folder.load(str(place), _streamed(reading, SAMPLE_PIXELS), "imagenet-sample")
    if found.test is not None:
        return found
    found = replace(found, test=found.train, cut_rows=None)
    is_whole = len(found.train) == found.train.num_classes == _NUM_CLASSES
    is_usual = found.train.is_streamed and _is_usual(reading, SAMPLE_PIXELS)
    return _named("imagenet-sample", found) if is_whole and is_usual else found


def _named(name: str, found: Splits) -> Splits:
    """Return `found` under another name."""
    assert found.test is not None
    train, test = (replace(part, name="") for part in (found.train, found.test))
    return Splits(name, train, test, found.origin)


def _is_usual(reading: Reading, pixels: int) -> bool:
    """Return whether streamed images are read as everyone reads them."""
    return reading.resize in (None, pixels) and reading.on_corrupt == "fail"


def _streamed(reading: Reading, pixels: int) -> Reading:
    return replace(
        reading,
        resize=reading.resize or pixels,
        stream=True if reading.stream is None else reading.stream,
    )
