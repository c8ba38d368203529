"""Where data come from: sets that have a name, and forms of the user's own data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dilute.data import bundled, cifar, csv_file, folder, hub, idx, imagenet, npz, parquet, shards
from dilute.data.labelled import Splits
from dilute.data.reading import Reading


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
    is_table: bool = False


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
        "Parquet with a column of images, or of their paths, and one of labels",
        parquet.load,
        can_resize=True,
        is_table=True,
    ),
    "csv": OwnForm(
        "FILE",
        "CSV with a column of paths of images, or of numbers, and one of labels",
        csv_file.load,
        can_resize=True,
        is_table=True,
    ),
    "npz": OwnForm("FILE", "NumPy arrays x_train, y_train, …", lambda path, _: npz.load(path)),
    "hub": OwnForm(
        "OWNER/NAME",
        "a data set of the Hugging Face Hub",
        hub.load,
        can_resize=True,
        is_table=True,
    ),
}


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
    return OWN.get(form) if colon else SETS.get(plain_name(name))


def plain_name(name: str) -> str:
    """Return the key of `SETS` in a name that may have a hash, as `streamed-imagenet@0123…`."""
    plain, at, _ = name.partition("@")
    return plain.removeprefix("streamed-") if at else plain


def absolute(name: str) -> str:
    """Return `name` with its path, if it has one, from the root on, for use in any folder."""
    form, colon, argument = name.partition(":")
    if not (colon and form in OWN) or form == "hub":
        return name
    return f"{form}:{Path(argument).expanduser().absolute()}"


def known() -> dict[str, str]:
    """Return the names that `load` knows, each with a line that describes it.

    Forms of the user's own data are there as `idx:DIR`, ….
    """
    named = {name: found.description for name, found in SETS.items()}
    own = {f"{form}:{found.argument}": found.description for form, found in OWN.items()}
    return named | own
