"""A noise realisation as a Parquet file, so that two people train on the very same wrong labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from dilute.data.labelled import LabelledSet
from dilute.dilution.blocks import Block, ImageSource, label_dtype
from dilute.dilution.diluted import NoisySet, pool_law
from dilute.errors import DataError
from dilute.files import write_file
from dilute.noise import NoisePattern, label_laws

_FORMAT = 1
_COLUMNS = ("part", "image", "slot", "label", "own")


def write_labels(noisy: NoisySet, path: Path) -> str:
    """Write which image has which labels to a Parquet file, and return the realisation's content hash.

    One row per example, in the order of `example(i)`: `part` (0: clean images, 1: images from
    elsewhere), `image` (index in that source), `slot` (the image's how-manieth label), `label`, and
    `own` (whether the label is the image's own rather than a drawn one; for judging, not training).
    The file's metadata tells pattern, `alpha`, seed and hashes.

    Errors: `StoreError` if the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = []
    for part, block in enumerate(noisy.blocks):
        images, slots, _ = block.visit(np.arange(block.num_examples), 1)
        columns = (
            np.full(len(images), part, dtype=np.uint8),
            block.rows[images].astype(np.uint32),
            slots.astype(np.uint32),
            block.labels[images, slots],
            block.is_own[images] & (slots == 0),
        )
        tables.append(pa.table(dict(zip(_COLUMNS, columns, strict=True))))
    content_hash = noisy.content_hash()
    description = {
        "format": _FORMAT,
        "kind": noisy.kind,
        "alpha": str(noisy.alpha),
        "noise": noisy.noise.model_dump(mode="json"),
        "seed": noisy.seed,
        "num_classes": noisy.num_classes,
        "data_hash": noisy.clean.content_hash,
        "content_hash": content_hash,
    }
    table = pa.concat_tables(tables).replace_schema_metadata({"dilute": json.dumps(description)})
    write_file(path, lambda file: pq.write_table(table, file, compression="zstd"))
    return content_hash


def read_labels(path: Path, clean: LabelledSet, *, images: ImageSource | None = None) -> NoisySet:
    """Return the noisy set that `write_labels` wrote to `path`.

    Arguments:
        clean: the set that it was made from; its content must be the same.
        images: the source of the noisy examples' images, if they came from elsewhere.

    Errors: `DataError` if the file is missing, damaged, or made for other data.
    """
    description, columns = _read(path)
    if description["data_hash"] != clean.content_hash:
        raise DataError(
            f"{path} was made for data with hash {description['data_hash'][:16]}, "
            f"this set has {clean.content_hash[:16]}; load the set that it was made for"
        )
    noise: NoisePattern = TypeAdapter(NoisePattern).validate_python(description["noise"])
    alpha = float(description["alpha"])
    matrix = noise.matrix(clean.num_classes, alpha) if alpha else np.eye(clean.num_classes)
    first, rest = (_part(columns, number) for number in (0, 1))
    own = clean.labels[first["image"][first["slot"] == 0]]
    if not len(rest["image"]):
        blocks: tuple[Block, ...] = (_block(first, clean, label_laws(alpha, matrix), own),)
    elif images is None:
        raise DataError(f"{path} has noisy examples on images from elsewhere; give their source")
    else:
        nowhere = np.zeros(int((rest["slot"] == 0).sum()), dtype=np.int64)
        blocks = (
            _block(first, clean, np.eye(clean.num_classes), own),
            _block(rest, images, pool_law(own, matrix), nowhere),
        )
    noisy = NoisySet(
        clean, description["kind"], alpha, noise, description["seed"], blocks, is_redrawable=False
    )
    if noisy.content_hash() != description["content_hash"]:
        raise DataError(
            f"{path} is damaged: its labels do not match its content hash; get the file again"
        )
    return noisy


def _part(columns: dict[str, NDArray[Any]], number: int) -> dict[str, NDArray[Any]]:
    here = columns["part"] == number
    return {name: values[here] for name, values in columns.items()}


def _block(
    columns: dict[str, NDArray[Any]],
    source: ImageSource,
    laws: NDArray[np.float64],
    law_of: NDArray[np.int64],
) -> Block:
    """Return the block whose examples are `columns`, in the order of `Block.visit`."""
    first = columns["slot"] == 0
    rows = columns["image"][first].astype(np.int64)
    full, rest = divmod(len(first), len(rows))
    flat = columns["label"].astype(label_dtype(laws.shape[1]))
    table = np.zeros((len(rows), full + (rest > 0)), dtype=flat.dtype)
    table[:, :full] = flat[: full * len(rows)].reshape(full, len(rows)).T
    order = np.argsort(rows, kind="stable")
    extra = order[np.searchsorted(rows, columns["image"][full * len(rows) :], sorter=order)]
    table[extra, full:] = flat[full * len(rows) :, None]
    return Block(source, rows, table, extra.astype(np.int64), columns["own"][first], laws, law_of)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        description = json.loads(table.schema.metadata[b"dilute"])
        if description["format"] != _FORMAT:
            raise DataError(
                f"{path} has format {description['format']}; this version reads {_FORMAT}"
            )
        return description, {name: table[name].to_numpy() for name in _COLUMNS}
    except FileNotFoundError:
        raise DataError(f"label file {path} does not exist") from None
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise DataError(f"label file {path} cannot be read: {error}".splitlines()[0]) from None
