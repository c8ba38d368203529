"""Data sets of the Hugging Face Hub: `hub:OWNER/NAME` or `hub:OWNER/NAME/CONFIGURATION`."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dilute.data import cache
from dilute.data.labelled import Splits
from dilute.data.part_names import find_parts, say_unused
from dilute.data.reading import AS_THEY_ARE, Reading
from dilute.data.table_columns import TableRows, find_columns
from dilute.data.table_rows import read_parts
from dilute.errors import DataError

_NAME = re.compile(r"[\w.-]+/[\w.-]+(/[\w.-]+)?")


def load(name: str, reading: Reading = AS_THEY_ARE) -> Splits:
    """Return images and labels of a data set on the Hub, downloaded once into the Hub's own cache.

    Its split `train` becomes training, `test` (or `validation`, if test has no labels) the test
    set, under any of the names in `part_names`; without either, a seeded fifth. No code from the
    Hub is run.

    Arguments:
        name: `OWNER/NAME`, with `/CONFIGURATION` if the data set has several.
        reading: its `resize` and columns count.

    Errors: `DataError` for a name that the Hub does not know, no connection, or data of another
        form.
    """
    if not _NAME.fullmatch(name):
        raise DataError(
            f"hub:{name} is no address on the Hub; it must be hub:OWNER/NAME or "
            "hub:OWNER/NAME/CONFIG"
        )
    owner, repository, *configuration = name.split("/")
    return read(f"{owner}/{repository}", *configuration, origin=f"hub:{name}", reading=reading)


def read(
    path: str,
    configuration: str | None = None,
    *,
    origin: str,
    reading: Reading = AS_THEY_ARE,
) -> Splits:
    """Return a data set that `datasets.load_dataset` finds at `path`, on the Hub or in a folder.

    Errors: `DataError` for whatever keeps it from being loaded.
    """
    import datasets

    try:
        with _quiet_unless_terminal():
            found = datasets.load_dataset(path, configuration)
    # The Hub's client raises errors of four libraries, and of no common kind.
    except Exception as error:
        raise DataError(_why_not(origin, error)) from error
    train, tests = find_parts(found)
    if train is None:
        raise DataError(f"{origin} has the splits {', '.join(found)}; one must be called 'train'")
    rows = {
        name: rows_of(found[name], f"{origin} {name}").asked(reading) for name in (train, *tests)
    }
    test = next((name for name in tests if _has_labels(rows[name])), None)
    say_unused(origin, {*found} - {train, test})

    def build() -> Splits:
        return read_parts("hub", origin, rows[train], rows.get(test or ""), reading.resize)

    columns = (reading.image_column, reading.label_column)
    asked = columns if any(columns) else ()
    # A fingerprint stands for the files that the split was made from.
    marks = [found[split]._fingerprint for split in (train, test) if split is not None]
    return cache.cached(cache.hash_words("hub", *marks, reading.resize, *asked), origin, build)


def rows_of(dataset: Any, where: str) -> TableRows:
    """Return the rows of a split of `datasets`; `where` is what messages call it."""

    def batches(columns: list[str]) -> Iterator[Any]:
        for table in dataset.select_columns(columns).with_format("arrow").iter(1024):
            yield from table.combine_chunks().to_batches()

    # A picture that the Hub keeps as a file of its own has been downloaded next to the table.
    schema = dataset.features.arrow_schema
    return TableRows(where, schema, len(dataset), batches, folder=Path())


def _has_labels(rows: TableRows) -> bool:
    """Return whether any example has a label; competitions publish test sets with −1 for all."""
    _, column = find_columns(rows)
    assert column is not None
    for batch in rows.batches([column]):
        values = batch.column(column).to_numpy(zero_copy_only=False)
        if values.dtype.kind not in "iu" or np.any(values >= 0):
            return True
    return False


def _why_not(origin: str, error: Exception) -> str:
    kind, text = type(error).__name__, " ".join(str(error).split())
    chain: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(chain) < 8:
        chain.append(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    if kind == "DatasetNotFoundError":
        return (
            f"{origin} does not exist on the Hub, or needs a login (hf auth login); check the name"
        )
    if "Config name is missing" in text:
        return f"{origin} has several configurations; name one as {origin}/CONFIG: {text[:300]}"
    if any("Connect" in name or "Offline" in name or "Timeout" in name for name in chain):
        return (
            f"{origin} cannot be reached and is not in the Hub's cache: "
            "check the connection, or use parquet:FILE"
        )
    return f"{origin} cannot be loaded: {kind}: {text[:300]}"


@contextlib.contextmanager
def _quiet_unless_terminal() -> Iterator[None]:
    """Keep the Hub's progress bars to terminals."""
    import datasets

    was_shown = datasets.utils.are_progress_bars_disabled() is False
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        if was_shown:
            datasets.enable_progress_bars()
