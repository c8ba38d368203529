"""An estimate read back from its folder, for what is trained on the same labels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dilute.data import LabelledSet
from dilute.errors import EstimateError, NoiseError, one_line
from dilute.estimation.noise_estimate import Array, Source
from dilute.estimation.writing import FILES, FORMAT
from dilute.laws import Predicted
from dilute.noise import Matrix, in_order_of, read_matrix


@dataclass(frozen=True, eq=False)
class StoredEstimate:
    """What an estimate in a folder says of labels, in the order of the classes of some data.

    Attributes:
        source, wrong_rate, is_doubtful: as of `NoiseEstimate`.
        law: float64 `[K, K]`, by true class the distribution of a given label.
        annotator_laws: float64 `[A, K, K]`, in the order of the data's annotators; None where it
            has none.
        folder: where it is.
    """

    source: Source
    wrong_rate: Predicted
    is_doubtful: bool
    law: Matrix
    annotator_laws: Array | None
    folder: Path

    def cleaned(self, labelled: LabelledSet) -> LabelledSet:
        """Return the rows to keep, with their labels as fixed.

        Errors: `EstimateError` if the estimate says nothing of single rows, or not what it should.
        """
        file = self.folder / FILES["cleaned"]
        if not file.exists():
            raise EstimateError(
                f"{self.folder} has no {FILES['cleaned']}, since items were not looked at one by "
                "one; estimate again without --no-rows"
            )
        table = _table(file, len(labelled))
        places = {name: number for number, name in enumerate(labelled.class_names)}
        rows = np.flatnonzero(table["action"] != "drop")
        if not set(table["action"]) <= {"keep", "fix", "drop"}:
            raise EstimateError(f"{file} has actions other than keep, fix and drop; correct it")
        names = table["label"].iloc[rows]
        unknown = sorted(set(names) - places.keys())
        if unknown:
            raise EstimateError(f"{file} has labels that are no classes: {', '.join(unknown[:5])}")
        labels = names.map(places).to_numpy(dtype=np.int64)
        missing = np.setdiff1d(np.arange(len(places)), labels)
        if len(missing):
            lost = ", ".join(labelled.class_names[k] for k in missing[:5])
            raise EstimateError(
                f"{file} keeps no row of {len(missing)} classes ({lost}); keep some of each"
            )
        part = labelled.take(rows)
        return LabelledSet(
            part.inputs,
            labels,
            labelled.class_names,
            name=f"{labelled.name}:cleaned" if labelled.name else "",
            row_names=part.row_names,
        )


def read_estimate(folder: Path | str, labelled: LabelledSet) -> StoredEstimate:
    """Return what the estimate in a folder says of the labels of `labelled`.

    Errors: `EstimateError` for a folder that has no estimate, one that cannot be read, or one of
        other labels.
    """
    place = Path(folder).expanduser()
    file = place / FILES["numbers"]
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        if values.get("format", FORMAT) > FORMAT:
            raise EstimateError(f"{file} is of a newer version of dilute; update dilute")
        hashes = values["labels_hash"]
        matrix = read_matrix(place / FILES["law"])
        law = in_order_of(matrix.rows, matrix.class_names, labelled.class_names)
        wrong = Predicted(**values["wrong_rate"])
        source, is_doubtful = values["source"], bool(values["is_doubtful"])
    except FileNotFoundError:
        raise EstimateError(
            f"{place} has no {FILES['numbers']}; give the folder that dilute estimate --out wrote"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EstimateError(f"{file} cannot be read ({one_line(error)}); estimate again") from None
    except NoiseError as error:
        raise EstimateError(f"{place}: {error}") from None
    if hashes and hashes != labelled.labels_hash:
        raise EstimateError(
            f"{place} is an estimate of other labels than these; estimate these, or give the data "
            "that it was made from"
        )
    laws = _annotator_laws(place, labelled)
    return StoredEstimate(source, wrong, is_doubtful, law, laws, place)


def _annotator_laws(place: Path, labelled: LabelledSet) -> Array | None:
    """Return the laws of the data's annotators; None if either has none."""
    file, annotations = place / FILES["annotator_laws"], labelled.annotations
    if annotations is None or not file.exists():
        return None
    try:
        with np.load(file, allow_pickle=False) as found:
            names, classes = found["annotators"].tolist(), found["class_names"].tolist()
            laws: NDArray[np.float64] = found["laws"]
    except (OSError, ValueError, KeyError) as error:
        raise EstimateError(f"{file} cannot be read ({one_line(error)}); estimate again") from None
    unknown = sorted(set(annotations.names) - set(names))
    if unknown:
        raise EstimateError(
            f"{file} has no law of {len(unknown)} annotators: {', '.join(unknown[:5])}; estimate "
            "these labels"
        )
    chosen = [
        in_order_of(laws[names.index(name)], classes, labelled.class_names)
        for name in annotations.names
    ]
    return np.stack(chosen)


def _table(file: Path, num_rows: int) -> Any:
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
        rows = table["row"].astype(int).to_numpy()
        table = table[["action", "label"]]
    except (OSError, ValueError, KeyError) as error:
        raise EstimateError(f"{file} cannot be read ({one_line(error)}); estimate again") from None
    if len(rows) != num_rows or (rows != np.arange(num_rows)).any():
        raise EstimateError(
            f"{file} has {len(rows)} rows, and the data {num_rows}; it must have each row once, in "
            "order"
        )
    return table
