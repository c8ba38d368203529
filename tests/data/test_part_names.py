"""Names of parts, the order of classes and links mean the same in every kind of source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pictures import SIDE, write_shard
from pyarrow import parquet as writer
from small_files import encoded, picture, write_folder

from dilute import data
from dilute.data import Reading, Splits
from dilute.data.class_order import in_class_order
from dilute.data.part_names import find_parts, part_of_file, part_of_key
from dilute.errors import DataError

PAIRS = [("train", "test"), ("Training", "Testing"), ("TRAIN", "Eval"), ("Train", "dev")]
NUMBERS = [str(number) for number in range(12)]


def read(kind: str, place: Path, train: str, test: str) -> Splits:
    """Write four training and two test examples under these names, and read them."""
    if kind == "folder":
        write_folder(place / train, count=2)
        write_folder(place / test, count=1)
    elif kind == "npz":
        inputs, labels = np.zeros((4, 3)), np.array([0, 1, 0, 1])
        arrays = {f"x_{train}": inputs, f"{train}_labels": labels}
        arrays |= {f"x_{test}": inputs[:2], f"y_{test}": labels[:2], f"y_{train}": labels}
        place = place / "own.npz"
        np.savez(place, **arrays)
    elif kind == "shards":
        write_shard(place / f"{train}-0.tar", range(4), lambda number: number % 2)
        write_shard(place / f"{test}-0.tar", range(2), lambda number: number % 2)
    else:
        for part, count in ((train, 4), (test, 2)):
            images = [encoded(picture(number)) for number in range(count)]
            table = pa.table({"image": images, "label": [n % 2 for n in range(count)]})
            (place / part).mkdir()
            file = {"parquet": f"{part}-0.parquet", "nested": f"{part}/0.parquet"}[kind]
            writer.write_table(table, place / file)
        kind = "parquet"
    return data.load(f"{kind}:{place}", Reading(resize=SIDE if kind == "shards" else None))


@pytest.mark.parametrize("kind", ["folder", "npz", "parquet", "nested", "shards"])
@pytest.mark.parametrize(("train", "test"), PAIRS)
def test_parts_are_found_by_one_list_of_names(tmp_path, kind, train, test) -> None:
    splits = read(kind, tmp_path, train, test)
    assert splits.test is not None
    assert (len(splits.train), len(splits.test), splits.cut_rows) == (4, 2, None)
    assert splits.train.num_classes == 2


def test_what_is_left_unused_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_folder(tmp_path / "validation", count=1)
    write_folder(tmp_path / "spare", count=1)
    read("folder", tmp_path, "Train", "Test")
    assert "not used: spare, validation" in caplog.text
    caplog.clear()
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 3)), y=np.arange(4) % 2, true_labels=np.arange(4))
    data.load(f"npz:{tmp_path / 'a.npz'}")
    assert "a.npz: not used: true_labels" in caplog.text


def test_names_of_parts() -> None:
    assert find_parts(["b", "Dev", "TEST", "Training"]) == ("Training", ["TEST", "Dev"])
    assert find_parts(["cat", "Val"]) == (None, ["Val"])
    files = ["Train-0.tar", "validation.tar", "testset_3.tar", "device.tar", "trained.tar", "x.tar"]
    assert [*map(part_of_file, files)] == ["train", "validation", "test", None, None, None]
    keys = ["x_train", "Train_Images", "X", "test", "x_true"]
    parts = [("train", "x"), ("train", "images"), ("", "x"), ("", "test"), ("", "x_true")]
    assert [*map(part_of_key, keys)] == parts


def test_whole_numbers_are_ordered_as_numbers_in_every_kind_of_source(tmp_path: Path) -> None:
    assert in_class_order(["10", "9", "-1", "9"]) == ["-1", "9", "10"]
    assert in_class_order(["10", "9", "a"]) == ["10", "9", "a"]
    labels = np.array(NUMBERS * 2)
    write_folder(tmp_path / "images", NUMBERS, 2)
    np.savez(tmp_path / "text.npz", x=np.zeros((24, 2)), y=labels)
    np.savez(tmp_path / "parts.npz", x_train=np.zeros((24, 2)), y_train=labels,
             x_test=np.zeros((24, 2)), y_test=labels)  # fmt: skip
    np.savez(tmp_path / "numbers.npz", x=np.zeros((24, 2)), y=labels.astype(int))
    table = pa.table({"image": [encoded(picture(n)) for n in range(24)], "label": labels})
    writer.write_table(table, tmp_path / "text.parquet")
    for name in ("folder:images", "npz:text.npz", "npz:numbers.npz", "parquet:text.parquet",
                 "npz:parts.npz"):  # fmt: skip
        form, _, file = name.partition(":")
        splits = data.load(f"{form}:{tmp_path / file}")
        whole = splits.whole()
        assert whole.class_names == tuple(NUMBERS)
        if form != "folder":
            assert np.array(whole.class_names)[whole.labels].tolist() == labels.tolist()
    assert splits.test is not None
    assert splits.test.labels.tolist() == labels.astype(int).tolist()


def test_each_file_is_read_once_whatever_links_lead_to_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outside = write_folder(tmp_path / "outside", ["more"], 1) / "more"
    root = write_folder(tmp_path / "own", count=2)
    links = {"cat/again": ".", "cat/up.txt": "../..", "dog/copy.png": "0.png", "all": "."}
    for name, target in (links | {"cat/outside": outside, "cat/z": outside}).items():
        (root / name).symlink_to(target)
    whole = data.load(f"folder:{root}").whole()
    assert whole.class_names == ("cat", "dog")
    names = ["cat/0.png", "cat/1.png", "cat/outside/0.png", "dog/0.png", "dog/1.png"]
    assert whole.row_names is not None
    assert sorted(whole.row_names.tolist()) == names
    assert "not used: again, up.txt, z" in caplog.text


def test_one_label_alone_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 3)), y=np.array(["spam"] * 4))
    with pytest.raises(DataError, match="all 4 labels are spam; a classifier needs at least two"):
        data.load(f"npz:{tmp_path / 'a.npz'}")
