"""A folder per class, with image files in each: `folder:DIR`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dilute.data import cache, parts
from dilute.data.class_order import in_class_order
from dilute.data.encoded import EncodedImages, Places
from dilute.data.images import decode_all, in_same_colours
from dilute.data.labelled import Splits
from dilute.data.part_names import find_parts, say_unused
from dilute.data.reading import AS_THEY_ARE, Reading
from dilute.errors import DataError, reason_of

_IMAGES = ".bmp .gif .jfif .jpe .jpeg .jpg .pbm .pgm .png .ppm .tif .tiff .webp"
IMAGE_SUFFIXES = frozenset(_IMAGES.split())
# What lies beside images in usual folders: notes, lists, and what file managers leave.
_CLUTTER = ".csv .html .json .jsonl .md .tsv .txt .xml .yaml .yml"
_CLUTTER_SUFFIXES = frozenset(_CLUTTER.split())
_CLUTTER_NAMES = frozenset({"thumbs.db", "desktop.ini", "license", "readme"})


@dataclass(frozen=True)
class _Listing:
    """The image files of one part, in order, and the class of each."""

    root: Path
    class_names: tuple[str, ...]
    files: list[Path]
    labels: NDArray[np.int64]


def load(path: Path | str, reading: Reading = AS_THEY_ARE, kind: str = "folder") -> Splits:
    """Return the images of a folder of class folders, labelled by them.

    The class folders lie in DIR, or in `DIR/train` and `DIR/test` (or `DIR/val`, or another name of
    `part_names`). Without a test part a seeded fifth of each class becomes the test set.

    Arguments:
        path: the folder.
        reading: its `resize` is needed where images differ in size.
        kind: how a streamed set is called: `streamed-KIND@HASH`.

    Errors: `DataError` for an empty or unreadable folder, a class without images, a file that is no
        image or does not decode, or images of different sizes.
    """
    root = Path(path).expanduser()
    train_folder, test_folder = _part_folders(root)
    found = [_list_part(train_folder)]
    names = found[0].class_names
    if test_folder is not None:
        found.append(_relabelled(_list_part(test_folder), names))

    def assembled(as_kind: str, inputs: Sequence[NDArray[np.uint8] | EncodedImages]) -> Splits:
        pairs = [(images, part.labels) for images, part in zip(inputs, found, strict=True)]
        row_names = [_row_names(part, root) for part in found]
        return parts.assemble(as_kind, str(root), pairs, names, row_names)

    def build() -> Splits:
        return assembled(
            "folder", in_same_colours([_decode(part, reading.resize) for part in found])
        )

    if reading.streams(sum(len(part.files) for part in found)):
        return assembled(f"streamed-{kind}", [_encoded(part, reading) for part in found])
    return cache.cached(_key(root, found, reading.resize), str(root), build)


def _part_folders(root: Path) -> tuple[Path, Path | None]:
    """Return the folders of training and test part; `root` itself if it is not divided."""
    folders = {path.name for path in _entries(root) if path.is_dir()}
    train, tests = find_parts(folders)
    # A class may be called "train", too: as a part it holds folders, as a class it holds images.
    if train is None or not any(path.is_dir() for path in _entries(root / train)):
        return root, None
    say_unused(root, folders - {train, *tests[:1]})
    return root / train, root / tests[0] if tests else None


def _list_part(root: Path) -> _Listing:
    classes = {path.name: path for path in _entries(root) if _is_class(path)}
    class_folders = [classes[name] for name in in_class_order(classes)]
    if not class_folders:
        raise DataError(
            f"{root} has no class folders; there must be one folder of images per class"
        )
    files: list[Path] = []
    labels: list[int] = []
    for label, folder in enumerate(class_folders):
        found = _images_below(folder)
        if not found:
            raise DataError(f"{folder} holds no images; add some, or remove the class folder")
        files += found
        labels += [label] * len(found)
    names = tuple(folder.name for folder in class_folders)
    return _Listing(root, names, files, np.array(labels, dtype=np.int64))


def _entries(folder: Path) -> list[Path]:
    """Return what is visible in `folder`, sorted by name."""
    try:
        with os.scandir(folder) as found:
            names = [entry.name for entry in found if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(
            f"cannot read the folder {folder}: {reason_of(error)}; "
            "give a folder that holds one folder of images per class"
        ) from error
    return [folder / name for name in sorted(names)]


def _is_class(path: Path) -> bool:
    if path.is_dir():
        return not _leads_up(path)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        raise DataError(
            f"{path} lies beside the class folders; move it into the folder of its class"
        )
    _check_clutter(path)
    return False


def _leads_up(path: Path) -> bool:
    """Return whether a path is a link to a folder that holds it, which leads in circles."""
    if not path.is_symlink():
        return False
    target = path.resolve()
    return path.parent.resolve().is_relative_to(target)


def _images_below(folder: Path) -> list[Path]:
    """Return the image files below `folder`, each once, however many links lead to it."""
    images: dict[Path, Path] = {}
    seen: set[Path] = set()
    repeated: list[Path] = []

    def visit(folder: Path, real: Path) -> None:
        seen.add(real)
        for path in _entries(folder):
            # Only a link needs to be resolved, as the real folder is known: that takes long.
            target = path.resolve() if path.is_symlink() else real / path.name
            if target in seen or target in images or _leads_up(path):
                repeated.append(path)
            elif path.is_dir():
                visit(path, target)
            elif path.suffix.lower() in IMAGE_SUFFIXES:
                images[target] = path
            else:
                _check_clutter(path)

    visit(folder, folder.resolve())
    say_unused(
        f"{folder} (links to what is there already)",
        (path.relative_to(folder) for path in repeated),
    )
    return list(images.values())


def _check_clutter(path: Path) -> None:
    if path.suffix.lower() not in _CLUTTER_SUFFIXES and path.name.lower() not in _CLUTTER_NAMES:
        raise DataError(
            f"{path} is no image; move it away (images end in {', '.join(sorted(IMAGE_SUFFIXES))})"
        )


def _relabelled(test: _Listing, class_names: tuple[str, ...]) -> _Listing:
    """Return the test part with the training part's labels."""
    unseen = sorted(set(test.class_names) - set(class_names))
    if unseen:
        raise DataError(
            f"{test.root} has classes that training lacks: {', '.join(unseen[:5])}; "
            "every test class needs training images"
        )
    positions = np.array([class_names.index(name) for name in test.class_names], dtype=np.int64)
    return _Listing(test.root, class_names, test.files, positions[test.labels])


def _row_names(part: _Listing, root: Path) -> NDArray[np.str_]:
    return np.array([path.relative_to(root).as_posix() for path in part.files])


def _decode(part: _Listing, resize: int | None) -> NDArray[np.uint8]:
    items = ((str(path), path) for path in part.files)
    return decode_all(items, len(part.files), resize, str(part.root))


def _encoded(part: _Listing, reading: Reading) -> EncodedImages:
    names = [os.fsencode(path.relative_to(part.root)) for path in part.files]
    try:
        sizes = [path.stat().st_size for path in part.files]
    except OSError as error:
        raise DataError(f"cannot read {error.filename}: {reason_of(error)}") from error
    count = len(names)
    places = Places(
        str(part.root),
        np.array(names),
        np.arange(count, dtype=np.int32),
        np.zeros(count, dtype=np.int64),
        np.array(sizes, dtype=np.int64),
    )
    return reading.encoded(places)


def _key(root: Path, found: list[_Listing], resize: int | None) -> str:
    """Return the cache key: of names and contents of the files as they are, not decoded."""
    names = [[str(path.relative_to(root)) for path in part.files] for part in found]
    files = (path for part in found for path in part.files)
    return cache.hash_files(files, "folder", names, resize)
