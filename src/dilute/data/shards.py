"""WebDataset's shards, tar files of `KEY.jpg` and `KEY.cls`: `shards:DIR`. Always streamed.

An index of where each image lies is made once, by reading the headers of the archives' members;
images are then read one by one, in any order, without unpacking anything.
"""

from __future__ import annotations

import io
import logging
import os
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dilute.data import cache, home, parts
from dilute.data.encoded import EncodedImages, Places
from dilute.data.folder import IMAGE_SUFFIXES
from dilute.data.labelled import Splits
from dilute.data.part_names import find_parts, part_of_file, say_unused
from dilute.data.reading import Reading
from dilute.errors import DataError, StoreError, printable, reason_of
from dilute.files import write_file

_log = logging.getLogger("dilute.data")
_TAR_BLOCK = 512
# Writers fill a tar file up to whole records: of 20 blocks, nearly all of them, or of powers of
# two, up to 1 MiB.
_USUAL_RECORD, _OTHER_RECORDS = 20 * _TAR_BLOCK, [2**power for power in range(15, 21)]
# Part of where an index is kept: raise it when other shards are refused, or another index is made
# of one.
_INDEX_VERSION = 2
_LONGEST_LABEL = 20


@dataclass(frozen=True)
class _Index:
    """Where the images of one shard lie, and their labels; arrays `[M]`."""

    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    members: NDArray[np.bytes_]
    labels: NDArray[np.int64]


def load(path: Path | str, reading: Reading) -> Splits:
    """Return the images of a folder of shards, or of a pattern such as `DIR/train-*.tar`.

    In a folder, shards whose name begins with `test`, `val` or another of `part_names` are the test
    set; without any, a seeded fifth of each class becomes it. A shard is an uncompressed tar file
    in which an image `KEY.jpg` (or `.png`, …) and `KEY.cls`, its class number as text, stand next
    to each other.

    Arguments:
        path: a folder, or a pattern of file names.
        reading: its `resize` must be given.

    Errors: `DataError`, naming the shard, for one that is cut off or no tar file, an image without
        a label, or nothing found.
    """
    if reading.stream is False:
        raise DataError(
            f"{path}: shards are always streamed; leave --no-stream out, or unpack them and give "
            "folder:DIR"
        )
    reading = replace(reading, stream=True)
    root, train_files, test_files = _find(Path(path).expanduser())
    reading.streams(0)  # refuses what cannot be, before all shards are read
    found = [_part(root, files, reading) for files in (train_files, test_files) if files]
    pairs = [(images, labels) for images, labels, _ in found]
    row_names = [keys for *_, keys in found]
    return parts.assemble("streamed-shards", str(path), pairs, row_names=row_names)


def _find(place: Path) -> tuple[Path, list[Path], list[Path]]:
    """Return the folder, the training shards and the test shards."""
    if place.is_dir():
        found = sorted(place.glob("*.tar"))
        by_part: dict[str, list[Path]] = {}
        for path in found:
            by_part.setdefault(part_of_file(path.name) or "", []).append(path)
        called, tests = find_parts(by_part)
        root, train = place, by_part.get(called or "", [])
        test = by_part[tests[0]] if tests else []
        say_unused(place, (path.name for path in {*found}.difference(train, test)))
    else:
        root, train, test = place.parent, sorted(place.parent.glob(place.name)), []
    if not train:
        raise DataError(
            f"{place} has no training shards; give a folder of .tar files, or a pattern such as "
            "DIR/train-*.tar"
        )
    return root, train, test


def _part(
    root: Path, files: list[Path], reading: Reading
) -> tuple[EncodedImages, NDArray[np.int64], NDArray[np.str_]]:
    """Return images, labels and keys of a part."""
    indices = [_index(path) for path in files]
    places = Places(
        str(root),
        np.array([os.fsencode(path.name) for path in files]),
        np.repeat(np.arange(len(files), dtype=np.int32), [len(index.labels) for index in indices]),
        np.concatenate([index.offsets for index in indices]),
        np.concatenate([index.sizes for index in indices]),
        np.concatenate([index.members for index in indices]),
    )
    labels = np.concatenate([index.labels for index in indices])
    keys = [
        np.array([printable(_split(os.fsdecode(member))[0]) for member in index.members])
        for index in indices
    ]
    return reading.encoded(places), labels, np.concatenate(keys)


def _index(path: Path) -> _Index:
    """Return the index of a shard, from the cache if the file has the size and time that it had."""
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"cannot read {path}: {reason_of(error)}") from error
    key = cache.hash_words(
        "shard", _INDEX_VERSION, str(path.absolute()), status.st_size, status.st_mtime_ns
    )
    kept = home.cache_folder() / "shards" / f"{key}.npz"
    try:
        with np.load(kept, allow_pickle=False) as found:
            return _Index(*(found[name] for name in _Index.__dataclass_fields__))
    except FileNotFoundError:
        pass
    except Exception as error:  # of a damaged file nearly any; the index can be made again
        _log.warning("making the index of %s again: %s: %s", path, kept, error)
    index = _read_index(path, status.st_size)
    content = io.BytesIO()
    np.savez(content, **vars(index))
    try:
        write_file(kept, content.getvalue())
    except StoreError as error:
        _log.warning("no index of %s is kept: %s", path, error)
    return index


