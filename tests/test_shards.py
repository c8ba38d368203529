"""Tar files of images: what they hold, the order of visits, and one line for whatever is broken."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import SIDE, assert_same_weights, jpeg, outcome, write_shard

from dilute.data import Reading, load
from dilute.dilution import DilutedSet, Visits
from dilute.errors import DataError
from dilute.interruption import Interrupted
from dilute.runs import Execution

pytestmark = pytest.mark.numerical


def test_shards_hold_what_was_put_in(shards: Path) -> None:
    splits = load(f"shards:{shards}", Reading(resize=SIDE))
    assert splits.name.startswith("streamed-shards@")
    assert splits.train.labels.tolist() == [n % 3 for n in range(60)]
    assert len(splits.test) == 15
    rows = np.array([59, 0, 17, 0])
    expected = load_one_by_one([jpeg(int(row)) for row in rows], shards.parent / "plain")
    assert np.array_equal(splits.train.inputs[rows], expected)
    part = load(f"shards:{shards}/train-[01].tar", Reading(resize=SIDE))
    assert len(part.train) + len(part.test) == 30


def load_one_by_one(contents: list[bytes], place: Path) -> np.ndarray[Any, Any]:
    for number, content in enumerate(contents):
        (place / str(number)).mkdir(parents=True)
        (place / str(number) / "0.jpg").write_bytes(content)
    images = load(f"folder:{place}", Reading(resize=SIDE)).train.inputs
    return np.repeat(images, 3, axis=1) if images.shape[1] == 1 else images


def test_the_same_images_in_other_shards_are_another_set(shards: Path) -> None:
    """The order of visits depends on where shards begin, and runs are kept by the name."""
    first = load(f"shards:{shards}", Reading(resize=SIDE))
    moved = shards.rename(shards.with_name("moved"))
    assert load(f"shards:{moved}", Reading(resize=SIDE)).name == first.name
    for number, (start, stop) in enumerate([(0, 10), (10, 30), (30, 50), (50, 60)]):
        write_shard(moved / f"train-{number}.tar", range(start, stop), lambda n: n % 3)
    other = load(f"shards:{moved}", Reading(resize=SIDE))
    assert np.array_equal(other.train.inputs.places.members, first.train.inputs.places.members)
    assert other.name != first.name
    assert other.train.content_hash != first.train.content_hash


@pytest.mark.parametrize("alpha", [0.0, 2.0, 2.4])
@pytest.mark.parametrize("copies", [1, 2, 3, "all"])
def test_shards_are_visited_a_few_at_a_time(
    shards: Path, monkeypatch: pytest.MonkeyPatch, alpha: float, copies: Any
) -> None:
    monkeypatch.setattr("dilute.dilution.shard_order.SHARDS_AT_ONCE", 2)
    train = load(f"shards:{shards}", Reading(resize=SIDE)).train
    noisy, _ = DilutedSet(train, alpha, seed=1).split(0.2, 0)
    visits = Visits(noisy, copies, 0)
    size = visits.visits_per_epoch
    block = noisy.blocks[0]
    orders = [visits.order(epoch * size, (epoch + 1) * size) for epoch in range(3)]
    assert all(np.array_equal(np.sort(order), np.arange(size)) for order in orders)
    assert not np.array_equal(orders[0], orders[1])
    for order in orders:
        images, _, _ = block.visit(order, visits._group)
        shard_of = train.shard_of[block.rows[images]]
        changes = np.unique(shard_of[: size // 3])
        assert len(changes) == 2  # the first third is of two of the four shards
        assert (np.diff(shard_of[: size // 3]) != 0).sum() > 3  # shuffled together
    assert np.array_equal(
        visits.order(size - 5, size + 9), np.concatenate(orders)[size - 5 : size + 9]
    )


def test_few_shards_give_every_order_and_folders_keep_theirs(shards: Path, folder: Path) -> None:
    train = load(f"shards:{shards}", Reading(resize=SIDE)).train
    order = Visits(DilutedSet(train, 0.0), 1, 0).order(0, 60)
    assert set(train.shard_of[order[:15]]) == {0, 1, 2, 3}
    stream, memory = (
        load(f"folder:{folder}", Reading(resize=SIDE, stream=s)).train for s in (True, False)
    )
    assert stream.shard_of is None
    orders = [Visits(DilutedSet(part, 1.0), 1, 0).order(0, 240) for part in (stream, memory)]
    assert np.array_equal(*orders)


def test_runs_on_shards_resume_exactly(shards: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("dilute.dilution.shard_order.SHARDS_AT_ONCE", 2)
    splits = load(f"shards:{shards}", Reading(resize=SIDE))
    whole = outcome(splits, copies=1)
    at = Execution(threads=1, loader_workers=1, checkpoint=tmp_path / "checkpoint")
    stops = iter([False, False, False, True])
    with pytest.raises(Interrupted):
        outcome(splits, replace(at, should_stop=lambda: next(stops)), copies=1)
    again = load(f"shards:{shards}", Reading(resize=SIDE))
    assert_same_weights(outcome(again, at, copies=1).model.state_dict(), whole.model.state_dict())


def test_the_index_of_a_shard_is_made_once_and_again_when_the_shard_changes(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    really_open = tarfile.open

    def counting(name: Path, mode: str) -> tarfile.TarFile:
        opened.append(name.name)
        return really_open(name, mode)

    monkeypatch.setattr(tarfile, "open", counting)
    first = load(f"shards:{shards}", Reading(resize=SIDE))
    assert len(opened) == 5
    assert load(f"shards:{shards}", Reading(resize=SIDE)).name == first.name
    assert len(opened) == 5
    monkeypatch.undo()
    write_shard(shards / "train-2.tar", range(30, 45), lambda n: (n + 1) % 3)
    os.utime(shards / "train-2.tar", ns=(1, 1))
    changed = load(f"shards:{shards}", Reading(resize=SIDE))
    assert changed.train.labels[30:45].tolist() == [(n + 1) % 3 for n in range(30, 45)]
    assert changed.name != first.name


def cut(content: bytes, at: int) -> bytes:
    return content[:at]


@pytest.mark.parametrize(
    ("spoiled", "message"),
    [
        (lambda content: cut(content, 700), "is cut off in its member 000015.jpg"),
        (lambda content: cut(content, 512), "is cut off"),
        (lambda content: cut(content, end_of_members(content)), "is cut off after a whole member"),
        (lambda content: b"", "train-1.tar"),
        (lambda content: b"PK" + content, "cannot be read as an uncompressed tar file"),
        (lambda content: content.replace(b"000016.cls", b"000016.txt"), "train-1.tar"),
        (
            lambda content: flipped(content, start_of(content, "000020.jpg") + 150),
            "is damaged after its member 000019.cls",
        ),
        (
            lambda content: zeroed(content, start_of(content, "000020.jpg")),
            r"\d bytes of nothing after its member 000019.cls",
        ),
        (
            lambda content: zeroed(
                content, start_of(content, "000028.cls"), start_of(content, "000029.jpg")
            ),
            "is damaged after its member 000028.jpg",
        ),
        (lambda content: content + content, "damaged after|nothing after"),
    ],
)
def test_a_spoiled_shard_is_named_when_it_is_loaded(
    shards: Path, spoiled: Callable[[bytes], bytes], message: str
) -> None:
    path = shards / "train-1.tar"
    path.write_bytes(spoiled(path.read_bytes()))
    with pytest.raises(DataError, match=message) as caught:
        load(f"shards:{shards}", Reading(resize=SIDE))
    assert "train-1.tar" in str(caught.value)
    assert "\n" not in str(caught.value)


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def zeroed(content: bytes, start: int, stop: int | None = None) -> bytes:
    stop = len(content) if stop is None else stop
    return content[:start] + bytes(stop - start) + content[stop:]


def start_of(content: bytes, member: str) -> int:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return archive.getmember(member).offset


@pytest.mark.parametrize("record", [512, 10_240, 65_536, 2**20])
def test_shards_may_end_as_any_writer_ends_them(shards: Path, record: int) -> None:
    """One block of zeros, two, or as many as fill a record."""
    path = shards / "train-1.tar"
    content = path.read_bytes()
    end = end_of_members(content)
    lengths = [-(-(end + 1024) // record) * record] + [end + 512] * (record == 512)
    for length in lengths:
        path.write_bytes(content[:end] + bytes(length - end))
        assert len(load(f"shards:{shards}", Reading(resize=SIDE)).train) == 60


def end_of_members(content: bytes) -> int:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        last = archive.getmembers()[-1]
    return last.offset_data + 512


def test_labels_and_keys_of_shards_are_checked(shards: Path) -> None:
    write_shard(shards / "train-1.tar", range(15, 20), lambda n: "cat")
    with pytest.raises(DataError, match=r"train-1\.tar: 000015\.cls holds b'cat'"):
        load(f"shards:{shards}", Reading(resize=SIDE))
    with tarfile.open(shards / "train-1.tar", "w") as archive:
        member = tarfile.TarInfo("lonely.jpg")
        archive.addfile(member, io.BytesIO())
    with pytest.raises(DataError, match=r"1 images lack their label \(first: lonely\.cls\)"):
        load(f"shards:{shards}", Reading(resize=SIDE))


def test_dots_in_keys_are_explained(shards: Path) -> None:
    with tarfile.open(shards / "train-1.tar", "w") as archive:
        for name in ("data.set/7.v1.0.jpg", "data.set/7.v1.0.cls"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    rule = r"train-1\.tar holds no images by WebDataset's rule, which splits names at the first dot"
    member = r"data\.set/7\.v1\.0\.jpg has the key data\.set/7 and the kind v1\.0\.jpg"
    with pytest.raises(
        DataError, match=f"{rule}: its member {member}; .*as in data.set/7_v1_0.jpg"
    ):
        load(f"shards:{shards}", Reading(resize=SIDE))


def test_a_shard_that_shrinks_while_it_is_read_is_named(shards: Path) -> None:
    train = load(f"shards:{shards}", Reading(resize=SIDE, on_corrupt="skip")).train
    os.truncate(shards / "train-3.tar", 600)
    with pytest.raises(DataError, match=r"train-3\.tar member 000045\.jpg is cut off: 88 of"):
        train.gather(np.array([45]))
