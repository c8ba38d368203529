"""CIFAR-10 and CIFAR-100, from Parquet or from torchvision's folders, in the same order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dilute.data import cache, parquet, parts
from dilute.data.labelled import LabelledSet, Splits
from dilute.data.table_rows import decode_rows
from dilute.errors import DataError

_Part: TypeAlias = "tuple[NDArray[np.uint8], NDArray[Any], bool]"
"""Images `[N, 3, 32, 32]`, raw label values `[N]`, and whether these are the public original."""
_CIFAR10_NAMES = "airplane automobile bird cat deer dog frog horse ship truck"
_CIFAR100_NAMES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch
crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo
keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse
mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy
porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper
snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television
tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""
CIFAR10_CLASSES = tuple(_CIFAR10_NAMES.split())
CIFAR100_CLASSES = tuple(_CIFAR100_NAMES.split())
FULL_SIZES = (50_000, 10_000)
# Content hashes of the whole sets in canonical order: a known answer for each of training and test.
CIFAR10_HASHES = (
    "47e1e1e1e745fedc18e516cebeb3542283a5aec9aa859ac600f2ebd1d9bf827d",
    "f598e5828ab302ff7151533ceef4a46a14d2dee296cf975d3b16b2cc34d05538",
)

_CLASSES = {"cifar10": CIFAR10_CLASSES, "cifar100": CIFAR100_CLASSES}
_TORCHVISION = {
    "cifar10": ("cifar-10-batches-py", "CIFAR10"),
    "cifar100": ("cifar-100-python", "CIFAR100"),
}


def load(name: str, folder: Path) -> Splits | None:
    """Return CIFAR (`cifar10` or `cifar100`) from a data folder, or None if it is not there.

    Looked for as Parquet in `<name>/` and as torchvision's `cifar-10-batches-py/` or
    `cifar-100-python/`. Examples are in canonical order; from torchvision's folders, which are the
    public original, the index there is the name of a row. A set that is not whole (fewer images, no
    test part) is named `<name>@<hash of content>`, for it is not what the plain name stands for.

    Errors: `DataError` for files that are corrupt or not CIFAR.
    """
    place = folder / name
    readers: list[Callable[[], _Part]]
    if place.is_dir() and any(place.rglob("train*.parquet")):
        found = [part for part in parquet.find_files(place) if part]
        files = [file for part in found for file in part]
        readers = [partial(_read_parquet, name, part) for part in found]
    else:
        place = folder / _TORCHVISION[name][0]
        if not place.is_dir():
            return None
        files = sorted(path for path in place.iterdir() if path.is_file())
        readers = [partial(_read_torchvision, name, folder, train) for train in (True, False)]
    key = cache.hash_files(files, name, [path.name for path in files])
    return cache.cached(
        key, str(place), lambda: _assemble(name, place, [read() for read in readers])
    )


def canonical_order(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the order, int64 `[N]`, that sorts examples by (SHA-256 of the pixels, label).

    So an example has the same index whatever order its home keeps the set in. The pixels hashed are
    the C·H·W bytes of an image `[C, H, W]`; equal images of equal label need not be distinguished.
    """
    digests = [hashlib.sha256(image.tobytes()).digest() for image in images]
    keys = np.array(digests, dtype="S32").view(">u8").reshape(len(images), 4)
    # The last key of lexsort counts most.
    return np.lexsort((labels, keys[:, 3], keys[:, 2], keys[:, 1], keys[:, 0])).astype(np.int64)


def _read_parquet(name: str, files: list[Path]) -> _Part:
    images, labels, names, _ = decode_rows(parquet.rows_of_files(files))
    if names not in (None, _CLASSES[name]):
        raise DataError(f"{files[0]} is not {name}: its class names are others")
    assert labels is not None
    return images, labels, False


def _read_torchvision(name: str, folder: Path, train: bool) -> _Part:
    from torchvision import datasets

    subfolder, reader = _TORCHVISION[name]
    try:
        # Pickles are opened only after torchvision has checked their MD5s.
        found = getattr(datasets, reader)(root=str(folder), train=train, download=False)
    except (RuntimeError, OSError, EOFError) as error:
        raise DataError(
            f"{folder / subfolder} is incomplete or corrupt; delete it and fetch {name} again"
        ) from error
    images = np.ascontiguousarray(found.data.transpose(0, 3, 1, 2))
    return images, np.asarray(found.targets), True


def _assemble(name: str, place: Path, found: list[_Part]) -> Splits:
    sets = []
    for images, values, is_original in found:
        if images.shape[1:] != (3, 32, 32):
            raise DataError(
                f"{place} is not {name}: images have shape {images.shape[1:]}, not (3, 32, 32)"
            )
        labels, _, names = parts.encode(values, None, _CLASSES[name])
        order = canonical_order(images, labels)
        indices = order.astype(np.str_) if is_original else None
        sets.append(LabelledSet(images[order], labels[order], names, row_names=indices))
    if name == "cifar10":
        for part, size, known in zip(sets, FULL_SIZES, CIFAR10_HASHES, strict=False):
            if len(part) == size and part.content_hash != known:
                raise DataError(
                    f"{place} is corrupt: the {size} images have the content hash "
                    f"{part.content_hash[:16]}… instead of {known[:16]}…; delete it and fetch "
                    f"{name} again"
                )
    train, test = sets[0], sets[1] if len(sets) > 1 else None
    whole = tuple(len(part) for part in sets) == FULL_SIZES
    return Splits(name if whole else parts.content_name(name, train, test), train, test, str(place))
