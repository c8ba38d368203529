"""Images that do not decode: named, or skipped and counted for nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import SIDE, assert_no_workers_left, outcome, raises, spoil, streamed
from PIL import Image
from torch import nn

from dilute.data import LabelledSet
from dilute.dilution import DilutedSet, Visits
from dilute.errors import DataError
from dilute.interruption import Interrupted
from dilute.methods import Observed, TensorBatch, make_method
from dilute.runs import Execution
from dilute.training.batches import batches


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


def test_lack_of_memory_is_no_corrupt_image(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = streamed(folder, on_corrupt="skip").train
    monkeypatch.setattr(Image, "open", lambda *_, **__: raises(MemoryError()))
    with pytest.raises(MemoryError):
        train.gather(np.array([5]))
    assert not train.unreadable_rows()
