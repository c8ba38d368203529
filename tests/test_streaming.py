"""Data larger than memory: the same numbers whoever reads them, and one line for whatever is broken."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from torch import nn

from dilute import seeds
from dilute.data import LabelledSet, Reading, Splits, imagenet, load
from dilute.data.augmentation import crop_flip
from dilute.dilution import DilutedSet, Visits
from dilute.errors import DataError, SpecError
from dilute.interruption import Interrupted
from dilute.methods import Observed, TensorBatch, make_method
from dilute.runs import Execution, Material, RunSpec, run_one
from dilute.training.batches import batches

SIDE = 12
PLAINLY = Execution(threads=1)
CLASSES = ("ant", "bee", "cat")
RECIPE: dict[str, Any] = {
    "model": "mlp1",
    "batch_size": 16,
    "budget_steps": 8,
    "curve_points": 2,
    "heldout_fraction": 0.2,
}


def jpeg(number: int, size: tuple[int, int] = (24, 18)) -> bytes:
    coarse = np.random.default_rng(number).integers(0, 256, (3, 4, 3), np.uint8)
    image = Image.fromarray(coarse).resize(size)
    content = io.BytesIO()
    (image.convert("L") if number % 7 == 0 else image).save(content, "JPEG")
    return content.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """60 JPEG files of three classes for training, 15 for testing; some grey, of two shapes."""
    for part, count in (("train", 20), ("val", 5)):
        for label, name in enumerate(CLASSES):
            place = tmp_path / "pets" / part / name
            place.mkdir(parents=True)
            for index in range(count):
                size = (24, 18) if index % 2 else (15, 30)
                number = 1000 * (part == "val") + 100 * label + index
                (place / f"{index:02}.jpg").write_bytes(jpeg(number, size))
    return tmp_path / "pets"


def write_shard(path: Path, numbers: range, labels: Callable[[int], object]) -> None:
    with tarfile.open(path, "w") as archive:
        for number in numbers:
            for kind, content in (("jpg", jpeg(number)), ("cls", str(labels(number)).encode())):
                member = tarfile.TarInfo(f"{number:06}.{kind}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Four shards of 15 images for training, one for testing."""
    place = tmp_path / "shards"
    place.mkdir()
    for number in range(4):
        write_shard(
            place / f"train-{number}.tar", range(15 * number, 15 * number + 15), lambda n: n % 3
        )
    write_shard(place / "val-0.tar", range(100, 115), lambda n: n % 3)
    return place


def streamed(folder: Path, **options: Any) -> Splits:
    return load(f"folder:{folder}", Reading(resize=SIDE, stream=True, **options))


def spoil(folder: Path, part: str = "train", name: str = "bee/03.jpg") -> Path:
    path = folder / part / name
    path.write_bytes(b"\xff\xd8 not a picture" + bytes(50))
    return path


def outcome(splits: Splits, execution: Execution = PLAINLY, **options: Any) -> Any:
    spec = RunSpec(data=splits.name, **{"alpha": 2.0, **RECIPE, **options})
    return run_one(Material.of(spec, splits=splits), execution)


