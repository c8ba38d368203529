from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet as writer
from small_files import encoded, picture

from dilute import data
from dilute.data import Reading, hub
from dilute.errors import DataError


def write_repository(folder: Path, parts: dict[str, list[int]], names: list[str]) -> Path:
    """Write Parquet files in the layout, and with the metadata, of a data set on the Hub."""
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": names}}
    (folder / "data").mkdir(parents=True)
    for number, (part, labels) in enumerate(parts.items()):
        images = [
            {"bytes": encoded(picture(100 * number + index)), "path": f"{index}.png"}
            for index in range(len(labels))
        ]
        table = pa.table({"image": images, "label": labels})
        metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
        path = folder / "data" / f"{part}-00000-of-00001.parquet"
        writer.write_table(table.replace_schema_metadata(metadata), path)
    return folder


@pytest.fixture(autouse=True)
def own_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub-cache")


def read(folder: Path, **options) -> data.Splits:
    return hub.read(str(folder), origin="hub:someone/pets", **options)


def test_train_and_test(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = write_repository(
        tmp_path / "pets", {"train": [0, 1] * 4, "test": [1, 0]}, ["cat", "dog"]
    )
    splits = read(folder)
    assert splits.train.class_names == ("cat", "dog")
    assert splits.train.input_shape == (3, 8, 8)
    assert splits.test is not None
    assert (len(splits.train), splits.test.labels.tolist()) == (8, [1, 0])
    assert splits.name.startswith("hub@")
    assert splits.origin == "hub:someone/pets"
    again = read(folder)
    assert again.name == splits.name
    assert "examples" not in capfd.readouterr().err  # no progress bars off a terminal


def test_validation_stands_in_for_a_test_without_labels(tmp_path: Path) -> None:
    parts = {"train": [0, 1] * 4, "validation": [0, 1, 1], "test": [-1, -1]}
    splits = read(write_repository(tmp_path / "pets", parts, ["cat", "dog"]))
    assert splits.test is not None
    assert splits.test.labels.tolist() == [0, 1, 1]


def test_train_alone_is_split_and_resized(tmp_path: Path) -> None:
    folder = write_repository(tmp_path / "pets", {"train": [0, 1] * 5}, ["cat", "dog"])
    splits = read(folder, reading=Reading(resize=4))
    assert splits.test is not None
    assert len(splits.test) == 2
    assert splits.train.input_shape == (3, 4, 4)


def test_no_training_split(tmp_path: Path) -> None:
    folder = write_repository(tmp_path / "pets", {"test": [0, 1]}, ["cat", "dog"])
    with pytest.raises(DataError, match="has the splits test; one must be called 'train'"):
        read(folder)


@pytest.mark.parametrize("name", ["", "pets", "a/b/c/d", "../secrets/x y", "https://a/b"])
def test_addresses_that_cannot_be(name: str) -> None:
    with pytest.raises(DataError, match="hub"):
        data.load(f"hub:{name}")


@pytest.mark.parametrize(
    "setting",
    [
        {"HF_HUB_OFFLINE": "1"},
        # The Hub's client tries again for half a minute.
        pytest.param({"HF_ENDPOINT": "http://127.0.0.1:9"}, marks=pytest.mark.slow),
    ],
)
def test_a_hub_that_cannot_be_reached(tmp_path: Path, setting: dict[str, str]) -> None:
    """Settings are read when the client is imported, hence another process."""
    program = """
        from dilute import data
        from dilute.errors import DataError
        try:
            data.load("hub:someone/pets")
        except DataError as error:
            print(error)
    """
    environment = os.environ | setting | {"HF_HOME": str(tmp_path)}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.startswith("hub:someone/pets cannot be reached")
    assert done.stdout.count("\n") == 1
