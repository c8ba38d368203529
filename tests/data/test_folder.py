from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_files import encoded, picture, write_folder

from dilute import data
from dilute.data import Reading
from dilute.errors import DataError


def load(folder: Path, resize: int | None = None) -> data.Splits:
    return data.load(f"folder:{folder}", Reading(resize=resize))


def test_one_part_is_split_with_every_class_alike(tmp_path: Path) -> None:
    splits = load(write_folder(tmp_path, ["cat", "ant", "dog"], 10))
    assert splits.train.class_names == ("ant", "cat", "dog")
    assert splits.test is not None
    assert np.bincount(splits.train.labels).tolist() == [8, 8, 8]
    assert np.bincount(splits.test.labels).tolist() == [2, 2, 2]
    assert splits.name.startswith("folder@")
    assert splits.origin == str(tmp_path)


def test_pixels_are_those_of_the_files(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", count=3)
    splits = load(tmp_path)
    assert splits.train.input_shape == (3, 8, 8)
    expected = np.asarray(picture(102)).transpose(2, 0, 1)
    parts = [part for part in (splits.train, splits.test) if part is not None]
    dogs = np.concatenate([part.inputs[part.labels == 1] for part in parts])
    assert (dogs == expected).all(axis=(1, 2, 3)).sum() == 1


@pytest.mark.parametrize("test_name", ["test", "val"])
def test_two_parts(tmp_path: Path, test_name: str) -> None:
    write_folder(tmp_path / "train", ["ant", "cat", "dog"], 4)
    write_folder(tmp_path / test_name, ["dog", "cat"], 2)
    splits = load(tmp_path)
    assert splits.test is not None
    assert len(splits.train) == 12
    assert splits.test.labels.tolist() == [1, 1, 2, 2]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    write_folder(tmp_path, ["boat", "train"])
    assert load(tmp_path).train.class_names == ("boat", "train")


def test_tiny_classes_leave_no_test_set(tmp_path: Path) -> None:
    splits = load(write_folder(tmp_path, count=1))
    assert splits.test is None
    assert len(splits.train) == 2


def test_grey_stays_grey_unless_any_has_colour(tmp_path: Path) -> None:
    write_folder(tmp_path, mode="L")
    assert load(tmp_path).train.input_shape == (1, 8, 8)
    picture(7).save(tmp_path / "dog" / "colour.png")
    train = load(tmp_path).train
    assert train.input_shape == (3, 8, 8)
    assert (train.inputs[train.labels == 0].std(axis=1) == 0).all()


def test_grey_training_and_coloured_test(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", mode="L")
    write_folder(tmp_path / "test", mode="RGB")
    assert load(tmp_path).train.input_shape == (3, 8, 8)


def test_every_mode_and_format(tmp_path: Path) -> None:
    write_folder(tmp_path, count=1)
    folder = tmp_path / "cat"
    picture(1).convert("1").save(folder / "bilevel.png")
    picture(2).quantize(16).save(folder / "palette.gif")
    palette = picture(2).quantize(16)
    palette.save(folder / "transparent.png", transparency=b"\x00\x80" * 8)
    picture(3, mode="RGBA").save(folder / "alpha.webp")
    picture(4, mode="LA").save(folder / "grey-alpha.png")
    picture(5).convert("CMYK").save(folder / "cmyk.JPEG")
    picture(6).save(folder / "upper.PNG")
    deep = np.full((8, 8), 200 * 256 + 7, np.uint16)
    Image.fromarray(deep).save(folder / "deep.png")
    # In order of name: "0", alpha, bilevel, cmyk, deep, grey-alpha, palette, transparent, upper.
    splits = load(tmp_path)
    parts = [splits.train, splits.test]
    images = np.concatenate([part.inputs for part in parts if part is not None])
    assert images.shape == (10, 3, 8, 8)
    assert (images == 200).all(axis=(1, 2, 3)).any()
    float_image = tmp_path / "cat" / "float.tiff"
    Image.fromarray(np.zeros((8, 8), np.float32)).save(float_image)
    with pytest.raises(DataError, match=r"float.tiff: pixels of mode F"):
        load(tmp_path)


def test_clutter_is_ignored_and_other_files_are_named(tmp_path: Path) -> None:
    write_folder(tmp_path)
    for name in (".DS_Store", "cat/.hidden.png", "cat/Thumbs.db", "README.md", "dog/labels.csv"):
        (tmp_path / name).write_bytes(b"no image")
    (tmp_path / ".git").mkdir()
    assert load(tmp_path).train.class_names == ("cat", "dog")
    (tmp_path / "cat" / "film.mp4").write_bytes(b"")
    with pytest.raises(DataError, match=r"film.mp4 is no image"):
        load(tmp_path)
    (tmp_path / "cat" / "film.mp4").unlink()
    picture().save(tmp_path / "stray.png")
    with pytest.raises(DataError, match=r"stray.png lies beside the class folders"):
        load(tmp_path)


def test_mixed_sizes_need_a_resize(tmp_path: Path) -> None:
    write_folder(tmp_path)
    picture(1, (20, 10)).save(tmp_path / "dog" / "wide.png")
    with pytest.raises(
        DataError, match=r"different sizes: .*0.png is 8×8, .*wide.png is 20×10"
    ) as caught:
        load(tmp_path)
    assert "resize" in str(caught.value)
    splits = load(tmp_path, resize=6)
    assert splits.train.input_shape == (3, 6, 6)
    assert load(tmp_path, resize=7).train.input_shape == (3, 7, 7)


def test_resize_keeps_the_centre(tmp_path: Path) -> None:
    stripes = np.zeros((10, 30, 3), np.uint8)
    stripes[:, 10:20] = 255
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(stripes).save(tmp_path / name / "0.png")
    assert load(tmp_path, resize=10).train.inputs.min() == 255


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n",
        encoded(picture())[:-30],
        b"\x89PNG\r\n\x1a\n" + bytes(30),
    ],
)
def test_an_image_that_does_not_decode_is_named(tmp_path: Path, content: bytes) -> None:
    write_folder(tmp_path)
    (tmp_path / "dog" / "broken.png").write_bytes(content)
    with pytest.raises(DataError, match=r"broken.png") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_decompression_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path)
    picture(1, (40, 40)).save(tmp_path / "dog" / "bomb.png")
    for largest in (1000, 100):  # Pillow warns beyond this, and raises beyond twice as much
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", largest)
        with pytest.raises(DataError, match=r"bomb.png: the picture is too large"):
            load(tmp_path)


