from __future__ import annotations

from pathlib import Path

import pytest
from small_files import write_folder

from dilute import data
from dilute.data import Reading
from dilute.errors import DataError


def test_a_part_of_imagenet_is_named_by_its_content(tmp_path: Path) -> None:
    place = tmp_path / "imagenet"
    write_folder(place / "train", ["n01440764", "n01443537"], 3)
    write_folder(place / "val", ["n01440764", "n01443537"], 1)
    splits = data.load("imagenet", Reading(tmp_path))
    assert splits.name.startswith("streamed-imagenet@")
    assert splits.train.input_shape == (3, 224, 224)
    assert splits.test is not None
    assert len(splits.test) == 2
    assert data.load(splits.name, Reading(tmp_path)).train.content_hash == splits.train.content_hash


@pytest.mark.parametrize("there", [[], ["train"]])
def test_absent_imagenet_says_what_to_do(tmp_path: Path, there: list[str]) -> None:
    for part in there:
        (tmp_path / "imagenet" / part).mkdir(parents=True)
    with pytest.raises(DataError, match=r"imagenet is not here \(.*val.*account; put its class"):
        data.load("imagenet", Reading(tmp_path))
