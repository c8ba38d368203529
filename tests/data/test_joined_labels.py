"""Labels from elsewhere, joined to rows; data sets from tables and from other libraries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import dilute
from dilute.data import LabelledSet, Reading, from_dataset, join_labels
from dilute.errors import DataError

NAMES = ("cat", "dog", "owl")


@pytest.fixture
def pets() -> LabelledSet:
    """Twelve images with names, four of each class."""
    inputs = np.arange(12 * 16, dtype=np.uint8).reshape(12, 1, 4, 4)
    rows = np.array([f"{NAMES[k % 3]}/{k}.png" for k in range(12)])
    return LabelledSet(inputs, np.arange(12) % 3, NAMES, row_names=rows)


def write(to: Path, /, **columns: list) -> Path:
    table = pd.DataFrame(columns)
    table.to_csv(to, index=False) if to.suffix == ".csv" else table.to_parquet(to)
    return to


@pytest.mark.parametrize("end", [".csv", ".parquet"])
def test_by_row_name_and_order(tmp_path: Path, pets: LabelledSet, end: str):
    labels = [NAMES[(k + 1) % 3] for k in range(12)]
    wanted = ((np.arange(12) + 1) % 3).tolist()
    plain = join_labels(pets, write(tmp_path / f"a{end}", label=labels))
    assert plain.labels.tolist() == wanted
    assert plain.annotations is None
    turned = list(range(12))[::-1]
    rows = write(tmp_path / f"b{end}", row=turned, given=[labels[k] for k in turned])
    assert join_labels(pets, rows).labels.tolist() == wanted
    names = [str(pets.row_names[k]) for k in turned]
    named = write(tmp_path / f"c{end}", file=names, label=[labels[k] for k in turned])
    assert join_labels(pets, named).labels.tolist() == wanted
    last = write(
        tmp_path / f"d{end}", file=[f"{k}.png" for k in turned], label=[(k + 1) % 3 for k in turned]
    )
    assert join_labels(pets, last).labels.tolist() == wanted


def test_missing_labels_leave_rows_out(tmp_path: Path, pets: LabelledSet, caplog):
    labels = ["", "nan", "null", *[NAMES[k % 3] for k in range(3, 12)]]
    part = join_labels(pets, write(tmp_path / "a.csv", label=labels))
    assert part.labels.tolist() == [k % 3 for k in range(3, 12)]
    assert part.row_names[0] == "cat/3.png"
    assert "3 of 12 rows have no label" in caplog.text
    floats = np.array([np.nan, -1, *[k % 3 for k in range(2, 12)]])
    np.save(tmp_path / "a.npy", floats)
    assert len(join_labels(pets, tmp_path / "a.npy")) == 10


def test_several_columns_are_annotators(tmp_path: Path, pets: LabelledSet):
    ann = [NAMES[k % 3] for k in range(12)]
    bo = ["owl"] * 6 + [""] * 6
    found = join_labels(pets, write(tmp_path / "a.csv", row=list(range(12)), Ann=ann, Bo=bo))
    assert found.annotations.names == ("ann", "bo")
    assert len(found.annotations) == 18
    items = [k for k in range(12) for _ in range(2)]
    long = write(
        tmp_path / "l.csv",
        item=items,
        annotator=["x", "y"] * 12,
        label=[NAMES[k % 3] for k in items],
    )
    found = join_labels(pets, long)
    assert (found.annotations.num_annotators, found.labels.tolist()) == (
        2,
        [k % 3 for k in range(12)],
    )
    np.save(tmp_path / "t.npy", np.stack([np.arange(12) % 3, np.full(12, -1)], axis=1))
    assert join_labels(pets, tmp_path / "t.npy").annotations is None


def test_arrays_by_name(tmp_path: Path, pets: LabelledSet):
    arrays = {"worse_label": (np.arange(12) + 1) % 3, "clean_label": np.arange(12) % 3}
    np.savez(tmp_path / "a.npz", **arrays)
    torch.save(
        {"worse_label": arrays["worse_label"], "clean_label": torch.arange(12) % 3},
        tmp_path / "a.pt",
    )
    for file in (tmp_path / "a.npz", tmp_path / "a.pt"):
        with pytest.raises(DataError, match="several arrays, worse_label, clean_label; say which"):
            join_labels(pets, file)
        found = join_labels(pets, file, ["worse_label"])
        assert found.labels.tolist() == arrays["worse_label"].tolist()


def test_what_cannot_be_joined(tmp_path: Path, pets: LabelledSet):
    good = [NAMES[k % 3] for k in range(12)]
    faults = [
        (write(tmp_path / "0.csv", label=good[:5]), "have 5 rows, and the data 12"),
        (write(tmp_path / "1.csv", row=[0, 99], label=good[:2]), r"name 1 rows .*\(99\)"),
        (write(tmp_path / "2.csv", row=[0, 0], label=good[:2]), "name 1 rows more than once"),
        (write(tmp_path / "3.csv", file=["x.png"], label=["cat"]), r"do not have \(x\.png\)"),
        (
            write(tmp_path / "4.csv", label=["cow", *good[1:]]),
            r"are no class \(cow\)",
        ),
        (write(tmp_path / "5.csv", row=[0], file=["a"], label=["cat"]), "each of which may say"),
        (write(tmp_path / "6.csv", label=["3", *["0"] * 11]), r"no class \(3, 0\)"),
        (
            write(tmp_path / "7.csv", row=[0, 1], a=["cat", "dog"], clean_label=["cat", "dog"]),
            "seems to be the truth",
        ),
        (tmp_path / "twice.csv", "has several columns label"),
        (tmp_path / "none.csv", "does not exist"),
        (tmp_path / "labels.txt", r"allowed are \.csv, \.parquet, \.npy, \.npz and \.pt"),
    ]
    (tmp_path / "twice.csv").write_text("label,label\n" + "cat,dog\n" * 12)
    for file, message in faults:
        with pytest.raises(DataError, match=message):
            join_labels(pets, file)
    floats = write(tmp_path / "floats.csv", label=["", *[f"{k % 3}.0" for k in range(1, 12)]])
    assert join_labels(pets, floats).labels.tolist() == [k % 3 for k in range(1, 12)]
    (tmp_path / "bad.pt").write_bytes(b"\x80\x04garbage")
    with pytest.raises(DataError, match="must hold arrays or tensors alone"):
        join_labels(pets, tmp_path / "bad.pt")


class Evil:
    def __reduce__(self):
        return (Path("/nonexistent").touch, ())


def test_a_file_of_tensors_runs_no_code(tmp_path: Path, pets: LabelledSet):
    torch.save({"labels": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(DataError, match="must hold arrays or tensors alone"):
        join_labels(pets, tmp_path / "evil.pt")


def test_by_index_in_the_public_original(tmp_path: Path, pets: LabelledSet):
    file = write(tmp_path / "a.csv", index=list(range(12)), label=[k % 3 for k in range(12)])
    order = np.random.default_rng(0).permutation(12)
    known = LabelledSet(pets.inputs, pets.labels, NAMES, row_names=order.astype(np.str_))
    assert join_labels(known, file).labels.tolist() == (order % 3).tolist()
    shuffled = LabelledSet(pets.inputs, pets.labels, NAMES, name="cifar10@0123456789abcdef")
    with pytest.raises(DataError, match="order of these data in the public original is not known"):
        join_labels(shuffled, file)
    np.save(tmp_path / "a.npy", np.arange(12) % 3)
    with pytest.raises(DataError, match="as in a copy that was shuffled"):
        join_labels(shuffled, tmp_path / "a.npy")


def test_load_takes_labels_from_elsewhere(tmp_path: Path):
    arrays = np.arange(40 * 4, dtype=np.float32).reshape(40, 4)
    np.savez(tmp_path / "own.npz", x=arrays, y=np.arange(40) % 2)
    np.save(tmp_path / "new.npy", (np.arange(40) + 1) % 2)
    name = f"npz:{tmp_path / 'own.npz'}"
    splits = dilute.load(name, Reading(labels=tmp_path / "new.npy"))
    assert splits.name.startswith("npz+labels@")
    assert splits.name != dilute.load(name).name
    assert splits.whole().labels.tolist() == ((np.arange(40) + 1) % 2).tolist()
    assert not splits.train_is_clean
    spec = dilute.RunSpec(data=name, model="perceptron", alpha=1)
    material = dilute.Material.of(spec, Reading(labels=tmp_path / "new.npy"))
    assert material.spec_unread is None
    assert material.spec.data == splits.name
    digits = dilute.load("digits")
    np.save(tmp_path / "digits.npy", (digits.train.labels + 1) % 10)
    joined = dilute.load("digits", Reading(labels=tmp_path / "digits.npy"))
    assert joined.test_is_clean
    assert not joined.train_is_clean
    assert np.array_equal(joined.train.labels, (digits.train.labels + 1) % 10)


# Tables as data


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Path, list[str]]:
    """Twenty small pictures below a folder, and their paths relative to it."""
    names = [f"pictures/{k}.png" for k in range(20)]
    (tmp_path / "pictures").mkdir()
    draw = np.random.default_rng(0)
    for name in names:
        Image.fromarray(draw.integers(0, 255, (6, 6), dtype=np.uint8)).save(tmp_path / name)
    return tmp_path, names


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_tables_of_paths(pictures: tuple[Path, list[str]], form: str):
    folder, names = pictures
    labels = ["cat", "dog"] * 10
    file = write(folder / f"table.{form}", path=names, label=labels, note=["x"] * 20)
    splits = dilute.load(f"{form}:{file}")
    whole = splits.whole()
    assert whole.input_shape == (1, 6, 6)
    assert whole.row_names.tolist() == names
    assert [whole.class_names[k] for k in whole.labels] == labels
    chosen = dilute.load(f"{form}:{file}", Reading(image_column="path", label_column="label"))
    assert chosen.name == splits.name
    with pytest.raises(DataError, match="no column picture for images; columns are path"):
        dilute.load(f"{form}:{file}", Reading(image_column="picture"))
    with pytest.raises(DataError, match="column path cannot hold both images and labels"):
        dilute.load(f"{form}:{file}", Reading(image_column="path", label_column="path"))
    gaps = write(folder / f"gaps.{form}", path=names, label=["cat", "", *labels[2:]])
    with pytest.raises(DataError, match="1 empty cells in column label"):
        dilute.load(f"{form}:{gaps}")
    (folder / names[3]).unlink()
    (folder / names[5]).unlink()
    with pytest.raises(DataError, match=r"2 of 20 files in column path are missing \(pictures/3"):
        dilute.load(f"{form}:{file}")


def test_tables_of_numbers(tmp_path: Path):
    values = np.random.default_rng(0).normal(size=(30, 3))
    columns = {name: values[:, k].tolist() for k, name in enumerate("abc")}
    file = write(tmp_path / "t.csv", **columns, label=[k % 3 for k in range(30)])
    whole = dilute.load(f"csv:{file}").whole()
    assert whole.inputs == pytest.approx(values, abs=1e-6)
    assert whole.class_names == ("0", "1", "2")
    columns["b"][7] = float("nan")
    file = write(tmp_path / "n.csv", **columns, label=[k % 3 for k in range(30)])
    with pytest.raises(DataError, match=r"1 rows hold numbers that are missing.*row 7, column b"):
        dilute.load(f"csv:{file}")
    file = write(
        tmp_path / "w.csv",
        a=values[:, 0].tolist(),
        words=["x y"] * 30,
        label=[k % 2 for k in range(30)],
    )
    with pytest.raises(DataError, match="the columns words are neither images nor numbers"):
        dilute.load(f"csv:{file}")
    file = write(tmp_path / "f.parquet", a=values[:, 0].tolist(), label=[0.5, 1.5] * 15)
    with pytest.raises(DataError, match="labels are float64"):
        dilute.load(f"parquet:{file}")


def test_label_files_that_are_something_else(tmp_path: Path, pets: LabelledSet, caplog):
    np.save(tmp_path / "hot.npy", np.eye(3)[np.arange(12) % 3])
    with pytest.raises(DataError, match=r"shape \[12, 3\] .*a share for each class; give the num"):
        join_labels(pets, tmp_path / "hot.npy")
    join_labels(pets, write(tmp_path / "t.csv", clean_label=[NAMES[k % 3] for k in range(12)]))
    assert "the labels are those of its only column, clean_label" in caplog.text
    names = [f"./{name}" for name in pets.row_names]
    named = write(tmp_path / "here.csv", file=names, label=[NAMES[k % 3] for k in range(12)])
    assert join_labels(pets, named).labels.tolist() == pets.labels.tolist()


# Data sets of other libraries


def test_map_style_data_sets():
    images = np.random.default_rng(0).integers(0, 255, (8, 5, 5, 3), dtype=np.uint8)

    class Pets:
        classes = ("cat", "dog")

        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, k: int):
            return Image.fromarray(images[k]), k % 2

    found = from_dataset(Pets())
    assert found.class_names == ("cat", "dog")
    assert np.array_equal(found.inputs, images.transpose(0, 3, 1, 2))
    part = torch.utils.data.Subset(Pets(), [0, 3, 5])
    assert from_dataset(part).class_names == ("cat", "dog")
    tensors = torch.utils.data.TensorDataset(torch.rand(9, 4), torch.arange(9) % 3)
    found = from_dataset(tensors)
    assert (found.input_shape, found.class_names) == ((4,), ("0", "1", "2"))
    with pytest.raises(DataError, match="it must be a pair of an input and a label"):
        from_dataset([1, 2, 3])
    with pytest.raises(DataError, match=r"different shapes, as \[4\] \(item 0\) and \[5\]"):
        from_dataset([(np.zeros(4), 0), (np.zeros(5), 1)])


def test_hugging_face_data_sets():
    import datasets

    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])}
    )
    pictures = [Image.fromarray(np.full((4, 4), 20 * k, dtype=np.uint8)) for k in range(6)]
    rows = {"image": pictures, "label": [0, 1] * 3}
    found = from_dataset(datasets.Dataset.from_dict(rows, features=features))
    assert found.class_names == ("cat", "dog")
    assert found.inputs[:, 0, 0, 0].tolist() == [0, 20, 40, 60, 80, 100]


def test_arrays_as_people_have_them():
    grey = np.zeros((6, 4, 5), dtype=np.uint8)
    found = LabelledSet(grey, np.array(["b", "a", "b", "10", "9", "a"]))
    assert found.inputs.shape == (6, 1, 4, 5)
    assert found.class_names == ("10", "9", "a", "b")
    found = LabelledSet(np.zeros((4, 8, 8, 3), dtype=np.uint8), np.array([10, 9, 10, 2]))
    assert (found.inputs.shape, found.class_names) == ((4, 3, 8, 8), ("2", "9", "10"))
