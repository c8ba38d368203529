from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet as writer
from small_files import encoded, picture

from dilute import data
from dilute.data import Reading
from dilute.errors import DataError


def rows(count: int = 10, start: int = 0, **picture_options: Any) -> list[dict[str, Any]]:
    images = (encoded(picture(start + index, **picture_options)) for index in range(count))
    return [{"bytes": image, "path": None} for image in images]


def metadata(names: list[str] | None, column: str = "label") -> dict[bytes, bytes]:
    feature = {"_type": "ClassLabel", "names": names}
    return {b"huggingface": json.dumps({"info": {"features": {column: feature}}}).encode()}


def write(path: Path, columns: dict[str, Any], names: list[str] | None = None) -> Path:
    table = pa.table(columns)
    if names is not None:
        table = table.replace_schema_metadata(metadata(names))
    path.parent.mkdir(parents=True, exist_ok=True)
    writer.write_table(table, path, row_group_size=4)
    return path


def test_hub_schema_with_class_names(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"img": rows(), "label": [0, 1] * 5}, ["cat", "dog"])
    splits = data.load(f"parquet:{path}")
    assert splits.train.class_names == ("cat", "dog")
    assert splits.test is not None
    assert (len(splits.train), len(splits.test)) == (8, 2)
    expected = np.asarray(picture(0)).transpose(2, 0, 1)
    assert any(
        (part.inputs == expected).all(axis=(1, 2, 3)).any() for part in (splits.train, splits.test)
    )
    assert splits.name.startswith("parquet@")


@pytest.mark.parametrize(
    "labels",
    [
        pa.array(["dog", "cat"] * 5),
        pa.array(["dog", "cat"] * 5).dictionary_encode(),
        pa.array([9, 4] * 5, pa.int16()),
        pa.array([True, False] * 5),
    ],
)
def test_other_label_types_and_raw_bytes(tmp_path: Path, labels: pa.Array) -> None:
    images = [row["bytes"] for row in rows()]
    path = write(tmp_path / "a.parquet", {"image": images, "class": labels, "id": list(range(10))})
    train = data.load(f"parquet:{path}").train
    assert len(train.class_names) == 2
    assert train.class_names in (("cat", "dog"), ("4", "9"), ("0", "1"))


def test_a_folder_of_parts(tmp_path: Path) -> None:
    for number in range(2):
        write(
            tmp_path / "data" / f"train-{number}.parquet",
            {"image": rows(6, 10 * number), "label": [0, 1] * 3},
        )
    write(tmp_path / "data" / "test-0.parquet", {"image": rows(2, 50), "label": [1, 0]})
    splits = data.load(f"parquet:{tmp_path}")
    assert splits.test is not None
    assert (len(splits.train), len(splits.test)) == (12, 2)
    assert splits.test.labels.tolist() == [1, 0]


def test_grey_and_colour_between_parts(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", {"image": rows(mode="L"), "label": [0, 1] * 5})
    write(tmp_path / "test.parquet", {"image": rows(2), "label": [1, 0]})
    assert data.load(f"parquet:{tmp_path}").train.input_shape == (3, 8, 8)


def test_resize(tmp_path: Path) -> None:
    images = rows(9) + rows(1, size=(12, 10))
    path = write(tmp_path / "a.parquet", {"image": images, "label": [0, 1] * 5})
    with pytest.raises(DataError, match=r"row 0 is 8×8, .*row 9 is 12×10; give --resize"):
        data.load(f"parquet:{path}")
    assert data.load(f"parquet:{path}", Reading(resize=5)).train.input_shape == (3, 5, 5)


IMAGES = rows()


@pytest.mark.parametrize(
    ("columns", "names", "message"),
    [
        ({"label": [0, 1] * 5}, None,
         "no column could be the image column; columns are label"),
        ({"image": IMAGES}, None, "no column could be the label column"),
        ({"image": IMAGES, "a": range(10), "b": range(10)}, None, "several columns \\(a, b\\)"),
        ({"image": IMAGES, "img": IMAGES, "label": range(10)}, None,
         "several columns \\(image, img\\)"),
        ({"image": IMAGES, "label": [0, 7] * 5}, ["a", "b"], "labels out of range: 7"),
        ({"image": IMAGES, "label": [0, -1] * 5}, ["a", "b"], "labels out of range: -1"),
        ({"image": IMAGES, "label": [0, 1] * 5}, ["a", "b", "c"],
         "no training example of 1 of 3 classes"),
        ({"image": IMAGES, "label": [0] * 10}, None, "at least two"),
        ({"image": IMAGES, "label": [0, None] * 5}, None, "empty cells in column label"),
        ({"image": [*IMAGES[:9], None], "label": [0, 1] * 5}, None, "row 9 holds no image bytes"),
        ({"image": [*IMAGES[:9], {"bytes": None, "path": "a.png"}], "label": [0, 1] * 5}, None,
         "but a path"),
        ({"image": [*IMAGES[:9], {"bytes": b"x"}], "label": [0, 1] * 5}, None,
         "row 9 does not decode"),
        ({"image": IMAGES[:0], "label": pa.array([], pa.int64())}, None,
         "no column could be the image|no rows"),
    ],
)  # fmt: skip
def test_unfit_columns(tmp_path: Path, columns, names, message: str) -> None:
    columns = {
        name: list(column) if isinstance(column, range) else column
        for name, column in columns.items()
    }
    path = write(tmp_path / "a.parquet", columns, names)
    with pytest.raises(DataError, match=message) as caught:
        data.load(f"parquet:{path}")
    assert "\n" not in str(caught.value)


def test_files_that_are_no_parquet(tmp_path: Path) -> None:
    path = write(tmp_path / "train.parquet", {"image": IMAGES, "label": [0, 1] * 5})
    content = path.read_bytes()
    damaged = bytearray(content)
    damaged[200:1200] = bytes(1000)
    for broken in (b"", b"text" * 10, content[:-9], content[:100], bytes(damaged)):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=r"train.parquet") as caught:
            data.load(f"parquet:{path}")
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="does not exist"):
        data.load(f"parquet:{tmp_path / 'nowhere'}")
    path.rename(tmp_path / "other.parquet")
    with pytest.raises(DataError, match=r"holds other.parquet; there must be train"):
        data.load(f"parquet:{tmp_path}")
