"""An estimate written to files: for programs, for people, and for other commands."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dilute.data import LabelledSet
from dilute.estimation.matrix_picture import draw_estimate
from dilute.estimation.noise_estimate import NoiseEstimate
from dilute.files import as_path, make_folder, write_file

PROBABLY = 0.5
"""Rows whose label is wrong with a higher probability than this are written to the file of rows."""


def document(found: NoiseEstimate) -> dict[str, Any]:
    """Return an estimate as values that JSON can hold; of the rows only how many are wrong."""
    alpha, matrix = found.noise()
    values: dict[str, Any] = {
        "source": found.source,
        "is_doubtful": found.is_doubtful,
        "warnings": list(found.warnings),
        "class_names": list(found.class_names),
        "num_items": found.num_items,
        "num_labels": found.num_labels,
        "num_evidence": found.num_evidence,
    }
    for name in ("wrong_rate", "alpha", "worth"):
        predicted = getattr(found, name)
        values[name] = {key: v for key, v in asdict(predicted).items() if key != "beyond"}
    for name in ("laws", "low", "high", "class_shares"):
        values[name] = getattr(found, name).round(6).tolist()
    values["noise"] = {"alpha": alpha, "matrix": matrix.round(6).tolist()}
    if found.rows is not None:
        values["probably_wrong"] = int((found.rows.wrong > PROBABLY).sum())
    return values


def write_estimate(
    found: NoiseEstimate, folder: Path | str, names: Sequence[str] | None = None
) -> dict[str, str]:
    """Write an estimate into `folder`, and return the paths of the files by what they hold.

    `numbers` is `estimate.json`; `noise` is `noise.json`, the matrix of noisy labels for
    `--confusion`; `picture` is `matrix.png`; `rows` is `rows.csv`, the rows that are probably
    wrong, the surest first.

    Arguments:
        names: names of the items, written beside their row.

    Errors: `StoreError` if a file cannot be written.
    """
    folder = make_folder(as_path(folder))
    files = {
        "numbers": folder / "estimate.json",
        "noise": folder / "noise.json",
        "picture": folder / "matrix.png",
    }
    text = json.dumps(document(found), indent=1, ensure_ascii=False) + "\n"
    write_file(files["numbers"], text.encode())
    _, matrix = found.noise()
    write_file(files["noise"], (json.dumps(matrix.tolist()) + "\n").encode())
    draw_estimate(found, files["picture"])
    if found.rows is not None:
        files["rows"] = folder / "rows.csv"
        write_file(files["rows"], _rows(found, names).encode())
    return {name: str(path) for name, path in files.items()}


def write_trusted(
    labelled: LabelledSet, rows: NDArray[np.int64], truth: NDArray[np.int64], path: Path | str
) -> None:
    """Write the trusted items as a data set of their own, which `npz:` reads.

    Arguments:
        rows, truth: int64 `[M]`, which items, and their true labels.
        path: the `.npz` file to write.

    Errors: `StoreError` if it cannot be written.
    """
    inputs = labelled.gather(rows)
    if labelled.is_images:
        inputs = inputs.transpose(0, 2, 3, 1)
        inputs = inputs[..., 0] if inputs.shape[-1] == 1 else inputs
    labels = np.array(labelled.class_names)[truth]
    write_file(path, lambda file: np.savez_compressed(file, x=inputs, y=labels))


def _rows(found: NoiseEstimate, names: Sequence[str] | None) -> str:
    """Return the table of rows that are probably wrong."""
    assert found.rows is not None
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["row", *(["name"] if names else []), "given", "suggested", "probability_wrong"]
    )
    order = np.argsort(-found.rows.wrong, kind="stable")
    for row in order[found.rows.wrong[order] > PROBABLY]:
        given, suggested = found.rows.given[row], found.rows.suggested[row]
        cells = [row, *([names[row]] if names else [])]
        cells += [found.class_names[given], found.class_names[suggested]]
        writer.writerow([*cells, f"{found.rows.wrong[row]:.4f}"])
    return text.getvalue()