def _read_index(path: Path, file_size: int) -> _Index:
    images: dict[str, tuple[int, int, bytes]] = {}
    labels: dict[str, int] = {}
    last = dotted = None
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                last = member.name
                if archive.offset > file_size:
                    raise DataError(_cut_off(path, f"in its member {member.name}"))
                if not member.isfile():
                    continue
                key, kind = _split(member.name)
                if "." in kind and Path(kind).suffix in IMAGE_SUFFIXES:
                    dotted = dotted or member.name
                if f".{kind}" in IMAGE_SUFFIXES:
                    if key in images:
                        raise DataError(f"{path} holds two images called {key}; keys must differ")
                    images[key] = (member.offset_data, member.size, os.fsencode(member.name))
                elif kind == "cls":
                    content = archive.extractfile(member)
                    assert content is not None
                    labels[key] = _label(path, member.name, content.read(_LONGEST_LABEL))
        _check_end(path, archive.offset, file_size, last)
    except (tarfile.TarError, OSError) as error:
        if "unexpected end of data" in str(error):
            raise DataError(_cut_off(path, "within a member")) from error
        raise DataError(
            f"{path} cannot be read as an uncompressed tar file: {reason_of(error)}"
        ) from error
    if not images:
        raise DataError(_no_images(path, dotted))
    if lacking := [key for key in images if key not in labels]:
        raise DataError(f"{path}: {len(lacking)} images lack their label (first: {lacking[0]}.cls)")
    offsets, sizes, members = zip(*images.values(), strict=True)
    return _Index(
        np.array(offsets, dtype=np.int64),
        np.array(sizes, dtype=np.int64),
        np.array(members, dtype=np.bytes_),
        np.array([labels[key] for key in images], dtype=np.int64),
    )


def _no_images(path: Path, dotted: str | None) -> str:
    """Return what is wrong with a shard; `dotted` is an image in it that has a dot in its key."""
    if dotted is None:
        return f"{path} holds no images; a shard holds KEY.jpg and KEY.cls for each image"
    key, kind = _split(dotted)
    suffix = Path(dotted).suffix
    better = key + dotted[len(key) : -len(suffix)].replace(".", "_") + suffix
    return (
        f"{path} holds no images by WebDataset's rule, which splits names at the first dot: its "
        f"member {dotted} has the key {key} and the kind {kind}; take the dots out of the keys, as "
        f"in {better}"
    )


def _check_end(path: Path, end: int, file_size: int, last: str | None) -> None:
    """Check that a shard ends after its last whole member.

    `tarfile` takes anything that is no header for the end.

    That member ends at `end`, and is called `last`.
    """
    place = f"after its member {last}" if last else "at its start"
    with path.open("rb") as file:
        file.seek(end)
        # Whoever writes an archive ends it with blocks of zeros; without one the rest is missing.
        block = file.read(_TAR_BLOCK)
        if len(block) < _TAR_BLOCK:
            raise DataError(_cut_off(path, "after a whole member"))
        has_more = any(block)
        if not has_more and not _is_padding(end, file_size):
            raise DataError(
                f"{path} has {file_size - end:,} bytes of nothing {place}, more than fill up a "
                "tar file: a download that did not end? Get the shard again, or pack it again if "
                "it is whole"
            )
        if has_more or any(file.read()):
            raise DataError(
                f"{path} is damaged {place}: what follows is no member, and not the end; get the "
                "shard again"
            )


def _is_padding(end: int, file_size: int) -> bool:
    """Return whether so many bytes may follow the last member: two blocks, and a filled record."""

    def filled(record: int) -> int:
        return -(-(end + 2 * _TAR_BLOCK) // record) * record

    return file_size <= filled(_USUAL_RECORD) or file_size in map(filled, _OTHER_RECORDS)


def _split(name: str) -> tuple[str, str]:
    """Return key and kind of a member, as WebDataset does: the name is cut at its first dot."""
    folder, slash, file = name.rpartition("/")
    key, _, kind = file.partition(".")
    return folder + slash + key, kind.lower()


def _label(path: Path, member: str, content: bytes) -> int:
    text = content.strip()
    if not text.isdigit():
        raise DataError(
            f"{path}: {member} holds {content!r}; it must be a class number, 0 or more, as text"
        )
    return int(text)


def _cut_off(path: Path, where: str) -> str:
    return f"{path} is cut off {where}; get the shard again"
