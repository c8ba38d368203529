"""Data larger than memory: the same numbers whoever reads, and one line for what is broken."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import CLASSES, RECIPE, SIDE, assert_same_weights, jpeg, outcome, spoil, streamed

from dilute import seeds
from dilute.data import Augmentation, Reading, imagenet, load
from dilute.errors import DataError, SpecError
from dilute.runs import RunSpec

pytestmark = pytest.mark.numerical


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
        load(name.format(folder), Reading(**options))
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


def test_threads_give_what_one_thread_gives(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dilute.data.encoded.SMALL_IMAGE_BYTES", 0)
    train = streamed(folder).train
    crops = Augmentation("crop_flip", seeds.raw(0, "test", count=60))
    before, alive = torch.get_num_threads(), threading.active_count()
    try:
        results = []
        for threads in (1, 4):
            torch.set_num_threads(threads)
            results.append(train.gather(np.arange(60), crops))
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
    assert "1 image does not decode" in caplog.text
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
    """Beside what a batch takes: probabilities and counts of 8,000 images of 1,000 classes.

    All in a process of its own.
    """
    code = (
        "import numpy as np, torch, scipy.optimize; from torch import nn; "
        "from dilute.data import LabelledSet; "
        "from dilute.dilution import DilutedSet; from dilute.environment import peak_memory_bytes; "
        "from dilute.training import evaluate; torch.set_num_threads(1); "
        "images, labels = np.zeros((8000, 1, 1, 1), np.uint8), np.arange(8000) % 1000; "
        "noisy = DilutedSet(LabelledSet(images, labels, tuple(map(str, range(1000)))), 5.0); "
        "model = nn.Identity(); model.forward = lambda images: torch.zeros(len(images), 1000); "
        "evaluate(model, noisy, torch.device('cpu')); before = peak_memory_bytes(); "
        "evaluate(model, noisy, torch.device('cpu'), mixes=True); "
        "print(peak_memory_bytes() - before)"
    )
    grown = int(subprocess.check_output([sys.executable, "-c", code]))
    assert 6 < grown / 8e6 < 18


@pytest.mark.slow
def test_memory_does_not_grow_with_alpha(folder: Path) -> None:
    """Peak memory of training on a thousand streamed images: labels alone may be added.

    Each training is a process of its own.
    """
    for label, name in enumerate(CLASSES):
        for index in range(100, 430):
            (folder / "train" / name / f"{index}.jpg").write_bytes(jpeg(1000 * label + index))
    code = (
        "import sys, torch, dilute; from dilute.environment import peak_memory_bytes; "
        "from dilute.runs import RunSpec, Execution, Material, run_one; torch.set_num_threads(1); "
        "splits = dilute.load('folder:' + sys.argv[1], dilute.Reading(resize=96, stream=True)); "
        "spec = RunSpec(data=splits.name, alpha=float(sys.argv[2]), model='mlp1', batch_size=64, "
        "budget_steps=40, copies=1, curve_points=1); "
        "run_one(Material.of(spec, splits=splits), Execution(threads=1)); "
        "print(peak_memory_bytes())"
    )
    peaks = [
        int(subprocess.check_output([sys.executable, "-c", code, str(folder), str(alpha)]))
        for alpha in (0, 5, 50)
    ]
    images = 1000 * 3 * 96**2
    # Repeated, the same run differs by up to twice that; 50 copies of the images would be 1.4 GB.
    assert max(peaks) - min(peaks) < 4 * images, peaks
