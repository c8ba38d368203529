"""Data sets by their names, fetched first where they are not there yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from dilute.data.download import download
from dilute.data.home import data_folder
from dilute.data.joined_labels import columns_of, join_labels
from dilute.data.labelled import LabelledSet, Splits
from dilute.data.parts import content_name, split_indices, split_set
from dilute.data.reading import AS_THEY_ARE, Reading
from dilute.data.sources import (
    OWN,
    SETS,
    NamedSet,
    OwnForm,
    can_resize,
    can_stream,
    known,
    plain_name,
)
from dilute.data.white_noise import WhiteNoise, white_noise_size
from dilute.errors import DataError, reason_of, unknown_name


def load(name: str, reading: Reading = AS_THEY_ARE) -> Splits:
    """Return the data set `name`, fetched first if it is a public one that is not there yet.

    Arguments:
        name: a key of `SETS`, or the user's own as `idx:DIR`, `folder:DIR`, `shards:DIR`,
            `parquet:FILE`, `npz:FILE` or `hub:OWNER/NAME`. A name with `@hash` after it, as an
            incomplete set has it, is accepted if that is the content found.
        reading: how to read it.

    Errors: `DataError` for a name that is unknown, a way of reading that the source does not have,
        or data that are absent, malformed or unfit.
    """
    if any(letter < " " for letter in name):
        raise DataError(f"data name {name!r} holds control characters; check it")
    found = _load(name, replace(reading, labels=None))
    return found if reading.labels is None else with_labels(found, reading.labels)


def with_labels(splits: Splits, labels: Path | str) -> Splits:
    """Return a data set with training labels from elsewhere; a source in one piece is cut anew.

    Arguments:
        labels: as in `Reading`.

    Errors: those of `join_labels`, and `DataError` if a class has no example any more.
    """
    file, columns = columns_of(str(labels))
    joined = join_labels(splits.whole(), file, columns)
    kind = f"{splits.name.partition('@')[0]}+labels"
    if splits.cut_rows is None:
        test, cut_rows, train = splits.test, None, joined
    else:
        cut_rows, _ = split_indices(joined.labels)
        train, test = split_set(joined)
    return replace(
        splits,
        name=content_name(kind, train, test),
        train=train,
        test=None if test is None else replace(test, name=""),
        origin=f"{splits.origin}, labels {file}",
        cut_rows=cut_rows,
        train_is_clean=False,
    )


def _load(name: str, reading: Reading) -> Splits:
    form, colon, argument = name.partition(":")
    if colon and form in OWN:
        return _load_own(form, argument, reading)
    plain = plain_name(name)
    if plain not in SETS:
        raise DataError(unknown_name("data set", plain, known()))
    _check_reading(name, SETS[plain], reading)
    if reading.clean_test:
        raise DataError(
            f"the test labels of {name} are known to be right; leave --clean-test (clean_test) out"
        )
    with _readable(name, "check --data-dir and DILUTE_DATA"):
        found = _load_named(plain, data_folder(reading.data_dir), reading)
    if "@" in name and found.name != name:
        raise DataError(
            f"{name} is not what is here, which is {found.name}; find the data it was made with"
        )
    return found


def _load_own(form: str, argument: str, reading: Reading) -> Splits:
    name, source = f"{form}:{argument}", OWN[form]
    if not argument:
        raise DataError(f"'{name}' lacks what comes after the colon; give {form}:{source.argument}")
    _check_reading(f"{form}: data", source, reading)
    with _readable(name[:80], "check the path"):
        found = source.read(argument, reading)
    if reading.clean_test and (found.test is None or found.cut_rows is not None):
        raise DataError(
            f"{name[:80]} has no test part of its own, which --clean-test (clean_test) is for; "
            "leave it out, or put images with right labels into a folder test"
        )
    return replace(found, test_is_clean=reading.clean_test, train_is_clean=False)


@contextmanager
def _readable(name: str, advice: str) -> Iterator[None]:
    """Say it in a `DataError` where a path cannot be, such as ~nobody or an endless name."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise DataError(f"{name} cannot be read: {reason_of(error)}; {advice}") from error


def _check_reading(what: str, source: NamedSet | OwnForm, reading: Reading) -> None:
    """Refuse what this source has no use for."""
    if reading.resize is not None and not source.can_resize:
        raise DataError(f"resize is not for {what}; it is for {_those_that(can_resize)}")
    if (reading.image_column or reading.label_column) and not getattr(source, "is_table", False):
        raise DataError(
            f"{what} has no columns to choose; leave --image-column and --label-column out, which "
            "are for csv:, parquet: and hub:"
        )
    if (reading.stream or reading.on_corrupt != "fail") and not source.can_stream:
        raise DataError(
            f"{what} cannot be streamed; leave --stream and --on-corrupt out, which are for "
            f"{_those_that(can_stream)}"
        )


def _those_that(can: Callable[[str], bool]) -> str:
    """Return the names of the sources that can do something."""
    return ", ".join(name for name in [*SETS, *(f"{form}:" for form in OWN)] if can(name))


def _load_named(name: str, place: Path, reading: Reading) -> Splits:
    found = SETS[name].read(place, reading)
    if found is not None:
        return found
    download(name, place)
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
            count. The first is that whose labels, columns and test part `reading` speaks of.
    """
    others = list(others)
    if others and name != others[0]:
        reading = replace(
            reading, clean_test=False, labels=None, image_column=None, label_column=None
        )
    if not can_resize(name) and any(map(can_resize, others)):
        reading = replace(reading, resize=None)
    if not can_stream(name) and any(map(can_stream, others)):
        reading = replace(reading, stream=None, on_corrupt="fail")
    return reading


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
