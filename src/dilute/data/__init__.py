"""Data sets: named ones, and the user's own, each as `Splits` of `LabelledSet`s."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from dilute.data import bundled, cifar, folder, hub, idx, imagenet, npz, parquet, shards
from dilute.data.checking import check_images
from dilute.data.download import download as download_set
from dilute.data.encoded import EncodedImages, OnCorrupt
from dilute.data.home import data_folder
from dilute.data.labelled import LabelledSet, Splits, check_alike
from dilute.data.reading import AS_THEY_ARE, Reading
from dilute.data.sheet import contact_sheet, describe
from dilute.data.white_noise import WhiteNoise, white_noise_name, white_noise_size
from dilute.errors import DataError, unknown_name

__all__ = [
    "AS_THEY_ARE",
    "OWN",
    "SETS",
    "EncodedImages",
    "LabelledSet",
    "OnCorrupt",
    "Reading",
    "Splits",
    "WhiteNoise",
    "absolute",
    "can_resize",
    "can_stream",
    "check_alike",
    "check_images",
    "contact_sheet",
    "data_folder",
    "describe",
    "fetch",
    "known",
    "load",
    "load_pool",
    "reading_for",
    "row_names",
    "white_noise_name",
    "white_noise_size",
]


@dataclass(frozen=True)
class NamedSet:
    """A data set that has a name: what it is, and what reads it from a data folder.

    `read` returns None where the set is not there.
    """

    description: str
    read: Callable[[Path, Reading], Splits | None]
    can_resize: bool = False
    can_stream: bool = False


@dataclass(frozen=True)
class OwnForm:
    """A form of the user's own data: what goes after the colon, what it is, and what reads it."""

    argument: str
    description: str
    read: Callable[[str, Reading], Splits]
    can_resize: bool = False
    can_stream: bool = False


SETS = {
    "mnist5k": NamedSet(
        "5,000 of MNIST's handwritten digits, 1×28×28, 10 classes; bundled",
        lambda *_: bundled.load_mnist5k(),
    ),
    "digits": NamedSet(
        "1,797 handwritten digits of scikit-learn, 1×8×8, 10 classes; bundled",
        lambda *_: bundled.load_digits(),
    ),
    "mnist": NamedSet(
        "60,000 + 10,000 handwritten digits, 1×28×28, 10 classes; 12 MB to fetch",
        lambda folder, _: idx.load_mnist(folder),
    ),
    "cifar10": NamedSet(
        "50,000 + 10,000 small photographs, 3×32×32, 10 classes; 170 MB to fetch",
        lambda folder, _: cifar.load("cifar10", folder),
    ),
    "cifar100": NamedSet(
        "50,000 + 10,000 small photographs, 3×32×32, 100 classes; 169 MB to fetch",
        lambda folder, _: cifar.load("cifar100", folder),
    ),
    "imagenet": NamedSet(
        "1,281,167 + 50,000 photographs, 3×224×224, 1,000 classes; from folders of your own",
        imagenet.load,
        can_resize=True,
        can_stream=True,
    ),
    "imagenet-sample": NamedSet(
        "1,000 photographs, one of each class of ImageNet, 3×96×96; from folders of your own",
        imagenet.load_sample,
        can_resize=True,
        can_stream=True,
    ),
}

OWN = {
    "idx": OwnForm("DIR", "IDX files, named as MNIST's are", lambda path, _: idx.load(path)),
    "folder": OwnForm(
        "DIR", "a folder of images per class", folder.load, can_resize=True, can_stream=True
    ),
    "shards": OwnForm(
        "DIR",
        "WebDataset's tar files of KEY.jpg and KEY.cls; streamed",
        shards.load,
        can_resize=True,
        can_stream=True,
    ),
    "parquet": OwnForm(
        "FILE",
        "Parquet with an image and a label column",
        lambda path, reading: parquet.load(path, reading.resize),
        can_resize=True,
    ),
    "npz": OwnForm("FILE", "NumPy arrays x_train, y_train, …", lambda path, _: npz.load(path)),
    "hub": OwnForm(
        "OWNER/NAME",
        "a data set of the Hugging Face Hub",
        lambda name, reading: hub.load(name, reading.resize),
        can_resize=True,
    ),
}


def load(name: str, reading: Reading = AS_THEY_ARE) -> Splits:
    """Return the data set `name`, fetched first if it is a public one that is not there yet.

    Arguments:
        name: a key of `SETS`, or the user's own as `idx:DIR`, `folder:DIR`, `shards:DIR`,
            `parquet:FILE`, `npz:FILE` or `hub:OWNER/NAME`. A name with `@hash` behind it, as an
            incomplete set has it, is accepted if that is the content found.
        reading: how to read it.

    Errors: `DataError` for a name that is unknown, a way of reading that the source does not have,
        or data that are absent, malformed or unfit.
    """
    if any(letter < " " for letter in name):
        raise DataError(f"data name {name!r} holds control characters; check it")
    form, colon, argument = name.partition(":")
    if colon and form in OWN:
        if not argument:
            raise DataError(
                f"'{name}' lacks what comes after the colon; give {form}:{OWN[form].argument}"
            )
        _check_reading(f"{form}: data", OWN[form], reading)
        try:
            return OWN[form].read(argument, reading)
        except (
            OSError,
            RuntimeError,
        ) as error:  # a path that cannot be, such as ~nobody or an endless name
            reason = getattr(error, "strerror", None) or str(error)
            raise DataError(f"{name[:80]} cannot be read: {reason}; check the path") from error
    plain, is_exact = _plain(name), "@" in name
    _check_name(plain)
    _check_reading(name, SETS[plain], reading)
    try:
        found = _load_named(plain, data_folder(reading.data_dir), reading)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"{name} cannot be read: {reason}; check --data-dir and DILUTE_DATA"
        ) from error
    if is_exact and found.name != name:
        raise DataError(
            f"{name} is not what is here, which is {found.name}; find the data it was made with"
        )
    return found


