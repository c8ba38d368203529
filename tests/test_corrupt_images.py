"""Images that do not decode: named, or skipped and counted for nothing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from pictures import CLASSES, SIDE, assert_no_workers_left, outcome, raises, spoil, streamed
from PIL import Image
from torch import nn

from dilute.data import check_images
from dilute.data.reading import Reading
from dilute.dilution import Batch, DilutedSet, NoisySet, Visits
from dilute.errors import DataError
from dilute.gradients import Glances, Sampling, measure_gradients
from dilute.interruption import Interrupted
from dilute.methods import Observed, make_method
from dilute.models import build
from dilute.models.fast import Whitening
from dilute.runs import Execution, fresh_model
from dilute.training import Recipe, Scaled, Trained
from dilute.training.batches import batches
from dilute.training.division import Division, backward
from dilute.world import World

pytestmark = pytest.mark.numerical


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


BATCH = 12
CPU = torch.device("cpu")
METHODS_OF_ALL_KINDS = ["cross_entropy", "mixup", "co_teaching", "elr", "em_known"]


def gradient(
    noisy: NoisySet,
    name: str,
    method: str,
    divisions: tuple[Division, ...] = (Division(World()),),
    *,
    batch_size: int = BATCH,
    step: int = 0,
    workers: int = 0,
) -> torch.Tensor:
    """Return the gradient of a batch, summed over divisions; nothing where no parameter has one."""
    torch.manual_seed(0)
    network = build(name, noisy.clean.input_shape, noisy.num_classes)
    nn.init.normal_(list(network.children())[-1].weight)  # or no gradient would go deeper
    model = Scaled(network, np.zeros(3), np.full(3, 100.0)).train()
    objective = make_method(method).objective(Observed(noisy), model, 0)
    objective.before_step(0, 10, model)
    for one in divisions:
        visits = Visits(noisy, "all", 0)
        parts = one.parts(batch_size)
        ahead = batches(visits, batch_size, step, step + 1, workers, parts=parts)
        backward(objective, model, ahead, batch_size, division=one, seed=5, device=CPU)
    found = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return torch.cat(found) if found else torch.zeros(0)


def spoil_visits(folder: Path, *places: int) -> NoisySet:
    """Spoil the images of the visits at `places` in the sequence; return the set without them."""
    noisy = DilutedSet(streamed(folder).train, 1.0)
    order = Visits(noisy, "all", 0).order(0, 60)
    for row in order[list(places)]:
        spoil(folder, name=f"{CLASSES[row // 20]}/{row % 20:02}.jpg")
    return DilutedSet(streamed(folder, on_corrupt="skip").train, 1.0)


@pytest.mark.parametrize("method", METHODS_OF_ALL_KINDS)
def test_methods_see_what_decodes_and_the_mean_is_over_the_planned_batch(
    folder: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    noisy = spoil_visits(folder, 0, 7)
    found = gradient(noisy, "mlp1", method)
    whole = Visits.batch

    def present(visits: Visits, *_: int) -> Batch:
        batch = whole(visits, 0, BATCH)
        assert batch.skipped.tolist() == [0, 7]
        return batch._replace(skipped=np.empty(0, dtype=np.int64))

    monkeypatch.setattr(Visits, "batch", present)
    expected = gradient(noisy, "mlp1", method, batch_size=10) * (10 / BATCH)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("model", ["mlp1", "conv4"])
def test_a_batch_with_skipped_images_may_be_divided(folder: Path, model: str) -> None:
    """Also Conv4, whose dropout goes by a row's place in the whole batch; a part may be empty."""
    noisy = spoil_visits(folder, 0, 1, 2, 7)
    whole = gradient(noisy, model, "cross_entropy")
    for divisions in (
        (Division(World(), 5),),
        tuple(Division(World(rank, 4)) for rank in range(4)),  # rank 0 has nothing
        tuple(Division(World(rank, 2), 3) for rank in range(2)),
    ):
        other = gradient(noisy, model, "cross_entropy", divisions)
        torch.testing.assert_close(other, whole, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("method", METHODS_OF_ALL_KINDS)
def test_a_batch_without_an_image_gives_no_gradient(folder: Path, method: str) -> None:
    noisy = spoil_visits(folder, *range(12))
    assert len(gradient(noisy, "mlp1", method)) == 0
    assert len(gradient(noisy, "mlp1", method, step=1)) > 0


def test_layers_that_talk_to_other_ranks_see_a_part_without_an_image(folder: Path) -> None:
    class Synchronised(nn.SyncBatchNorm):
        rows: ClassVar[list[int]] = []

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            self.rows.append(len(values))
            return values * self.weight

    class Flat(nn.Sequential):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return super().forward(inputs.float())

    noisy = spoil_visits(folder, 0, 1, 2)
    side = noisy.clean.input_shape[-1]
    model = Flat(nn.Flatten(), Synchronised(3 * side**2), nn.Linear(3 * side**2, 3))
    objective = make_method("cross_entropy").objective(Observed(noisy), model, 0)
    division = Division(World(0, 4))
    ahead = batches(Visits(noisy, "all", 0), 12, 0, 1, parts=division.parts(12))
    loss = backward(objective, model, ahead, 12, division=division, seed=5, device=CPU)
    assert Synchronised.rows == [0]
    assert float(loss) == 0
    assert not model[2].weight.grad.any()


def test_what_a_worker_skips_is_known_here_too(folder: Path) -> None:
    noisy = spoil_visits(folder, 0, 7)
    expected = gradient(spoil_visits(folder, 0, 7), "conv4", "cross_entropy")
    assert torch.equal(gradient(noisy, "conv4", "cross_entropy", workers=1), expected)
    order = Visits(noisy, "all", 0).order(0, 60)
    assert noisy.clean.unreadable == set(order[[0, 7]].tolist())


def test_visits_of_two_sources_leave_out_those_of_each(folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "other"))

    def first_epoch() -> Batch:
        clean, pool = (streamed(place, on_corrupt="skip").train for place in (folder, other))
        return Visits(DilutedSet(clean, 1.0, images=pool), 1, 3).batch(0, 120)

    whole = first_epoch()
    assert not len(whole.skipped)
    spoil(folder)
    spoil(other, name="ant/02.jpg")
    spoil(other, name="cat/19.jpg")
    batch = first_epoch()
    assert len(batch.skipped) == 3
    for name in ("inputs", "targets", "weights", "images"):
        left = np.delete(getattr(whole, name), batch.skipped, axis=0)
        assert np.array_equal(getattr(batch, name), left), name


