"""Batches loaded ahead: the same for any number of workers, augmented or not; no worker left."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from pictures import SIDE, assert_no_workers_left, assert_same_weights, outcome, raises, streamed
from PIL import Image
from slow_loading import slow_run, wait_for

from dilute import seeds
from dilute.data import LabelledSet, Reading, load
from dilute.data.augmentation import Augmentation, crop_flip, shift_flip_all
from dilute.dilution import DilutedSet, Visits
from dilute.errors import DataError, SpecError
from dilute.interruption import Interrupted
from dilute.runs import Execution
from dilute.training.batches import batches

pytestmark = pytest.mark.numerical


@pytest.mark.parametrize("augment", [None, "crop_flip", "shift_flip"])
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
    """What a rank, or a step in micro-batches, reads: rows 3 to 12 of each 16, in two parts."""
    train = load(f"folder:{folder}", Reading(resize=SIDE, stream=True)).train
    visits = Visits(DilutedSet(train, 3.0, seed=5), 2, 7, "crop_flip")
    parts = [(3, 10), (10, 12)]
    found = list(batches(visits, 16, 2, 5, workers, parts=parts))
    for number, whole in enumerate(batches(visits, 16, 2, 5)):
        for (first, last), part in zip(parts, found[2 * number : 2 * number + 2], strict=True):
            assert all(torch.equal(a[first:last], b) for a, b in zip(whole, part, strict=True))
    assert len(found) == 6


@pytest.mark.parametrize("kind", ["crop_flip", "shift_flip"])
def test_augmentation_is_a_function_of_seed_and_position(folder: Path, kind: str) -> None:
    train = load(f"folder:{folder}", Reading(resize=SIDE)).train
    noisy = DilutedSet(train, 1.0)
    visits = Visits(noisy, 1, 0, kind)
    whole = visits.batch(0, 40)
    assert np.array_equal(whole.inputs[13:20], Visits(noisy, 1, 0, kind).batch(13, 20)[0])
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


def test_shifts_are_even_reflected_and_mirrored_half_the_time() -> None:
    """Each image is one of its 2 × 9 × 7 shifts, each about as often; the sums are exact."""
    image = np.arange(1, 32 * 24 + 1, dtype=np.uint16).reshape(32, 24) % 251
    image = np.stack([image, image // 2]).astype(np.uint8)
    count = 20_000
    words = seeds.raw(1, "test", count=count)
    found = shift_flip_all(np.broadcast_to(image, (count, 2, 32, 24)), words)
    padded = np.pad(image, ((0, 0), (4, 4), (3, 3)), mode="reflect")
    shifts = {}
    for top in range(9):
        for left in range(7):
            window = padded[:, top : top + 32, left : left + 24]
            shifts[window.tobytes()] = (top, left, False)
            shifts[np.ascontiguousarray(window[..., ::-1]).tobytes()] = (top, left, True)
    assert len(shifts) == 2 * 9 * 7
    seen = np.array([shifts[one.tobytes()] for one in found])
    # Five standard errors of each share.
    for column, values in enumerate((9, 7, 2)):
        shares = np.bincount(seen[:, column], minlength=values) / count
        error = np.sqrt((1 - 1 / values) / values / count)
        assert np.abs(shares - 1 / values).max() < 5 * error
    assert np.abs(np.corrcoef(seen.T)[np.triu_indices(3, 1)]).max() < 5 / np.sqrt(count)


def test_streamed_crops_come_from_the_whole_picture(tmp_path: Path) -> None:
    wide = np.zeros((10, 60, 3), np.uint8)
    wide[:, :20] = 255  # outside the centre square
    for name in ("ant", "bee"):
        (tmp_path / "wide" / name).mkdir(parents=True)
        for index in range(2):
            Image.fromarray(wide).save(tmp_path / "wide" / name / f"{index}.png")
    crops = Augmentation("crop_flip", seeds.raw(0, "test", count=50))
    train = load(f"folder:{tmp_path / 'wide'}", Reading(resize=10, stream=True)).train
    assert train.inputs[:].max() == 0
    assert train.gather(np.zeros(50, dtype=np.int64), crops).max() == 255
    memory = load(f"folder:{tmp_path / 'wide'}", Reading(resize=10)).train
    assert memory.gather(np.zeros(50, dtype=np.int64), crops).max() == 0


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


class Slow(Visits):
    """Visits that never come, or whose process dies."""

    def __init__(self, visits: Visits, happens: Callable[[], object]) -> None:
        super().__init__(visits.noisy, visits.copies, visits.seed)
        self.happens = happens

    def batch(self, start: int, stop: int) -> Any:
        if start >= 16:
            self.happens()
        return super().batch(start, stop)


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


def test_sigterm_to_the_whole_group_writes_a_checkpoint(tmp_path: Path) -> None:
    """As torchrun, Slurm and systemd send it: to loader workers, too, which the run awaits."""
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