def _check_reading(what: str, source: NamedSet | OwnForm, reading: Reading) -> None:
    """Refuse what this source has no use for."""
    if reading.resize is not None and not source.can_resize:
        raise DataError(
            f"resize is not for {what}; it is for {_that(lambda source: source.can_resize)}"
        )
    if (reading.stream or reading.on_corrupt != "fail") and not source.can_stream:
        raise DataError(
            f"{what} cannot be streamed; leave --stream and --on-corrupt out, which are for "
            f"{_that(lambda source: source.can_stream)}"
        )


def _that(can: Callable[[NamedSet | OwnForm], bool]) -> str:
    """Return the names of the sources that can do something."""
    named = [name for name, source in SETS.items() if can(source)]
    own = [f"{form}:" for form, source in OWN.items() if can(source)]
    return ", ".join([*named, *own])


def _load_named(name: str, place: Path, reading: Reading) -> Splits:
    found = SETS[name].read(place, reading)
    if found is not None:
        return found
    download_set(name, place)
    found = SETS[name].read(place, reading)
    if found is None:
        raise DataError(f"{name} was fetched into {place} but cannot be found there")
    return found


def load_pool(
    name: str, like: LabelledSet, seed: int, reading: Reading = AS_THEY_ARE
) -> LabelledSet | WhiteNoise | None:
    """Return where the images of noisy examples come from: None for the clean images themselves.

    Arguments:
        name: `same`, `white_noise` (without end), `white_noise:SIZE` (so many images), or a data
            set as for `load`, whose training images are taken.
        like: the clean set, whose mean and variance white noise takes.
        seed: of white noise.
        reading: how to read a data set.

    Errors: those of `load`; `DataError` for white noise of an impossible size.
    """
    if name == "same":
        return None
    size = white_noise_size(name)
    if size is not None:
        return WhiteNoise(like, seed, size)
    return load(name, reading).train


def reading_for(name: str, reading: Reading, others: Iterable[str]) -> Reading:
    """Return `reading` for one of several data sets, without what the others alone have a use for.

    An option counts for each of the sets that has a use for it. One that none has a use for stays,
    so that `load` refuses it.

    Arguments:
        name: the data set, as for `load`.
        others: the sets that `reading` is given for, too; names of no data set, as `same`, do not
            count.
    """
    others = list(others)
    if not can_resize(name) and any(map(can_resize, others)):
        reading = replace(reading, resize=None)
    if not can_stream(name) and any(map(can_stream, others)):
        reading = replace(reading, stream=None, on_corrupt="fail")
    return reading


def can_resize(name: str) -> bool:
    """Return whether `load` takes a `resize` for this name."""
    source = _source(name)
    return source is not None and source.can_resize


def can_stream(name: str) -> bool:
    """Return whether `load` can stream the data of this name."""
    source = _source(name)
    return source is not None and source.can_stream


def _source(name: str) -> NamedSet | OwnForm | None:
    form, colon, _ = name.partition(":")
    return OWN.get(form) if colon else SETS.get(_plain(name))


def _plain(name: str) -> str:
    """Return the key of `SETS` in a name that may have a hash, as `streamed-imagenet@0123…`."""
    plain, at, _ = name.partition("@")
    return plain.removeprefix("streamed-") if at else plain


def absolute(name: str) -> str:
    """Return `name` with its path, if it has one, from the root on, for use in any folder."""
    form, colon, argument = name.partition(":")
    if not (colon and form in OWN) or form == "hub":
        return name
    return f"{form}:{Path(argument).expanduser().absolute()}"


def row_names(name: str) -> list[str] | None:
    """Return the file behind each row of `load(name).whole()` for a `folder:`.

    Other data, whose rows have numbers alone, give None.
    """
    form, _, argument = name.partition(":")
    return folder.file_names(argument) if form == "folder" else None


def fetch(name: str, reading: Reading = AS_THEY_ARE) -> str:
    """Make sure that the named set is on this machine, and return where it is.

    Errors: `DataError` as for `load`; the user's own data cannot be fetched.
    """
    form, colon, _ = name.partition(":")
    if colon and form in OWN and form != "hub":
        raise DataError(
            f"'{name}' is data of your own and need not be fetched; named sets are "
            + ", ".join(SETS)
        )
    return load(name, reading).origin


def known() -> dict[str, str]:
    """Return the names that `load` knows, each with a line that describes it.

    Forms of the user's own data are there as `idx:DIR`, ….
    """
    named = {name: found.description for name, found in SETS.items()}
    own = {f"{form}:{found.argument}": found.description for form, found in OWN.items()}
    return named | own


def _check_name(name: str) -> None:
    if name not in SETS:
        raise DataError(unknown_name("data set", name, known()))