def test_gradients_are_measured_of_what_decodes(folder: Path) -> None:
    for index in range(20):
        spoil(folder, name=f"ant/{index:02}.jpg")
    noisy = DilutedSet(streamed(folder, on_corrupt="skip").train, 1.0)
    torch.manual_seed(0)
    network = build("mlp1", noisy.clean.input_shape, 3)
    model = Scaled(network, np.zeros(3), np.full(3, 100.0))
    sampling = Sampling(signal_batches=8, signal_batch_size=4, noise_batches=16)
    report = measure_gradients(model, noisy, sampling=sampling)
    assert report.signals[0].clean_length > 0
    recipe = Recipe(batch_size=4, budget_steps=1, curve_points=1)
    point = Glances(recipe, CPU)(Trained(), model, Visits(noisy, 1, 0))
    assert point.noise_scale is not None


def test_all_images_can_be_checked_beforehand(folder: Path) -> None:
    spoiled = [spoil(folder), spoil(folder, name="cat/11.jpg"), spoil(folder, "val", "ant/02.jpg")]
    seen: list[tuple[int, int]] = []
    found = check_images(f"folder:{folder}", on_progress=lambda *now: seen.append(now))
    assert found == [str(path) for path in spoiled]
    assert seen == [(60, 75), (75, 75)]
    record = outcome(streamed(folder, on_corrupt="skip"), budget_steps=12).record
    assert record.unreadable_images == len(found)
    for path in spoiled:
        path.unlink()
    assert check_images(f"folder:{folder}", Reading(resize=8)) == []


def test_what_cannot_be_checked_says_so() -> None:
    with pytest.raises(DataError, match=r"^digits cannot be streamed, so .* load it to check it$"):
        check_images("digits")


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
    # One row less may round otherwise in the others: by 3.4e-7 where the processor has no AVX.
    torch.testing.assert_close(*laws, rtol=2e-6, atol=0)


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


def test_a_skipped_image_has_no_row_and_is_no_part_of_the_score(folder: Path) -> None:
    spoil(folder)
    train = streamed(folder, on_corrupt="skip").train
    batch = Visits(DilutedSet(train, 1.0), "all", 0).batch(0, 60)
    assert len(batch.skipped) == 1
    assert sorted(batch.images.tolist()) == [n for n in range(60) if n != 23]
    assert batch.inputs.shape == (59, 3, SIDE, SIDE)
    assert (batch.weights == 1).all()
    from dilute.training import evaluate

    class Constant(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(inputs), 3)

    found = evaluate(Constant(), DilutedSet(train, 1.0), CPU, mixes=True)
    assert found.num_labels == 118
    others = DilutedSet(train, 1.0, rows=np.delete(np.arange(60), 23))
    assert found == evaluate(Constant(), others, CPU, mixes=True)


def test_no_image_that_can_judge_is_one_line(folder: Path) -> None:
    for path in (folder / "val").rglob("*.jpg"):
        spoil(folder, "val", str(path.relative_to(folder / "val")))
    splits = streamed(folder, on_corrupt="skip")
    with pytest.raises(
        DataError,
        match=r":test: none of the 15 images to evaluate the model on decodes; get",
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


def test_whitening_leaves_out_what_cannot_be_read(folder: Path) -> None:
    spoil(folder)
    noisy = DilutedSet(streamed(folder, on_corrupt="skip").train, 1.0)
    model = fresh_model("own", noisy, 0, CPU, nn.Sequential(Whitening(3)))
    images, decodes = noisy.blocks[0].read(np.arange(noisy.num_images))
    assert (~decodes).sum() == 1
    values = model(torch.from_numpy(images)).detach()[:, :12]
    covariance = torch.cov(values.transpose(0, 1).flatten(1))
    assert (torch.diag(covariance) < 1.01).all()
    assert torch.diag(covariance)[0] == pytest.approx(1, abs=0.01)


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
    assert not train.unreadable
