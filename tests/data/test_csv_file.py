"""CSV files as programs and people write them: `csv:FILE`, and tables of labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dilute
from dilute.data import LabelledSet, join_labels
from dilute.errors import DataError


def write(path: Path, labels: list[str], *, between: str = ",", encoding: str = "utf-8") -> Path:
    lines = [between.join(("a", "b", "label"))]
    lines += [between.join((f"{k}.5", str(k), label)) for k, label in enumerate(labels)]
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        (["1", "01"], ("01", "1")),
        (["true", "false"], ("false", "true")),
        (["0", "10", "9"], ("0", "9", "10")),
        (["0.0", "1.0"], ("0", "1")),
    ],
)
def test_labels_are_what_is_written(tmp_path: Path, cells: list[str], names: tuple[str, ...]):
    file = write(tmp_path / "t.csv", cells * 10)
    assert dilute.load(f"csv:{file}").train.class_names == names


@pytest.mark.parametrize("between", [";", "\t"])
def test_what_stands_between_cells(tmp_path: Path, between: str):
    labels = ["cat", "dog"] * 10
    found = dilute.load(f"csv:{write(tmp_path / 't.csv', labels, between=between)}").whole()
    assert found.inputs[:, 0].tolist() == [k + 0.5 for k in range(20)]
    table = tmp_path / "labels.csv"
    table.write_text(
        "".join(
            f"{cell}\n"
            for cell in [f"row{between}label", *(f"{k}{between}{k % 2}" for k in range(20))]
        )
    )
    assert join_labels(found, table).labels.tolist() == [0, 1] * 10


def test_text_that_is_not_utf_8(tmp_path: Path):
    file = write(tmp_path / "t.csv", ["Löwe", "Bär"] * 10, encoding="latin-1")
    with pytest.raises(DataError, match=r"is not text in UTF-8 \(byte 0xf6\); save it as"):
        dilute.load(f"csv:{file}")
    labelled = LabelledSet(np.zeros((20, 2), dtype=np.float32), np.arange(20) % 2)
    with pytest.raises(DataError, match="is not text in UTF-8"):
        join_labels(labelled, file)
    marked = write(tmp_path / "u.csv", ["Löwe", "Bär"] * 10, encoding="utf-8-sig")
    assert dilute.load(f"csv:{marked}").train.class_names == ("Bär", "Löwe")


def test_cells_that_are_no_numbers(tmp_path: Path):
    file = write(tmp_path / "t.csv", ["cat", "dog"] * 10)
    text = file.read_text()
    file.write_text(text.replace("\n7.5,", "\nseven,"))
    with pytest.raises(DataError, match=r"columns a are neither .*a holds 'seven' in row 7"):
        dilute.load(f"csv:{file}")
    file.write_text(text.replace("\n7.5,", "\n1e39,"))
    with pytest.raises(DataError, match="beyond 3e38, first row 7, column a"):
        dilute.load(f"csv:{file}")
