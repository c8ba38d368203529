"""Look at a data set: its numbers, and a sheet of its pictures."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dilute import seeds
from dilute.data.labelled import LabelledSet, Splits
from dilute.errors import DataError
from dilute.files import as_path, write_file


def describe(splits: Splits) -> dict[str, Any]:
    """Return a description of a data set, of plain numbers, text, lists and dictionaries.

    Keys: `name`, `origin`, `num_classes`, `class_names`, `input_shape`, `dtype`, and for `train`
    and `test` (None if there is none) `examples`, `class_counts` (a list in order of the classes),
    `smallest_class`, `largest_class`, `mean` and `standard_deviation` (per channel in pixel values
    0 to 255; over all features for float inputs), and `content_hash`.
    """
    train = splits.train
    return {
        "name": splits.name,
        "origin": splits.origin,
        "num_classes": train.num_classes,
        "class_names": list(train.class_names),
        "input_shape": list(train.input_shape),
        "dtype": str(train.inputs.dtype),
        "train": _describe_part(train),
        "test": None if splits.test is None else _describe_part(splits.test),
    }


def _describe_part(part: LabelledSet) -> dict[str, Any]:
    counts = np.bincount(part.labels, minlength=part.num_classes)
    if part.is_images:
        mean, deviation = part.statistics()
    else:
        assert isinstance(part.inputs, np.ndarray)
        mean = part.inputs.mean(dtype=np.float64, keepdims=True).reshape(-1)
        deviation = part.inputs.std(dtype=np.float64, keepdims=True).reshape(-1)
    return {
        "examples": len(part),
        "class_counts": counts.tolist(),
        "smallest_class": int(counts.min()),
        "largest_class": int(counts.max()),
        "mean": [float(value) for value in mean],
        "standard_deviation": [float(value) for value in deviation],
        "content_hash": part.content_hash,
    }


def contact_sheet(
    labelled: LabelledSet,
    path: Path | str,
    *,
    images_per_class: int = 10,
    most_classes: int = 20,
    seed: int = 0,
) -> None:
    """Write a PNG to `path` with a row of images for each class, its name beside it.

    Arguments:
        labelled: a set of images.
        path: the file to write.
        images_per_class: how many images a row has, 1 or more; chosen by `seed`.
        most_classes: no more rows than this, 1 or more, spread evenly over the classes.
        seed: which images are shown.

    Errors: `DataError` if the inputs are no images, or `path` is no .png; `StoreError` if it cannot
        be written.
    """
    if Path(path).suffix != ".png":
        raise DataError(f"the sheet {path} is no .png; name it so")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not labelled.is_images:
        raise DataError(
            f"inputs are {labelled.inputs.dtype} features; a contact sheet needs images"
        )
    largest = int(np.bincount(labelled.labels).max())
    images_per_class = min(images_per_class, largest)
    shown = _shown_classes(labelled.num_classes, most_classes)
    rows = [_row(labelled, int(label), images_per_class, seed) for label in shown]
    sheet = np.concatenate(rows, axis=0)
    height, width = (side + _gap(side) for side in labelled.input_shape[1:])
    title = f"{len(labelled):,} images {'×'.join(map(str, labelled.input_shape))}"
    if len(shown) < labelled.num_classes:
        title += f", {len(shown)} of {labelled.num_classes:,} classes"
    names = [_short(labelled.class_names[label]) for label in shown]
    # In inches, with about 0.09 for a letter.
    left, top, margin = 0.3 + 0.085 * max(map(len, names)), 0.5, 0.15
    across, down = 0.55 * images_per_class, 0.55 * height / width * len(shown)
    size = (max(left + across, 0.095 * len(title)) + margin, top + down + margin)
    figure = Figure(figsize=size, dpi=150)
    FigureCanvasAgg(figure)
    axes = figure.add_axes(
        (left / size[0], margin / size[1], across / size[0], down / size[1]), frameon=False
    )
    axes.imshow(sheet, interpolation="nearest" if height < 64 else "antialiased", aspect="auto")
    middles = [height * (row + 0.5) - 0.5 for row in range(len(shown))]
    axes.set_yticks(middles, names, fontsize=10, parse_math=False)
    axes.set_xticks([])
    axes.tick_params(length=0)
    figure.text(margin / size[0], 1 - 0.3 / size[1], title, fontsize=11, va="center")
    with warnings.catch_warnings():
        # A class name in a script that the font lacks is shown as boxes; that needs no warning.
        warnings.filterwarnings("ignore", "Glyph")
        write_file(as_path(path), lambda file: figure.savefig(file, format="png"))


def _shown_classes(num_classes: int, most: int) -> NDArray[np.int64]:
    if num_classes <= most:
        return np.arange(num_classes)
    return np.linspace(0, num_classes - 1, most).round().astype(np.int64)


def _row(labelled: LabelledSet, label: int, count: int, seed: int) -> NDArray[np.uint8]:
    """Return a strip of images of one class on white, uint8 `[H + gap, count·(W + gap), 3]`."""
    members = np.flatnonzero(labelled.labels == label)
    words = seeds.raw(seed, "data", "sheet", label, count=len(members))
    chosen = members[np.argsort(words, kind="stable")[:count]]
    _, height, width = labelled.input_shape
    strip = np.full((height + _gap(height), count * (width + _gap(width)), 3), 255, dtype=np.uint8)
    for position, index in enumerate(chosen):
        left = position * (width + _gap(width)) + _gap(width) // 2
        top = _gap(height) // 2
        strip[top : top + height, left : left + width] = labelled.inputs[index].transpose(1, 2, 0)
    return strip


def _gap(side: int) -> int:
    return max(2, 2 * (side // 24))


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"