def test_folders_that_hold_no_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no class folders"):
        load(tmp_path)
    with pytest.raises(DataError, match=r"cannot read the folder .*nowhere: No such file"):
        load(tmp_path / "nowhere")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="cannot read the folder"):
        load(tmp_path / "file")


def test_an_unreadable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path)
    really_scan = os.scandir

    def scan(path: Path):
        if Path(path).name == "dog":
            raise PermissionError(13, "Permission denied", str(path))
        return really_scan(path)

    monkeypatch.setattr(os, "scandir", scan)
    with pytest.raises(DataError, match=r"cannot read the folder .*dog: Permission denied"):
        load(tmp_path)


def test_classes_that_cannot_be(tmp_path: Path) -> None:
    write_folder(tmp_path / "one", ["cat"])
    with pytest.raises(DataError, match="at least two"):
        load(tmp_path / "one")
    write_folder(tmp_path / "empty")
    (tmp_path / "empty" / "fox").mkdir()
    with pytest.raises(DataError, match="fox holds no images"):
        load(tmp_path / "empty")
    write_folder(tmp_path / "unseen" / "train")
    write_folder(tmp_path / "unseen" / "test", ["cat", "fox"])
    with pytest.raises(DataError, match="classes that training lacks: fox"):
        load(tmp_path / "unseen")
