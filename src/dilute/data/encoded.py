"""Images that stay encoded where they lie, and are decoded when they are asked for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from dilute.data.augmentation import Augmentation, crop_flip
from dilute.data.eight_bits import LostLevels
from dilute.data.images import SMALL_IMAGE_BYTES, centre_square, decode, pillow_warnings
from dilute.errors import DataError, printable, reason_of

if TYPE_CHECKING:
    from PIL.Image import Image

OnCorrupt = Literal["fail", "skip"]
# Part of every identity: raise it when what a pixel of an ordinary picture is changes.
_VERSION = 1
# Pictures that are to shrink to less than half are decoded at a reduced size: bilinear scaling of
# what is still at least twice as large then does the rest, and hides the difference.
_REDUCING_GAP = 2
_MID_GREY = 128


@dataclass(frozen=True, eq=False)
class Places:
    """Where encoded images lie: each in a range of bytes of a file.

    Arguments:
        root: the folder of the files.
        files: bytes `[F]`: their names, relative to it. (An array of names takes a fifth of a
            list's memory.)
        file_of: int32 `[N]`: which file image `i` is in.
        offsets, sizes: int64 `[N]`: where in the file it starts, and how many bytes it has.
        members: bytes `[N]`: the images' own names where a file holds many; else None.
    """

    root: str
    files: NDArray[np.bytes_]
    file_of: NDArray[np.int32]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    members: NDArray[np.bytes_] | None = None

    def __len__(self) -> int:
        return len(self.file_of)

    def name(self, row: int) -> str:
        """Return what image `row` is called in messages."""
        member = f" member {os.fsdecode(self.members[row])}" if self.members is not None else ""
        return printable(self._path(row) + member)

    def _path(self, row: int) -> str:
        return os.path.join(self.root, os.fsdecode(self.files[self.file_of[row]]))  # noqa: PTH118

    def read(self, row: int) -> bytes:
        """Return the bytes of image `row`.

        Errors: `DataError`, naming it, if they cannot be read or are fewer than they were.
        """
        size = int(self.sizes[row])
        try:
            with open(self._path(row), "rb", buffering=0) as file:  # noqa: PTH123
                file.seek(int(self.offsets[row]))
                content = file.read(size)
        except OSError as error:
            raise DataError(f"cannot read {self.name(row)}: {reason_of(error)}") from error
        if len(content) < size:
            raise DataError(
                f"{self.name(row)} is cut off: {len(content)} of {size} bytes are there"
            )
        return content

    def take(self, rows: NDArray[np.int64]) -> Places:
        """Return the places of `rows` alone."""
        return replace(
            self,
            file_of=self.file_of[rows],
            offsets=self.offsets[rows],
            sizes=self.sizes[rows],
            members=None if self.members is None else self.members[rows],
        )

    def listing_hash(self) -> str:
        """Return hex SHA-256 of the images' names and sizes, in order, and of the shards' ends."""
        names = self.members if self.members is not None else self.files[self.file_of]
        digest = hashlib.sha256(b"\n".join(names.tolist()))
        digest.update(self.sizes.astype("<i8").tobytes())
        if self.members is not None:  # the order in which a run visits them depends on it
            in_shard = np.bincount(self.file_of)
            digest.update(in_shard[in_shard > 0].astype("<i8").tobytes())
        return digest.hexdigest()


class EncodedImages:
    """An array of images uint8 `[N, 3, side, side]`, decoded where it is indexed; nothing is kept.

    The shorter side is scaled, the centre cut out; grey pictures get three channels. Decoding uses
    as many threads as PyTorch does: one in the worker process of a loader. Of small images it uses
    one.

    Arguments:
        places: where the images lie.
        side: pixels.
        on_corrupt: what becomes of one that does not decode: `"fail"`, or `"skip"`: it is mid-grey,
            and noted in `unreadable`. It is part of what the set is, since it changes what is
            learnt from.

    Attributes:
        unreadable: rows that did not decode, as far as they were asked for.
        identity: what identifies the images: hex SHA-256 of their names and sizes, of how they lie
            in shards, and of how they are read. Not of their content: to read it all may take
            hours.

    Errors: `DataError`, naming the image, for one that does not decode, or that has gone or shrunk
        since.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, places: Places, side: int, on_corrupt: OnCorrupt = "fail") -> None:
        self.places = places
        self.side = side
        self.on_corrupt: OnCorrupt = on_corrupt
        self.unreadable: set[int] = set()
        self._lost = LostLevels()

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """`(N, 3, side, side)`."""
        return len(self.places), 3, self.side, self.side

    @cached_property
    def identity(self) -> str:
        """Hex SHA-256 of the images' names, sizes and shards, and of how they are read."""
        how = repr((_VERSION, self.side, self.on_corrupt, self.places.listing_hash()))
        return hashlib.sha256(how.encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: int | slice | NDArray[np.int64]) -> NDArray[np.uint8]:
        if isinstance(rows, slice):
            rows = np.arange(len(self))[rows]
        if np.ndim(rows) == 0:
            image: NDArray[np.uint8] = self[np.array([rows])][0]
            return image
        return self._decoded(np.asarray(rows), lambda image, _: centre_square(image, self.side))

    def augmented(self, rows: NDArray[np.int64], augmentation: Augmentation) -> NDArray[np.uint8]:
        """Return uint8 `[B, 3, side, side]`: the images, each changed."""
        if augmentation.kind != "crop_flip":
            return augmentation.of_arrays(self[rows])
        chosen = [int(word) for word in augmentation.words]
        return self._decoded(
            rows,
            lambda image, number: crop_flip(image, self.side, self.side, chosen[number]),
            is_reducible=False,  # a small part may be wanted
        )

    def take(self, rows: NDArray[np.int64], axis: int = 0) -> EncodedImages:
        """Return the images at `rows` alone, still encoded."""
        assert axis == 0, axis
        taken = EncodedImages(self.places.take(rows), self.side, self.on_corrupt)
        taken._lost = self._lost  # one warning for all parts
        return taken

    def _decoded(
        self,
        rows: NDArray[np.int64],
        bring: Callable[[Image, int], Image],
        is_reducible: bool = True,
    ) -> NDArray[np.uint8]:
        from torch import get_num_threads

        images = np.empty((len(rows), 3, self.side, self.side), dtype=np.uint8)
        smallest_side = _REDUCING_GAP * self.side if is_reducible else None
        lost = self._lost if is_reducible else None  # a crop may well be of one colour

        def decode_into(number: int) -> None:
            row = int(rows[number])
            # A file that has gone is no corrupt image: that is never skipped.
            item = (self.places.name(row), self.places.read(row))
            try:
                images[number] = decode(
                    item, lambda image: bring(image, number), smallest_side, lost
                )
            except DataError:
                if self.on_corrupt == "fail":
                    raise
                self.unreadable.add(row)
                images[number] = _MID_GREY

        # Of thumbnails, nearly all time is spent in Python, and threads get in each other's way.
        are_small = len(rows) == 0 or self.places.sizes[rows].mean() < SMALL_IMAGE_BYTES
        threads = 1 if are_small else min(get_num_threads(), len(rows))
        with pillow_warnings():
            if threads <= 1:
                for number in range(len(rows)):
                    decode_into(number)
            else:
                # Made anew each time, as threads that live on would make forking unsafe.
                with ThreadPoolExecutor(threads) as pool:
                    list(pool.map(decode_into, range(len(rows))))  # which raises what they raised
        self._lost.warn(self.places.root, len(rows))
        return images


def joined(first: EncodedImages, second: EncodedImages) -> EncodedImages:
    """Return the images of two parts of one source, one after the other."""
    one, other = first.places, second.places
    assert one.files is other.files, (one.root, other.root)
    members = [part.members for part in (one, other) if part.members is not None]
    places = replace(
        one,
        file_of=np.concatenate([one.file_of, other.file_of]),
        offsets=np.concatenate([one.offsets, other.offsets]),
        sizes=np.concatenate([one.sizes, other.sizes]),
        members=np.concatenate(members) if members else None,
    )
    return EncodedImages(places, first.side, first.on_corrupt)
