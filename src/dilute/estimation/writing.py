"""An estimate written to files: for programs, for people, and for other commands."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dilute.data import LabelledSet
from dilute.estimation.cleaning import PROBABLY, cleaned
from dilute.estimation.matrix_picture import draw_estimate
from dilute.estimation.noise_estimate import DoubtfulRows, NoiseEstimate
from dilute.files import as_path, make_folder, remove_file, write_file
from dilute.noise import write_law

FORMAT = 1
FILES = {
    "numbers": "estimate.json",
    "law": "law.csv",
    "noise": "noise.json",
    "cleaned": "cleaned.csv",
    "annotators": "annotators.csv",
    "annotator_laws": "annotators.npz",
    "picture": "matrix.png",
}
"""Names of an estimate's files by what they hold."""


def document(found: NoiseEstimate) -> dict[str, Any]:
    """Return an estimate as values that JSON can hold; of the rows only how many are what."""
    values: dict[str, Any] = {
        "format": FORMAT,
        "source": found.source,
        "is_doubtful": found.is_doubtful,
        "warnings": list(found.warnings),
        "class_names": list(found.class_names),
        "num_items": found.num_items,
        "num_labels": found.num_labels,
        "num_evidence": found.num_evidence,
        "labels_hash": found.labels_hash,
    }
    for name in ("wrong_rate", "alpha", "worth"):
        predicted = getattr(found, name)
        values[name] = {key: v for key, v in asdict(predicted).items() if key != "beyond"}
    for name in ("laws", "low", "high", "class_shares"):
        values[name] = getattr(found, name).round(6).tolist()
    if found.annotators:
        values["annotators"] = [asdict(one) for one in found.annotators]
    if found.rows is not None:
        values["probably_wrong"] = int((found.rows.wrong > PROBABLY).sum())
        action = cleaned(found.rows).action.tolist()
        values["rows"] = {name: action.count(name) for name in ("keep", "fix", "drop")}
    return values


def write_estimate(
    found: NoiseEstimate, folder: Path | str, names: Sequence[str] | None = None
) -> dict[str, str]:
    """Write an estimate into `folder`, and return the paths of the files by what they hold.

    `numbers` is `estimate.json`; `law` is `law.csv`, by true class the distribution of a given
    label; `noise` is `noise.json`, the same as noise that is added to right labels; `cleaned` is
    `cleaned.csv`, what to do with each row; `annotators` is `annotators.csv`, and their laws are
    beside it; `picture` is `matrix.png`, drawn last. What an earlier estimate left there goes.

    Arguments:
        names: names of the items, written beside their row.

    Errors: `StoreError` if a file cannot be written.
    """
    folder = make_folder(as_path(folder))
    for name in FILES.values():
        remove_file(folder / name)
    contents: dict[str, bytes] = {
        "law": write_law(found.laws, found.class_names),
        "noise": _json(
            {
                "kind": "added noise",
                "alpha": found.alpha.value,
                "class_names": list(found.class_names),
                "matrix": found.noise().round(6).tolist(),
            }
        ),
    }
    if found.rows is not None:
        contents["cleaned"] = _cleaned(found, found.rows, names)
    if found.annotators and found.annotator_laws is not None:
        contents["annotators"] = _annotators(found)
        buffer = io.BytesIO()
        annotators = np.array([one.name for one in found.annotators])
        classes = np.array(found.class_names)
        laws = found.annotator_laws
        np.savez_compressed(buffer, annotators=annotators, class_names=classes, laws=laws)
        contents["annotator_laws"] = buffer.getvalue()
    contents["numbers"] = _json(document(found))
    for name, content in contents.items():
        write_file(folder / FILES[name], content)
    draw_estimate(found, folder / FILES["picture"])
    return {name: str(folder / FILES[name]) for name in (*contents, "picture")}


def _json(values: Any) -> bytes:
    return (json.dumps(values, indent=1, ensure_ascii=False) + "\n").encode()


def _table(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _cleaned(found: NoiseEstimate, rows: DoubtfulRows, names: Sequence[str] | None) -> bytes:
    """Return the table of what to do with each row."""
    plan = cleaned(rows)
    classes = np.array(found.class_names)
    columns: dict[str, Any] = {"row": range(len(rows.given))}
    if names is not None:
        columns["name"] = names
    columns["given"] = classes[rows.given]
    columns["action"] = plan.action
    columns["label"] = np.where(plan.action == "drop", "", classes[plan.label])
    columns["probability"] = [f"{share:.4f}" for share in plan.probability]
    columns["likeliest"] = classes[rows.suggested]
    columns["probability_wrong"] = [f"{share:.4f}" for share in rows.wrong]
    if rows.agreement is not None:
        columns["agreement"] = [f"{share:.4f}" for share in rows.agreement]
    return _table([list(columns), *zip(*columns.values(), strict=True)])


def _annotators(found: NoiseEstimate) -> bytes:
    rows: list[list[Any]] = [["annotator", "labels", "agreement", "quality", "note"]]
    for one in found.annotators:
        agreement = "" if one.agreement is None else f"{one.agreement:.4f}"
        note = "few labels: counts as the others do" if one.has_few else ""
        rows.append([one.name, one.num_labels, agreement, f"{one.quality:.4f}", note])
    return _table(rows)


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
