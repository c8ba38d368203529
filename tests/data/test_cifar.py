from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet as writer
from small_files import encoded

from dilute import data
from dilute.data import Reading, cifar
from dilute.errors import DataError

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (40, 32, 32, 3), np.uint8)
LABELS = np.arange(40) % 10


def write_parquet(folder: Path, parts: dict[str, np.ndarray], labels: np.ndarray = LABELS) -> None:
    folder.mkdir(parents=True)
    for name, order in parts.items():
        images = [{"bytes": encoded(Image.fromarray(IMAGES[index]))} for index in order]
        table = pa.table({"img": images, "label": labels[order]})
        writer.write_table(table, folder / f"{name}.parquet")


def write_torchvision(root: Path, monkeypatch: pytest.MonkeyPatch, images: np.ndarray) -> Path:
    """Write the set as torchvision keeps it, and make torchvision expect these files."""
    from torchvision.datasets import CIFAR10

    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)

    def write(name: str, content: object) -> str:
        (folder / name).write_bytes(pickle.dumps(content))
        return hashlib.md5((folder / name).read_bytes()).hexdigest()

    flat = images.transpose(0, 3, 1, 2).reshape(40, -1)
    train = {"data": flat[:30], "labels": LABELS[:30].tolist()}
    test = {"data": flat[30:], "labels": LABELS[30:].tolist()}
    names = {"label_names": list(cifar.CIFAR10_CLASSES)}
    monkeypatch.setattr(CIFAR10, "train_list", [["data_batch_1", write("data_batch_1", train)]])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", write("test_batch", test)]])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": write("batches.meta", names)}
    monkeypatch.setattr(CIFAR10, "meta", meta)
    return root


def test_one_order_whatever_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = RANDOM.permutation(30)
    write_parquet(tmp_path / "a" / "cifar10", {"train": np.arange(30), "test": np.arange(30, 40)})
    write_parquet(tmp_path / "b" / "cifar10", {"train": order, "test": np.arange(30, 40)})
    write_torchvision(tmp_path / "c", monkeypatch, IMAGES)
    found = [data.load("cifar10", Reading(tmp_path / home)) for home in "abc"]
    assert len({splits.train.content_hash for splits in found}) == 1
    assert len({splits.name for splits in found}) == 1
    for part, start in ((found[2].train, 0), (found[2].test, 30)):
        assert part is not None
        digests = [hashlib.sha256(image.tobytes()).digest() for image in part.inputs]
        assert digests == sorted(digests)
        for image, label in zip(part.inputs, part.labels, strict=True):
            source = (IMAGES.transpose(0, 3, 1, 2) == image).all(axis=(1, 2, 3))
            assert LABELS[source].tolist() == [label]
            assert source[start:].any()


def test_rows_of_the_original_files_have_their_index_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_torchvision(tmp_path / "original", monkeypatch, IMAGES)
    write_parquet(tmp_path / "copy" / "cifar10", {"train": np.arange(30)})
    assert data.load("cifar10", Reading(tmp_path / "copy")).train.row_names is None
    for _ in range(2):  # the second time from the cache
        train = data.load("cifar10", Reading(tmp_path / "original")).train
        assert train.row_names is not None
        indices = train.row_names.astype(int)
        assert sorted(indices) == list(range(30))
        assert np.array_equal(train.inputs, IMAGES.transpose(0, 3, 1, 2)[indices])


def test_equal_images_are_ordered_by_label() -> None:
    images = np.zeros((3, 3, 32, 32), np.uint8)
    assert cifar.canonical_order(images, np.array([2, 0, 1])).tolist() == [1, 2, 0]


def test_a_part_of_the_set_does_not_go_by_its_name(tmp_path: Path) -> None:
    write_parquet(tmp_path / "cifar10", {"train": np.arange(40)})
    splits = data.load("cifar10", Reading(tmp_path))
    assert splits.name.startswith("cifar10@")
    assert splits.test is None


def test_a_whole_set_of_other_content_is_corrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parquet(tmp_path / "cifar10", {"train": np.arange(30), "test": np.arange(30, 40)})
    monkeypatch.setattr(cifar, "FULL_SIZES", (30, 10))
    with pytest.raises(
        DataError, match=r"cifar10 is corrupt: the 30 images .* instead of 47e1e1e1"
    ):
        data.load("cifar10", Reading(tmp_path))


def test_a_damaged_torchvision_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_torchvision(tmp_path, monkeypatch, IMAGES)
    batch = tmp_path / "cifar-10-batches-py" / "data_batch_1"
    batch.write_bytes(batch.read_bytes() + b"x")
    with pytest.raises(DataError, match="incomplete or corrupt; delete it and fetch cifar10 again"):
        data.load("cifar10", Reading(tmp_path))


def test_other_data_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parquet(tmp_path / "a" / "cifar10", {"train": np.arange(40)}, LABELS + 5)
    with pytest.raises(DataError, match="labels out of range: 14"):
        data.load("cifar10", Reading(tmp_path / "a"))
    monkeypatch.setattr("test_cifar.IMAGES", IMAGES[:, :16, :16])
    write_parquet(tmp_path / "b" / "cifar10", {"train": np.arange(40)})
    with pytest.raises(DataError, match="is not cifar10: images have shape"):
        data.load("cifar10", Reading(tmp_path / "b"))


def test_cifar10(real_data) -> None:
    splits = data.load("cifar10", Reading(real_data("cifar10")))
    assert splits.name == "cifar10"
    assert splits.test is not None
    assert (len(splits.train), len(splits.test)) == cifar.FULL_SIZES
    assert (np.bincount(splits.train.labels) == 5000).all()
    # The cached copy carries its hash along; here it is computed from what was read.
    for part, known in zip((splits.train, splits.test), cifar.CIFAR10_HASHES, strict=True):
        again = data.LabelledSet(part.inputs, part.labels, part.class_names)
        assert again.content_hash == part.content_hash == known
    mean = splits.train.inputs.mean(axis=(0, 2, 3)) / 255
    assert mean == pytest.approx([0.4914, 0.4822, 0.4465], abs=1e-4)
