"""A noise realisation as a Parquet file, so that two people train on the very same wrong labels."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from dilute.data.labelled import LabelledSet
from dilute.data.white_noise import WhiteNoise
from dilute.dilution.blocks import Block, ImageSource, label_dtype
from dilute.dilution.diluted import pool_law
from dilute.dilution.noisy_set import NoisySet
from dilute.errors import DataError, NoiseError
from dilute.files import as_path, local_copy, write_file
from dilute.noise import NoisePattern, alpha_from_rate, checked_matrix, label_laws

_FORMAT = 1
_ROWS_AT_ONCE = 2**20
_COLUMNS = ("part", "image", "slot", "label", "own")


def write_labels(noisy: NoisySet, path: Path | str) -> str:
    """Write which image has which labels to a Parquet file; return the realisation's content hash.

    One row per example, in the order of `example(i)`: `part` (0: clean images, 1: images from
    elsewhere), `image` (index in that source), `slot` (the number of the label among the image's),
    `label`, and `own` (whether the label is the image's own rather than a drawn one; for
    evaluation, not training). The file's metadata hold pattern, `alpha`, seed and hashes.

    Errors: `NoiseError` for labels as given, which are where they were read from; `StoreError` if
        the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if noisy.noise is None:
        raise NoiseError(
            "labels as given have no noise that was drawn; keep the file that they were read from"
        )
    content_hash = noisy.content_hash()
    pool = noisy.blocks[1].source if len(noisy.blocks) > 1 else None
    description = {
        "format": _FORMAT,
        "kind": noisy.kind,
        "amount": noisy.amount,
        "noise": noisy.noise.model_dump(mode="json"),
        "seed": noisy.seed,
        "num_classes": noisy.num_classes,
        "data_hash": noisy.clean.content_hash,
        "clean_part_is_clean": bool((noisy.blocks[0].laws == np.eye(noisy.num_classes)).all()),
        "pool_hash": pool.content_hash if pool else None,
        "white_noise": [pool.seed, len(pool)] if isinstance(pool, WhiteNoise) else None,
        "content_hash": content_hash,
    }
    description["seal"] = _seal(description)
    label = pa.uint8() if noisy.num_classes <= 256 else pa.uint16()
    types = (pa.uint8(), pa.int64(), pa.uint32(), label, pa.bool_())
    schema = pa.schema(zip(_COLUMNS, types, strict=True), {"dilute": json.dumps(description)})

    def write(file: BinaryIO) -> None:
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for part, block in enumerate(noisy.blocks):
                for start in range(0, block.num_examples, _ROWS_AT_ONCE):
                    columns = _columns(part, block, start)
                    writer.write_table(pa.table(dict(zip(_COLUMNS, columns, strict=True)), schema))

    write_file(as_path(path), write)
    return content_hash


def _columns(part: int, block: Block, start: int) -> tuple[NDArray[Any], ...]:
    """Return the columns of examples `start …` of a block, at most `_ROWS_AT_ONCE` of them."""
    examples = np.arange(start, min(start + _ROWS_AT_ONCE, block.num_examples))
    images, slots, _ = block.visit(examples, 1)
    return (
        np.full(len(images), part, dtype=np.uint8),
        block.rows[images],
        slots.astype(np.uint32),
        block.labels[images, slots],
        block.is_own[images] & (slots == 0),
    )


def read_labels(
    path: Path | str, clean: LabelledSet, *, images: ImageSource | None = None
) -> NoisySet:
    """Return the noisy set that `write_labels` wrote to `path`.

    Arguments:
        clean: the set that it was made from; its content must be the same.
        images: the source of the noisy examples' images, if they came from another data set.

    Errors: `DataError` if the file is missing, damaged, or made for other data.
    """
    try:
        with local_copy(as_path(path)) as here:
            return _read(here, clean, images)
    except FileNotFoundError:
        raise DataError(f"label file {path} does not exist") from None
    except (OSError, LookupError, TypeError, ValueError, NoiseError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"label file {path} cannot be read: {reason}; get it again") from None


def _read(path: Path, clean: LabelledSet, images: ImageSource | None) -> NoisySet:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    metadata = table.schema.metadata or {}
    if b"dilute" not in metadata:
        raise ValueError("it was not written by dilute labels")
    description = json.loads(metadata[b"dilute"])
    if description["format"] != _FORMAT:
        raise ValueError(f"it has format {description['format']}, and this version reads {_FORMAT}")
    if description.pop("seal") != _seal(description):
        raise ValueError("its description was changed")
    if description["data_hash"] != clean.content_hash:
        raise DataError(
            f"{path} was made for data with hash {description['data_hash'][:16]}, "
            f"this set has {clean.content_hash[:16]}; load the set that it was made for"
        )
    columns = {name: table[name].to_numpy() for name in _COLUMNS}
    noise: NoisePattern = TypeAdapter(NoisePattern).validate_python(description["noise"])
    kind, amount = description["kind"], description["amount"]
    alpha = amount if kind == "dilution" else alpha_from_rate(amount)
    matrix = checked_matrix(noise, clean.num_classes, alpha)
    first, rest = (_part(columns, number) for number in (0, 1))
    own = clean.labels[first["image"][first["slot"] == 0]]
    is_clean = description["clean_part_is_clean"]
    laws = np.eye(clean.num_classes) if is_clean else label_laws(alpha, matrix)
    blocks: tuple[Block, ...] = (_block(first, clean, laws, own),)
    if description["pool_hash"] is not None:
        pool = _pool(path, description, clean, images)
        nowhere = np.zeros(int((rest["slot"] == 0).sum()), dtype=np.int64)
        blocks += (_block(rest, pool, pool_law(own, matrix), nowhere),)
    noisy = NoisySet(clean, kind, amount, noise, description["seed"], blocks, is_redrawable=False)
    if noisy.content_hash() != description["content_hash"]:
        raise ValueError("its labels do not match its content hash")
    return noisy


def _pool(
    path: Path, description: dict[str, Any], clean: LabelledSet, images: ImageSource | None
) -> ImageSource:
    """Return the source of the noisy examples' images; only white noise is made again."""
    if description["white_noise"] is not None:
        seed, size = description["white_noise"]
        images = WhiteNoise(clean, seed, size)
    if images is None or images.content_hash != description["pool_hash"]:
        given = (
            "none was given" if images is None else f"the one given has {images.content_hash[:16]}"
        )
        raise DataError(
            f"{path} has noisy examples on images of a source with hash "
            f"{description['pool_hash'][:16]}, but {given}; give that source"
        )
    return images


def _seal(description: dict[str, Any]) -> str:
    """Return a hash of the description, so that a change to it is noticed."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()


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
    more = (extra.astype(np.int64),) if rest else ()
    return Block(source, rows, table, more, columns["own"][first], laws, law_of)