def assert_same_weights(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def test_streamed_images_are_those_that_decoding_beforehand_gives(folder: Path) -> None:
    stream, memory = streamed(folder), load(f"folder:{folder}", Reading(resize=SIDE))
    assert stream.name.startswith("streamed-folder@")
    assert memory.name.startswith("folder@")
    for one, other in ((stream.train, memory.train), (stream.test, memory.test)):
        assert one.is_streamed
        assert not other.is_streamed
        assert np.array_equal(one.labels, other.labels)
        assert np.array_equal(one.gather(np.arange(len(one))), other.inputs)
    assert np.array_equal(stream.train.inputs[3:5], memory.train.inputs[3:5])
    assert np.array_equal(stream.train.inputs[7], memory.train.inputs[7])
    assert [a.tolist() for a in stream.train.statistics()] == [
        a.tolist() for a in memory.train.statistics()
    ]


def test_a_run_on_streamed_images_gives_the_weights_of_a_run_in_memory(folder: Path) -> None:
    stream, memory = (
        outcome(streamed(folder)),
        outcome(load(f"folder:{folder}", Reading(resize=SIDE))),
    )
    assert_same_weights(stream.model.state_dict(), memory.model.state_dict())
    assert stream.record.accuracy == memory.record.accuracy
    assert stream.record.key != memory.record.key


def test_large_pictures_are_decoded_small_and_look_the_same(tmp_path: Path) -> None:
    for name in ("ant", "bee"):
        (tmp_path / "big" / name).mkdir(parents=True)
        for index in range(2):
            (tmp_path / "big" / name / f"{index}.jpg").write_bytes(jpeg(1 + index, (400, 300)))
    stream = load(f"folder:{tmp_path / 'big'}", Reading(resize=32, stream=True)).train
    memory = load(f"folder:{tmp_path / 'big'}", Reading(resize=32)).train
    difference = np.abs(stream.inputs[:].astype(int) - memory.inputs)
    assert 0 < difference.mean() < 2


def test_identity_is_of_names_sizes_labels_and_options(folder: Path) -> None:
    name = streamed(folder).name
    assert streamed(folder).name == name
    moved = folder.rename(folder.with_name("elsewhere"))
    assert streamed(moved).name == name
    assert load(f"folder:{moved}", Reading(resize=SIDE + 1, stream=True)).name != name
    assert streamed(moved, on_corrupt="skip").name != name
    path = moved / "train" / "ant" / "00.jpg"
    path.write_bytes(path.read_bytes() + b"\0")
    other = streamed(moved).name
    assert other != name
    path.rename(path.with_name("00a.jpg"))
    assert streamed(moved).name not in (name, other)


def test_a_folder_in_one_piece_is_divided_as_in_memory_and_put_back(folder: Path) -> None:
    stream, memory = (
        streamed(folder / "train"),
        load(f"folder:{folder / 'train'}", Reading(resize=SIDE)),
    )
    assert stream.test.is_streamed
    assert np.array_equal(stream.test.inputs[:], memory.test.inputs)
    assert np.array_equal(stream.whole().inputs[:], memory.whole().inputs)
    assert np.array_equal(stream.whole().labels, memory.whole().labels)


def test_what_does_not_fit_in_memory_is_streamed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not load(f"folder:{folder}", Reading(resize=SIDE)).train.is_streamed
    monkeypatch.setattr("dilute.data.reading.exceeds_memory", lambda size: size >= 75 * 3 * SIDE**2)
    assert load(f"folder:{folder}", Reading(resize=SIDE)).train.is_streamed
    assert not load(f"folder:{folder}", Reading(resize=SIDE - 1)).train.is_streamed


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("folder:{}", {"stream": True}, "give --resize"),
        ("folder:{}", {"resize": 8, "on_corrupt": "skip"}, "add --stream"),
        ("folder:{}", {"resize": 8, "on_corrupt": "pass"}, "must be fail or skip"),
        ("digits", {"stream": True}, "digits cannot be streamed"),
        ("shards:{}", {"resize": 8, "stream": False}, "always streamed"),
        ("shards:{}", {"resize": 8}, "no training shards"),
        ("shards:{}/none-*.tar", {"resize": 8}, "no training shards"),
    ],
)
def test_what_cannot_be_streamed_says_so(
    folder: Path, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load(name.format(folder), **options)
    assert "\n" not in str(caught.value)


def test_imagenet_is_streamed_at_224_pixels(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.rename(folder.with_name("imagenet"))
    part = load("imagenet", Reading(folder.parent))
    assert part.train.is_streamed
    assert part.name.startswith("streamed-imagenet@")
    assert part.train.input_shape == (3, 224, 224)
    monkeypatch.setattr(imagenet, "_SIZES", (60, 15))
    whole = load("imagenet", Reading(folder.parent))
    assert (whole.name, whole.train.name, whole.test.name) == (
        "imagenet",
        "imagenet",
        "imagenet:test",
    )
    for options in ({"resize": SIDE}, {"on_corrupt": "skip"}):
        other = load("imagenet", Reading(folder.parent, **options))
        assert other.name.startswith("streamed-imagenet@")
    in_memory = load("imagenet", Reading(folder.parent, resize=SIDE, stream=False))
    assert in_memory.name.startswith("imagenet@")


def test_a_sample_of_imagenet_is_tested_on_itself(folder: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(DataError, match=r"^imagenet-sample is not here \(\S+ is missing\)"):
        load("imagenet-sample", Reading(folder.parent))
    folder.rename(folder.with_name("imagenet-sample"))
    assert load("imagenet-sample", Reading(folder.parent)).name.startswith(
        "streamed-imagenet-sample@"
    )
    for path in folder.with_name("imagenet-sample").rglob("*.jpg"):
        if path.parts[-3] == "val" or path.name != "00.jpg":
            path.unlink()
    shutil.rmtree(folder.with_name("imagenet-sample") / "val")
    part = load("imagenet-sample", Reading(folder.parent))
    assert part.name.startswith("streamed-imagenet-sample@")
    monkeypatch.setattr(imagenet, "_NUM_CLASSES", 3)
    found = load("imagenet-sample", Reading(folder.parent))
    assert (found.name, found.train.input_shape) == ("imagenet-sample", (3, 96, 96))
    assert len(found.train) == len(found.test) == 3


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
            "is damaged behind its member 000019.cls",
        ),
        (
            lambda content: zeroed(content, start_of(content, "000020.jpg")),
            r"\d bytes of nothing behind its member 000019.cls",
        ),
        (
            lambda content: zeroed(
                content, start_of(content, "000028.cls"), start_of(content, "000029.jpg")
            ),
            "is damaged behind its member 000028.jpg",
        ),
        (lambda content: content + content, "damaged behind|nothing behind"),
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


def test_a_shard_that_shrinks_while_it_is_read_is_named(shards: Path) -> None:
    train = load(f"shards:{shards}", Reading(resize=SIDE, on_corrupt="skip")).train
    os.truncate(shards / "train-3.tar", 600)
    with pytest.raises(DataError, match=r"train-3\.tar member 000045\.jpg is cut off: 88 of"):
        train.gather(np.array([45]))


@pytest.mark.parametrize("augment", [None, "crop_flip"])
@pytest.mark.parametrize("source", ["folder", "memory"])
def test_batches_are_the_same_for_any_number_of_workers_and_from_any_start(
    folder: Path, source: str, augment: str | None
) -> None:
    train = load(f"folder:{folder}", Reading(resize=SIDE, stream=source == "folder")).train
    visits = Visits(DilutedSet(train, 3.0, seed=5), 2, 7, augment)
    plain = list(batches(visits, 16, 0, 10))
    assert len(plain) == 10
    for first, workers in ((0, 1), (0, 2), (4, 2), (4, 0)):
        found = list(batches(visits, 16, first, 10, workers))
        assert len(found) == 10 - first
        for one, other in zip(plain[first:], found, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("workers", [0, 2])
def test_parts_of_batches_join_to_the_batches(folder: Path, workers: int) -> None:
    """What a rank reads, or a step in micro-batches: rows 3 to 12 of each batch of 16, in two parts."""
    train = load(f"folder:{folder}", Reading(resize=SIDE, stream=True)).train
    visits = Visits(DilutedSet(train, 3.0, seed=5), 2, 7, "crop_flip")
    parts = [(3, 10), (10, 12)]
    found = list(batches(visits, 16, 2, 5, workers, parts=parts))
    for number, whole in enumerate(batches(visits, 16, 2, 5)):
        for (first, last), part in zip(parts, found[2 * number : 2 * number + 2], strict=True):
            assert all(torch.equal(a[first:last], b) for a, b in zip(whole, part, strict=True))
    assert len(found) == 6


def test_augmentation_is_a_function_of_seed_and_position(folder: Path) -> None:
    train = load(f"folder:{folder}", Reading(resize=SIDE)).train
    noisy = DilutedSet(train, 1.0)
    visits = Visits(noisy, 1, 0, "crop_flip")
    whole = visits.batch(0, 40)
    assert np.array_equal(whole.inputs[13:20], Visits(noisy, 1, 0, "crop_flip").batch(13, 20)[0])
    plain = Visits(noisy, 1, 0).batch(0, 40)
    assert np.array_equal(whole.images, plain.images)
    assert np.array_equal(whole.targets, plain.targets)
    changed = (whole.inputs != plain.inputs).any(axis=(1, 2, 3))
    assert changed.mean() > 0.9
    again = visits.batch(120, 240)  # the next epoch, with the same images
    same_image = again.inputs[np.flatnonzero(again.images == whole.images[0])]
    assert not any(np.array_equal(other, whole.inputs[0]) for other in same_image)


def test_crops_are_torchvisions_whatever_the_generator_was(folder: Path) -> None:
    from torchvision.transforms import v2

    image = torch.arange(3 * 20 * 30).reshape(3, 20, 30).to(torch.uint8)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    found = [crop_flip(image, 8, 8, word << 1) for word in range(40)]
    assert torch.equal(torch.get_rng_state(), before)
    mirrored = 0
    for word, ours in enumerate(found):
        torch.manual_seed(word)
        theirs = v2.RandomResizedCrop(8, antialias=True)(image)
        mirrored += int(not torch.equal(ours, theirs))
        assert torch.equal(ours, theirs) or torch.equal(ours, theirs.flip(-1))
    assert 8 <= mirrored <= 32  # of 40; outside once in 10,000 times


def test_streamed_crops_come_from_the_whole_picture(tmp_path: Path) -> None:
    wide = np.zeros((10, 60, 3), np.uint8)
    wide[:, :20] = 255  # outside the centre square
    for name in ("ant", "bee"):
        (tmp_path / "wide" / name).mkdir(parents=True)
        for index in range(2):
            Image.fromarray(wide).save(tmp_path / "wide" / name / f"{index}.png")
    words = seeds.raw(0, "test", count=50)
    train = load(f"folder:{tmp_path / 'wide'}", Reading(resize=10, stream=True)).train
    assert train.inputs[:].max() == 0
    assert train.gather(np.zeros(50, dtype=np.int64), words).max() == 255
    memory = load(f"folder:{tmp_path / 'wide'}", Reading(resize=10)).train
    assert memory.gather(np.zeros(50, dtype=np.int64), words).max() == 0


def test_augmented_runs_have_keys_of_their_own_and_repeat(folder: Path) -> None:
    memory = load(f"folder:{folder}", Reading(resize=SIDE))
    plain, first, second = (
        outcome(memory, Execution(threads=1, loader_workers=workers), augment=augment)
        for workers, augment in ((0, None), (0, "crop_flip"), (2, "crop_flip"))
    )
    assert_same_weights(first.model.state_dict(), second.model.state_dict())
    assert first.record.key == second.record.key != plain.record.key
    assert "augment" not in plain.record.spec
    ours, theirs = first.model.state_dict(), plain.model.state_dict()
    pairs = ((ours[name], theirs[name]) for name in theirs)
    assert not all(torch.equal(one, other) for one, other in pairs)


def test_features_cannot_be_augmented() -> None:
    features = LabelledSet(np.zeros((6, 4), np.float32), np.arange(6) % 2, ("a", "b"))
    with pytest.raises(SpecError, match="it is for images"):
        Visits(DilutedSet(features, 0.0), 1, 0, "crop_flip")


def test_resumed_with_workers_gives_the_same_weights(folder: Path, tmp_path: Path) -> None:
    splits, options = streamed(folder), {"augment": "crop_flip", "copies": 1}
    whole = outcome(splits, **options)
    at = Execution(threads=1, loader_workers=2, checkpoint=tmp_path / "checkpoint")
    stops = iter([False, False, True])
    with pytest.raises(Interrupted):
        outcome(splits, replace(at, should_stop=lambda: next(stops)), **options)
    assert_no_workers_left()
    resumed = outcome(splits, replace(at, loader_workers=1), **options)
    assert_same_weights(resumed.model.state_dict(), whole.model.state_dict())
    assert resumed.record.accuracy == whole.record.accuracy


def assert_no_workers_left() -> None:
    deadline = time.monotonic() + 20
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_corrupt_image_stops_the_run_with_its_name(folder: Path, workers: int) -> None:
    splits = streamed(folder)
    splits.train.statistics()
    path = folder / "train" / "bee" / "03.jpg"
    size = path.stat().st_size
    path.write_bytes(b"?" * size)  # as large as it was when it was listed
    visits = Visits(DilutedSet(splits.train, 0.0), 1, 0)
    with pytest.raises(DataError, match=r"03\.jpg does not decode as an image") as caught:
        list(batches(visits, 8, 0, 8, workers))
    assert "\n" not in str(caught.value)
    assert_no_workers_left()


@pytest.mark.parametrize("workers", [0, 2])
def test_skipped_images_count_for_nothing_and_are_counted(
    folder: Path, workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(folder)
    spoil(folder, name="cat/11.jpg")
    spoil(folder, "val", "ant/02.jpg")
    splits = streamed(folder, on_corrupt="skip")
    execution = Execution(threads=1, loader_workers=workers)
    found = outcome(splits, execution, heldout_fraction=0.0, budget_steps=12)
    assert found.record.unreadable_images == 3
    assert found.record.status == "done"
    (warning,) = [entry.getMessage() for entry in caplog.records]
    assert warning.startswith("3 images do not decode and counted for nothing: ")
    assert "bee/03.jpg" in warning
    assert "\n" not in warning
    assert outcome(streamed(folder / "train", on_corrupt="skip")).record.unreadable_images == 2


@pytest.mark.parametrize("method", ["cross_entropy", "mixup", "co_teaching", "elr", "em_known"])
@pytest.mark.parametrize("lost", [1, 8])
def test_skipped_images_change_no_gradient(small: LabelledSet, method: str, lost: int) -> None:
    noisy = DilutedSet(small, 1.0)
    images = torch.arange(0, 80, 10)
    targets = torch.eye(3)[torch.from_numpy(small.labels[images.numpy()])]
    weights = torch.ones(8)
    weights[:lost] = 0
    gradients = []
    for grey in (0.0, 128.0):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
        objective = make_method(method).objective(Observed(noisy), model, 0)
        objective.before_step(0, 10, model)
        inputs = torch.from_numpy(small.inputs[images.numpy()]).float() / 100
        inputs[:lost] = grey
        torch.manual_seed(1)
        objective(model, TensorBatch(inputs, targets, weights, images)).backward()
        gradients.append(model[1].weight.grad.clone())
    assert torch.equal(*gradients)
    assert bool(gradients[0].any()) == (lost < 8)


@pytest.mark.parametrize("method", ["em_estimated", "forward_estimated", "backward_estimated"])
def test_looks_leave_out_what_cannot_be_read(folder: Path, method: str) -> None:
    spoil(folder)
    train = streamed(folder, on_corrupt="skip").train
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE**2, 3))
    with torch.no_grad():
        model[1].weight.mul_(0.01)
    laws = []
    for rows in (np.arange(60), np.delete(np.arange(60), 23)):
        observed = Observed(DilutedSet(train, 0.0, rows=rows))
        objective = make_method(method).objective(observed, model, 0)
        objective.before_step(5 if method != "em_estimated" else 2, 10, SurestOfGrey(model))
        laws.append(objective.law)
    assert torch.equal(*laws)


class SurestOfGrey(nn.Module):
    """A network that is surest of grey."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        is_grey = (inputs == 128).flatten(1).all(dim=1).float()
        return self.network(inputs.float()) + 9 * is_grey[:, None] * torch.tensor([1.0, 0.0, -1.0])


def test_skipped_images_of_an_interrupted_session_are_counted(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dilute.data.labelled.STATISTICS_IMAGES", 1)  # as of far more images
    for name in ("ant/03.jpg", "bee/07.jpg", "cat/11.jpg"):
        spoil(folder, name=name)
    options: dict[str, Any] = {"alpha": 0.0, "heldout_fraction": 0.0, "batch_size": 10}
    options |= {"budget_steps": 6, "curve_points": 1}
    at = Execution(threads=1, checkpoint=tmp_path / "checkpoint")
    stops = iter([False, False, False, False, True])
    stopping = replace(at, should_stop=lambda: next(stops))
    with pytest.raises(Interrupted):
        outcome(streamed(folder, on_corrupt="skip"), stopping, **options)
    found = outcome(streamed(folder, on_corrupt="skip"), at, **options)
    assert found.record.unreadable_images == 3


def test_a_skipped_image_has_weight_zero_and_is_no_part_of_the_score(folder: Path) -> None:
    spoil(folder)
    train = streamed(folder, on_corrupt="skip").train
    batch = Visits(DilutedSet(train, 1.0), "all", 0).batch(0, 60)
    lost = np.flatnonzero(batch.weights == 0)
    assert batch.images[lost].tolist() == [23]
    assert (batch.inputs[lost] == 128).all()
    assert (np.delete(batch.weights, lost) == 1).all()
    from dilute.training import evaluate

    class Constant(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(inputs), 3)

    assert evaluate(Constant(), DilutedSet(train, 1.0), torch.device("cpu")).num_labels == 118


def test_no_image_that_can_judge_is_one_line(folder: Path) -> None:
    for path in (folder / "val").rglob("*.jpg"):
        spoil(folder, "val", str(path.relative_to(folder / "val")))
    splits = streamed(folder, on_corrupt="skip")
    with pytest.raises(
        DataError,
        match=r":test: none of the 15 images that are to judge the model can be read; get",
    ):
        outcome(splits)


def test_statistics_leave_out_what_cannot_be_read(folder: Path) -> None:
    path = spoil(folder)
    with_it = streamed(folder, on_corrupt="skip").train.statistics()
    path.unlink()
    without = streamed(folder).train.statistics()
    assert np.array_equal(with_it, without)


def test_statistics_of_a_large_set_are_of_a_drawn_part(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = streamed(folder).train
    monkeypatch.setattr("dilute.data.labelled.STATISTICS_IMAGES", 30)
    mean, _ = train.statistics()
    assert np.array_equal(mean, train.statistics()[0])
    monkeypatch.undo()
    exact, deviation = train.statistics()
    assert not np.array_equal(mean, exact)
    assert np.abs(mean - exact).max() < deviation.max() / 2


def test_a_file_that_has_gone_is_never_skipped(folder: Path) -> None:
    train = streamed(folder, on_corrupt="skip").train
    (folder / "train" / "ant" / "05.jpg").unlink()
    with pytest.raises(DataError, match=r"cannot read .*05\.jpg: No such file"):
        train.gather(np.array([5]))


class Slow(Visits):
    """Visits that never come, or whose process dies."""

    def __init__(self, visits: Visits, happens: Callable[[], object]) -> None:
        super().__init__(visits.noisy, visits.copies, visits.seed)
        self.happens = happens

    def batch(self, start: int, stop: int) -> Any:
        if start >= 16:
            self.happens()
        return super().batch(start, stop)


def raises(error: Exception) -> Any:
    raise error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("the\nreason"), "^loading ahead failed: RuntimeError: the reason$"),
        (ValueError("no luck"), "^loading ahead failed: ValueError: no luck$"),
        (
            MemoryError("of 8 GB"),
            "^loading ahead failed: MemoryError: of 8 GB; take fewer --loader-workers or",
        ),
    ],
)
def test_what_fails_in_a_worker_keeps_its_reason(
    small: LabelledSet, error: Exception, message: str
) -> None:
    visits = Slow(Visits(DilutedSet(small, 0.0), 1, 0), lambda: raises(error))
    with pytest.raises(DataError, match=message) as caught:
        list(batches(visits, 8, 0, 10, workers=1))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
def test_workers_are_forked_whatever_is_usual(small: LabelledSet) -> None:
    """Else a copy of all labels would be sent to each; a function without a name cannot be."""
    visits = Slow(Visits(DilutedSet(small, 0.0), 1, 0), lambda: None)
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("spawn", force=True)
    try:
        assert len(list(batches(visits, 8, 0, 10, workers=1))) == 10
    finally:
        multiprocessing.set_start_method(before, force=True)


def test_lack_of_memory_is_no_corrupt_image(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = streamed(folder, on_corrupt="skip").train
    monkeypatch.setattr(Image, "open", lambda *_, **__: raises(MemoryError()))
    with pytest.raises(MemoryError):
        train.gather(np.array([5]))
    assert not train.unreadable_rows()


@pytest.mark.parametrize(
    ("happens", "message"),
    [
        (lambda: time.sleep(60), "no batch came within 2 s"),
        (
            lambda: os.kill(os.getpid(), signal.SIGKILL),
            r"loading ahead failed: .*; if memory ran out",
        ),
    ],
)
def test_a_worker_that_hangs_or_dies_does_not_hang_training(
    small: LabelledSet, happens: Callable[[], object], message: str
) -> None:
    visits = Slow(Visits(DilutedSet(small, 0.0), 1, 0), happens)
    started = time.monotonic()
    with pytest.raises(DataError, match=message) as caught:
        list(batches(visits, 8, 0, 10, workers=1, timeout_seconds=2))
    assert "\n" not in str(caught.value)
    assert time.monotonic() - started < 30
    assert_no_workers_left()


SLOW_COMMAND = """
import sys, time
from pathlib import Path
from dilute.dilution import Visits

class Slowly(Visits):
    def batch(self, start, stop):
        mark = Path(sys.argv[1])
        if start >= 64 and not mark.exists():
            mark.touch()
            time.sleep(3)
        return super().batch(start, stop)

import dilute.training.loop
dilute.training.loop.Visits = Slowly
from dilute.cli import main
sys.exit(main(sys.argv[2:]))
"""


def slow_run(mark: Path, store: Path) -> list[str]:
    options = [
        "run",
        "digits",
        "--model",
        "mlp1",
        "--alpha",
        "1",
        "--steps",
        "30",
        "--threads",
        "1",
    ]
    options += ["--batch-size", "16", "--loader-workers", "1", "--store", str(store)]
    return [sys.executable, "-c", SLOW_COMMAND, str(mark), *options]


def wait_for(mark: Path) -> None:
    deadline = time.monotonic() + 60
    while not mark.exists():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    time.sleep(0.7)  # until what was made before is used up


def test_sigterm_to_the_whole_group_writes_a_checkpoint(tmp_path: Path) -> None:
    """As torchrun, Slurm and systemd send it: to the loader's workers, too, for which the run waits just then."""
    mark, store = tmp_path / "mark", tmp_path / "runs"
    process = subprocess.Popen(
        slow_run(mark, store), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for(mark)
    os.killpg(process.pid, signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.splitlines()[-1].startswith("dilute: interrupted: stopped after step ")
    assert len(list(store.glob("*.checkpoint.safetensors"))) == 1
    again = subprocess.run(slow_run(mark, store), check=True, capture_output=True, text=True)
    assert "30/30" in again.stderr
    assert len(list(store.glob("*.json"))) == 1


@pytest.mark.slow
def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    process = subprocess.Popen(
        slow_run(tmp_path / "mark", tmp_path / "runs"), stderr=subprocess.DEVNULL
    )
    wait_for(tmp_path / "mark")
    workers = psutil.Process(process.pid).children()
    assert workers
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive


def test_threads_give_what_one_thread_gives(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dilute.data.encoded.SMALL_IMAGE_BYTES", 0)
    train = streamed(folder).train
    words = seeds.raw(0, "test", count=60)
    before, alive = torch.get_num_threads(), threading.active_count()
    try:
        results = []
        for threads in (1, 4):
            torch.set_num_threads(threads)
            results.append(train.gather(np.arange(60), words))
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(*results)
    assert threading.active_count() <= alive, "none lives on"


@pytest.mark.parametrize("method", ["neighbours_estimated", "patches_estimated"])
def test_methods_that_need_all_images_at_once_refuse_streams(folder: Path, method: str) -> None:
    with pytest.raises(SpecError, match="needs all images in memory at once") as caught:
        outcome(streamed(folder), method=method)
    assert "\n" not in str(caught.value)


def test_a_sweep_streams_what_its_plan_streamed(folder: Path, monkeypatch: Any) -> None:
    from dilute.sweeps import make_plan

    monkeypatch.setattr("dilute.data.reading.exceeds_memory", lambda size: size > 0)
    spec = RunSpec(data=f"folder:{folder}", alpha=1.0, **RECIPE)
    plan = make_plan([spec], reading=Reading(resize=SIDE))
    ((name, source),) = plan.sources.items()
    assert name.startswith("streamed-folder@")
    assert source.reading.stream


def test_command_streams_augments_and_loads_ahead(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    from dilute.cli import main

    spoil(folder)
    options = ["run", f"folder:{folder}", "--model", "mlp1", "--alpha", "2", "--steps", "12"]
    options += ["--batch-size", "16", "--copies", "1", "--threads", "1", "--json"]
    options += ["--store", str(tmp_path / "runs"), "--resize", str(SIDE), "--stream"]
    ahead = ["--loader-workers", "1", "--augment", "crop_flip", "--on-corrupt", "skip"]
    assert main([*options, *ahead]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["spec"]["data"].startswith("streamed-folder@")
    assert record["spec"]["augment"] == "crop_flip"
    assert record["unreadable_images"] == 1
    assert "1 images do not decode" in caplog.text
    assert main(options) == 1
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line for line in err.splitlines() if "03.jpg" in line]
    assert len(lines) == 1
    assert "does not decode as an image" in lines[0]
    assert "Traceback" not in err


def test_command_streams_judges_and_noisy_images_too(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from dilute.cli import main

    paths = {}
    for name in ("noisy", "judge"):
        paths[name] = shutil.copytree(folder, tmp_path / name)
        spoil(paths[name])
    run = ["run", f"folder:{folder}", "--model", "mlp1", "--alpha", "2", "--steps", "12"]
    run += ["--noisy-images", f"folder:{paths['noisy']}", "--heldout", f"folder:{paths['judge']}"]
    run += ["--store", str(tmp_path / "runs"), "--resize", str(SIDE), "--json", "--threads", "1"]
    assert main([*run, "--stream", "--on-corrupt", "skip"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["spec"]["noisy_images"].startswith("streamed-folder@")
    assert record["unreadable_images"] == 2
    assert main([*run, "--stream"]) == 1
    assert "03.jpg does not decode as an image" in capsys.readouterr().err


def test_command_streams_noisy_images_beside_data_in_memory(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from dilute.cli import main

    np.savez(
        tmp_path / "own.npz",
        x_train=np.zeros((30, 3, SIDE, SIDE), np.uint8),
        y_train=np.arange(30) % 3,
    )
    run = ["run", f"npz:{tmp_path / 'own.npz'}", "--model", "mlp1", "--alpha", "1", "--steps", "2"]
    run += ["--noisy-images", f"folder:{folder}", "--resize", str(SIDE), "--stream", "--json"]
    assert main([*run, "--store", str(tmp_path / "runs")]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["spec"]["data"].startswith("npz@")
    assert record["spec"]["noisy_images"].startswith("streamed-folder@")


@pytest.mark.slow
def test_judging_takes_twelve_bytes_per_image_and_class() -> None:
    """Beside what a batch takes: probabilities and counts of 8,000 images of 1,000 classes, in a process of their own."""
    code = (
        "import numpy as np, torch, scipy.optimize; from torch import nn; from dilute.data import LabelledSet; "
        "from dilute.dilution import DilutedSet; from dilute.environment import peak_memory_bytes; "
        "from dilute.training import evaluate; torch.set_num_threads(1); "
        "images, labels = np.zeros((8000, 1, 1, 1), np.uint8), np.arange(8000) % 1000; "
        "noisy = DilutedSet(LabelledSet(images, labels, tuple(map(str, range(1000)))), 5.0); "
        "model = nn.Identity(); model.forward = lambda images: torch.zeros(len(images), 1000); "
        "evaluate(model, noisy, torch.device('cpu')); before = peak_memory_bytes(); "
        "evaluate(model, noisy, torch.device('cpu'), mixes=True); print(peak_memory_bytes() - before)"
    )
    grown = int(subprocess.check_output([sys.executable, "-c", code]))
    assert 6 < grown / 8e6 < 18


@pytest.mark.slow
def test_memory_does_not_grow_with_alpha(folder: Path) -> None:
    """Peak memory of training on a thousand streamed images, each process its own: labels alone may be added."""
    for label, name in enumerate(CLASSES):
        for index in range(100, 430):
            (folder / "train" / name / f"{index}.jpg").write_bytes(jpeg(1000 * label + index))
    code = (
        "import sys, torch, dilute; from dilute.environment import peak_memory_bytes; "
        "from dilute.runs import RunSpec, Execution, Material, run_one; torch.set_num_threads(1); "
        "splits = dilute.load('folder:' + sys.argv[1], dilute.Reading(resize=96, stream=True)); "
        "spec = RunSpec(data=splits.name, alpha=float(sys.argv[2]), model='mlp1', batch_size=64, budget_steps=40, "
        "copies=1, curve_points=1); run_one(Material.of(spec, splits=splits), Execution(threads=1)); print(peak_memory_bytes())"
    )
    peaks = [
        int(subprocess.check_output([sys.executable, "-c", code, str(folder), str(alpha)]))
        for alpha in (0, 5, 50)
    ]
    images = 1000 * 3 * 96**2
    # Repeated, the same run differs by up to twice that; 50 copies of the images would be 1.4 GB.
    assert max(peaks) - min(peaks) < 4 * images, peaks
