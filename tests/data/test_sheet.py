from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dilute import data
from dilute.errors import DataError, StoreError


def image_set(num_classes: int = 3, count: int = 30, channels: int = 3) -> data.LabelledSet:
    images = np.random.default_rng(0).integers(0, 256, (count, channels, 8, 8), np.uint8)
    names = tuple(f"class {label}$_{{猫" for label in range(num_classes))
    return data.LabelledSet(images, np.arange(count) % num_classes, names)


def test_describe_is_json_and_right() -> None:
    train, test = image_set(), image_set(count=10)
    about = data.describe(data.Splits("set", train, test, "here"))
    assert json.loads(json.dumps(about)) == about
    assert about["num_classes"] == 3
    assert about["input_shape"] == [3, 8, 8]
    assert about["train"]["class_counts"] == [10, 10, 10]
    assert about["test"]["smallest_class"] == 3
    assert about["train"]["mean"] == pytest.approx(train.inputs.mean(axis=(0, 2, 3)))
    assert about["train"]["standard_deviation"] == pytest.approx(train.inputs.std(axis=(0, 2, 3)))
    assert about["train"]["content_hash"] == train.content_hash


def test_describe_features_without_a_test_set() -> None:
    inputs = np.arange(12, dtype=np.float32).reshape(4, 3)
    train = data.LabelledSet(inputs, np.array([0, 1, 0, 1]), ("a", "b"))
    about = data.describe(data.Splits("set", train, None, "here"))
    assert about["test"] is None
    assert about["dtype"] == "float32"
    assert about["train"]["mean"] == [5.5]
    with pytest.raises(DataError, match="a contact sheet needs images"):
        data.contact_sheet(train, Path("nowhere.png"))


@pytest.mark.parametrize(("num_classes", "channels"), [(3, 1), (30, 3)])
def test_contact_sheet(tmp_path: Path, num_classes: int, channels: int) -> None:
    path = tmp_path / "new" / "sheet.png"
    data.contact_sheet(image_set(num_classes, 60, channels), str(path), images_per_class=4)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert np.asarray(image).std() > 20
    assert [found.name for found in path.parent.iterdir()] == ["sheet.png"]


def test_contact_sheet_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot write"):
        data.contact_sheet(image_set(), tmp_path / "file" / "sheet.png")
