"""Which columns of a table hold images, or their paths, and which labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dilute.data.folder import IMAGE_SUFFIXES
from dilute.data.reading import Reading
from dilute.errors import DataError, printable

if TYPE_CHECKING:
    import pyarrow as pa

IMAGE_COLUMNS = ("image", "img", "images", "picture", "photo", "jpg", "png")
PATH_COLUMNS = (*IMAGE_COLUMNS, "path", "file", "filename", "file_name", "image_path")
LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "target", "y", "category")
_SHOWN = 5
_LOOKED_AT = 100


@dataclass(frozen=True)
class TableRows:
    """Rows of one part of a data set, to be read in batches.

    Arguments:
        where: the file or data set, for messages.
        schema: the Arrow schema, with the Hub's metadata if there are any.
        count: number of rows.
        batches: reads the columns it is given the names of, in order.
        folder: what paths of images are relative to; None where rows name no files.
        image_column, label_column: as in `Reading`.
        needs_labels: whether a column must hold labels; if not, only one that is named, or called
            as is usual, does.
    """

    where: str
    schema: pa.Schema
    count: int
    batches: Callable[[list[str]], Iterator[Any]]
    folder: Path | None = None
    image_column: str | None = None
    label_column: str | None = None
    needs_labels: bool = True

    def asked(self, reading: Reading, *, needs_labels: bool = True) -> TableRows:
        """Return the same rows, with the columns that the user has named."""
        return replace(
            self,
            image_column=reading.image_column,
            label_column=reading.label_column,
            needs_labels=needs_labels,
        )


def find_columns(rows: TableRows) -> tuple[str | None, str | None]:
    """Return the names of the column of images, or of their paths, and of that of labels.

    The first is None for a table of numbers; the second for rows that need no labels and have none.

    Errors: `DataError`, listing the columns, if there is none or more than one that it could be, or
        if the one that was named is none.
    """
    label = _label_column(rows)
    if label is not None:
        _check_column(rows, "label", label, _may_hold_labels)
    image = rows.image_column
    if image is not None:
        if image == label:
            raise DataError(
                f"{rows.where}: column {image} cannot hold both images and labels; name two"
            )
        _check_column(rows, "image", image, lambda field: _holds_images(field) or is_text(field))
        return image, label
    if any(_holds_images(field.type) for field in rows.schema):
        return _only(rows, "image", _holds_images, IMAGE_COLUMNS), label
    if rows.folder is None:
        return _only(rows, "image", _holds_images, IMAGE_COLUMNS), label
    named = [
        field.name
        for field in rows.schema
        if field.name != label and is_text(field.type) and _names_images(rows, field.name)
    ]
    likely = [name for name in named if name.lower() in PATH_COLUMNS] or named
    if len(likely) > 1:
        raise _ambiguous(rows, "image", likely)
    return (likely[0] if likely else None), label


def _label_column(rows: TableRows) -> str | None:
    if rows.label_column is not None:
        return rows.label_column
    if not (rows.needs_labels or any(name.lower() in LABEL_COLUMNS for name in rows.schema.names)):
        return None
    return _only(rows, "label", _holds_labels, LABEL_COLUMNS)


def _holds_images(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return any(kind.field(index).name == "bytes" for index in range(kind.num_fields))
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _holds_labels(kind: pa.DataType) -> bool:
    import pyarrow as pa

    types = pa.types
    tests = (types.is_integer, types.is_string, types.is_large_string, types.is_boolean)
    return types.is_dictionary(kind) or any(test(kind) for test in tests)


def _may_hold_labels(kind: pa.DataType) -> bool:
    """Return whether the type can be that of labels: whole floats can, too."""
    import pyarrow as pa

    return _holds_labels(kind) or bool(pa.types.is_floating(kind))


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds text."""
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _names_images(rows: TableRows, column: str) -> bool:
    """Return whether the first cells of a column end as images do."""
    batch = next(rows.batches([column]), None)
    cells = [] if batch is None else batch.column(0).slice(0, _LOOKED_AT).to_pylist()
    return bool(cells) and all(
        Path(str(cell)).suffix.lower() in IMAGE_SUFFIXES for cell in cells if cell
    )


def _only(
    rows: TableRows, what: str, fits: Callable[[pa.DataType], bool], usual: tuple[str, ...]
) -> str:
    """Return the one column that fits, or that of these which is called as is usual.

    A column of labels may be called as is usual whatever it holds, which is checked then.
    """
    called = [field.name for field in rows.schema if field.name.lower() in usual]
    fitting = [field.name for field in rows.schema if fits(field.type)]
    likely = [name for name in fitting if name in called] or fitting
    if what == "label" and len(called) == 1:
        likely = called
    if len(likely) != 1:
        raise _ambiguous(rows, what, likely)
    return str(likely[0])


def _ambiguous(rows: TableRows, what: str, likely: list[str]) -> DataError:
    count = "no column" if not likely else f"several columns ({', '.join(likely)})"
    return DataError(
        f"{rows.where}: {count} could be the {what} column; columns are {_columns(rows)}; say "
        f"which, with --{what}-column ({what}_column= in Python)"
    )


def _columns(rows: TableRows) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in rows.schema)


def _check_column(
    rows: TableRows, what: str, name: str, fits: Callable[[pa.DataType], bool]
) -> None:
    if name not in rows.schema.names:
        raise DataError(
            f"{rows.where} has no column {name} for {what}s; columns are {_columns(rows)}"
        )
    kind = rows.schema.field(name).type
    if not fits(kind):
        raise DataError(
            f"{rows.where}: the {what} column {name} is {kind}, which holds no {what}s; columns "
            f"are {_columns(rows)}"
        )


def image_paths(rows: TableRows) -> list[Path] | None:
    """Return the files that the rows name, in order; None where rows hold images or numbers.

    Errors: `DataError` for files that are not there, which it names and counts, and those of
        `find_columns`.
    """
    image_column, _ = find_columns(rows)
    if image_column is None or not is_text(rows.schema.field(image_column).type):
        return None
    folder = rows.folder or Path()
    cells = [cell for batch in rows.batches([image_column]) for cell in batch.column(0).to_pylist()]
    paths = [folder / Path(str(cell or "")).expanduser() for cell in cells]
    missing = [row for row, path in enumerate(paths) if not cells[row] or not path.is_file()]
    if missing:
        shown = ", ".join(printable(str(cells[row])) for row in missing[:_SHOWN])
        raise DataError(
            f"{rows.where}: {len(missing)} of {len(cells)} files in column {image_column} are "
            f"missing ({shown}{', …' if len(missing) > _SHOWN else ''}); paths are relative to "
            f"{folder}"
        )
    return paths
