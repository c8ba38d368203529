"""Fetch the public data sets from their homes: checked, and placed whole or not at all."""

from __future__ import annotations

import contextlib
import logging
import shutil
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dilute.errors import DataError, StoreError
from dilute.files import make_folder, write_error

_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Home:
    """Where a data set is published.

    Arguments:
        urls: addresses of folders with the same files, tried in turn.
        files: name and MD5 of each file.
        place: where in the data folder the files go, or the folder that the archive unpacks to.
        is_archive: whether the file is a tar archive to unpack.
    """

    urls: tuple[str, ...]
    files: tuple[tuple[str, str], ...]
    place: str
    is_archive: bool = False


# Addresses and MD5s as published by the sets' authors and torchvision.
HOMES = {
    "mnist": Home(
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        (
            ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
            ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
            ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
        ),
        "MNIST/raw",
    ),
    "cifar10": Home(
        ("https://www.cs.toronto.edu/~kriz/",),
        (("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"),),
        "cifar-10-batches-py",
        is_archive=True,
    ),
    "cifar100": Home(
        ("https://www.cs.toronto.edu/~kriz/",),
        (("cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"),),
        "cifar-100-python",
        is_archive=True,
    ),
}


def download(name: str, folder: Path) -> Path:
    """Fetch the data set `name` (a key of `HOMES`) into the data folder, and return its place.

    Everything is fetched and checked under a temporary name, then renamed.

    Errors: `DataError` if the folder cannot be written or the set cannot be had.
    """
    home = HOMES[name]
    place = folder / home.place
    existed = folder.exists()
    try:
        make_folder(folder)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as temporary:
            _fetch_and_place(name, folder, Path(temporary))
    except (StoreError, OSError) as error:
        reason = error if isinstance(error, StoreError) else write_error(place, error)
        raise DataError(f"{name} is not in {folder} and cannot be put there: {reason}") from error
    finally:
        if not existed:
            with contextlib.suppress(OSError):  # not empty: the set is there
                folder.rmdir()
    return place


def _fetch_and_place(name: str, folder: Path, temporary: Path) -> None:
    home = HOMES[name]
    fetched = temporary / "fetched"
    fetched.mkdir()
    for file, md5 in home.files:
        _fetch_file(name, home, file, md5, fetched, folder)
    if home.is_archive:
        _unpack(fetched / home.files[0][0], temporary, home.place)
        _place_folder(temporary / home.place, folder / home.place)
        return
    place = make_folder(folder / home.place)
    for file, _ in home.files:
        (fetched / file).replace(place / file)


def _fetch_file(name: str, home: Home, file: str, md5: str, target: Path, folder: Path) -> None:
    """Fetch one file from the first of the home's addresses that has it."""
    import pooch
    import requests

    # It would report each download on standard error; the bar does, on a terminal.
    pooch.get_logger().setLevel(logging.WARNING)
    downloader = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(), chunk_size=2**16, timeout=_TIMEOUT_SECONDS
    )
    reasons = []
    for base in home.urls:
        try:
            pooch.retrieve(base + file, f"md5:{md5}", file, target, downloader=downloader)
            return
        except requests.exceptions.HTTPError as error:
            status = "an error" if error.response is None else error.response.status_code
            reasons.append(f"{base + file} answers {status}")
        except requests.exceptions.RequestException as error:
            reasons.append(f"{base + file} {_why(error)}")
        except ValueError:
            reasons.append(f"{base + file} has another checksum than {md5}")
    where = folder if home.is_archive else folder / home.place
    files = ", ".join(file for file, _ in home.files)
    by_hand = f"unpack {files} in {where}" if home.is_archive else f"put {files} into {where}"
    raise DataError(
        f"{name} is not in {folder} and cannot be downloaded: {'; '.join(reasons)}; set "
        f"DILUTE_DATA (or --data-dir) to the folder that holds it, or {by_hand}"
    )


def _why(error: Exception) -> str:
    text = repr(error)
    if "Timeout" in text or "timed out" in text:
        return f"did not answer within {_TIMEOUT_SECONDS} seconds"
    if "IncompleteRead" in text or "ChunkedEncodingError" in text or "Connection broken" in text:
        return "was cut off"
    return f"cannot be reached ({type(error).__name__})"


def _unpack(archive: Path, target: Path, expected: str) -> None:
    try:
        with tarfile.open(archive) as opened:
            # The filter refuses absolute paths, links to the outside and devices.
            opened.extractall(target, filter="data")
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{archive.name} cannot be unpacked: {error}") from error
    if not (target / expected).is_dir():
        raise DataError(f"{archive.name} does not hold the folder {expected}")


def _place_folder(source: Path, place: Path) -> None:
    """Rename `source` to `place`; what was there before (an incomplete copy) is removed after."""
    if place.exists():
        place.rename(source.parent / "replaced")
    try:
        source.rename(place)
    except OSError:
        # Another process placed the same set in between.
        if not place.is_dir():
            raise
    shutil.rmtree(source.parent / "replaced", ignore_errors=True)
