from __future__ import annotations

import errno
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from small_files import picture, write_folder

from dilute import data
from dilute.data import Reading, cache, images
from dilute.errors import DataError


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by the name of every image that is decoded."""
    names: list[str] = []
    really_decode = images.decode

    def decode(item, bring, **more):
        names.append(item[0])
        return really_decode(item, bring, **more)

    monkeypatch.setattr(images, "decode", decode)
    return names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "pets", count=10)


def load(folder: Path, **options) -> data.Splits:
    return data.load(f"folder:{folder}", Reading(**options))


def same(one: data.Splits, other: data.Splits) -> bool:
    assert one.test is not None
    assert other.test is not None
    pairs = ((one.train, other.train), (one.test, other.test))
    arrays = all(
        np.array_equal(a.inputs, b.inputs) and np.array_equal(a.labels, b.labels) for a, b in pairs
    )
    hashes = all(a.content_hash == b.content_hash for a, b in pairs)
    return arrays and hashes and one.name == other.name


def test_decoded_once_and_mapped(folder: Path, decodings: list[str], caplog) -> None:
    first, second = load(folder), load(folder)
    assert len(decodings) == 20
    assert same(first, second)
    assert isinstance(second.train.inputs, np.memmap)
    assert second.train.inputs.flags.writeable  # PyTorch warns of arrays that are not
    fresh = data.LabelledSet(second.train.inputs, second.train.labels, second.train.class_names)
    assert fresh.content_hash == second.train.content_hash
    assert not caplog.records


def test_a_changed_source_or_option_is_another_key(folder: Path, decodings: list[str]) -> None:
    load(folder)
    load(folder, resize=4)
    assert len(decodings) == 40
    picture(999).save(folder / "dog" / "3.png")
    changed = load(folder)
    assert len(decodings) == 60
    picture(5, (9, 9)).save(folder / "dog" / "4.png")
    with pytest.raises(DataError, match="different sizes"):
        load(folder)
    assert changed.train.input_shape == (3, 8, 8)


def flip(content: bytes) -> bytes:
    return content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]


def cut(content: bytes) -> bytes:
    return content[:-7]


def empty(content: bytes) -> bytes:
    return b""


def remove(content: bytes) -> None:
    return None


@pytest.mark.parametrize("damage", [flip, cut, empty, remove])
@pytest.mark.parametrize("file", ["train-inputs.npy", "test-labels.npy", "about.json"])
def test_damage_is_noticed_and_mended(
    folder: Path, own_folders: Path, decodings: list[str], caplog, damage, file: str
) -> None:
    first = load(folder)
    (copy,) = own_folders.iterdir()
    content = damage((copy / file).read_bytes())
    (copy / file).unlink()  # a new file, since `first` is a map of the old one
    if content is not None:
        (copy / file).write_bytes(content)
    assert same(first, load(folder))
    assert len(decodings) == 40
    assert len(caplog.records) == 1
    assert "rebuilding the decoded copy" in caplog.text
    assert same(first, load(folder))
    assert len(decodings) == 40
    assert [path.name for path in own_folders.iterdir()] == [copy.name]


@pytest.mark.parametrize("about", ["[]", "{}", '{"name": 1, "parts": {"train": 3}}', "null", '"x"'])
def test_metadata_of_another_form(folder: Path, own_folders: Path, caplog, about: str) -> None:
    first = load(folder)
    (copy,) = own_folders.iterdir()
    (copy / "about.json").write_text(about)
    assert same(first, load(folder))
    assert "rebuilding" in caplog.text


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_a_full_disk_costs_the_copy_and_not_the_data(
    folder: Path, own_folders: Path, caplog, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    calls = []

    def save(file, array, **options):
        calls.append(1)
        file.write(b"half of it")
        if len(calls) == 3:
            raise OSError(number, "no")

    monkeypatch.setattr(np, "save", save)
    splits = load(folder)
    assert len(splits.train) == 16
    assert list(own_folders.iterdir()) == []
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "no decoded copy" in record.message
    assert "\n" not in record.message


def test_a_cache_that_cannot_be(folder: Path, tmp_path: Path, caplog, monkeypatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("DILUTE_CACHE", str(tmp_path / "file" / "cache"))
    assert len(load(folder).train) == 16
    assert "a part of the path is a file" in caplog.text


def test_a_race_of_two_builders_does_no_harm(folder: Path, own_folders: Path) -> None:
    first = load(folder)
    (copy,) = own_folders.iterdir()
    finished = own_folders.parent / "finished"
    shutil.move(copy, finished)

    def build() -> data.Splits:
        shutil.move(finished, copy)  # the other process is done just before us
        return first

    splits = cache.cached(copy.name, "here", build)
    assert same(first, splits)
    assert [path.name for path in own_folders.iterdir()] == [copy.name]


def test_large_copies_are_checked_in_part(
    folder: Path, own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_BLOCK_BYTES", 256)
    monkeypatch.setattr(cache, "_MOST_BLOCKS", 3)
    first = load(folder)
    (copy,) = own_folders.iterdir()
    about = json.loads((copy / "about.json").read_text())
    assert len(about["parts"]["train"]["files"]["inputs"]["blocks"]) > 3
    assert same(first, load(folder))
