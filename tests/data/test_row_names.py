"""Rows keep the names that their source has, through the cache, splits and back to one piece."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import SIDE
from small_files import write_folder

from dilute import data
from dilute.data import Annotations, LabelledSet, Reading, Splits, parts


def names_of(part: LabelledSet | None) -> list[str]:
    assert part is not None
    assert part.row_names is not None
    return part.row_names.tolist()


@pytest.mark.parametrize("reading", [Reading(), Reading(resize=8, stream=True)])
def test_files_of_a_folder(tmp_path: Path, reading: Reading) -> None:
    write_folder(tmp_path, ["cat", "dog"], 10)
    files = [f"{kind}/{number}.png" for kind in ("cat", "dog") for number in range(10)]
    for _ in range(2):  # the second time from the cache
        splits = data.load(f"folder:{tmp_path}", reading)
        assert names_of(splits.whole()) == files
        both = names_of(splits.train) + names_of(splits.test)
        assert sorted(both) == files
        for name, label in zip(names_of(splits.train), splits.train.labels, strict=True):
            assert name.split("/")[0] == splits.train.class_names[label]


def test_files_of_a_folder_with_parts(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", count=2)
    write_folder(tmp_path / "test", count=1)
    splits = data.load(f"folder:{tmp_path}")
    assert names_of(splits.whole())[:2] == ["train/cat/0.png", "train/cat/1.png"]
    assert names_of(splits.test) == ["test/cat/0.png", "test/dog/0.png"]


def test_keys_of_shards(shards: Path) -> None:
    splits = data.load(f"shards:{shards}", Reading(resize=SIDE))
    inputs = splits.train.inputs
    assert isinstance(inputs, data.EncodedImages)
    for row in (0, 17, 59):
        assert inputs.places.name(row).endswith(f" member {names_of(splits.train)[row]}.jpg")


def test_one_piece_keeps_names_and_annotations() -> None:
    rows, votes = 20, 3
    labels = np.arange(rows) % 2
    annotations = Annotations(
        items=np.repeat(np.arange(rows), votes),
        annotators=np.tile(np.arange(votes), rows),
        labels=np.repeat(labels, votes),
        num_items=rows,
        num_annotators=votes,
        num_classes=2,
        annotator_names=("ann", "ben", "cy"),
    )
    whole = LabelledSet(
        np.arange(rows, dtype=np.float32)[:, None],
        labels,
        ("a", "b"),
        row_names=np.array([f"row {row}" for row in range(rows)]),
        annotations=annotations,
    )
    cut_rows, _ = parts.split_indices(labels)
    again = Splits("own", *parts.split_set(whole), "here", cut_rows).whole()
    assert again.row_names is not None
    assert again.annotations is not None
    assert names_of(again) == names_of(whole)
    assert again.annotations.content_hash == annotations.content_hash
    assert again.content_hash == whole.content_hash
