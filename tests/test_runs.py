from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from dilute.data import LabelledSet, Splits
from dilute.errors import SpecError, validation_line
from dilute.noise import Pair, Structured, Uniform
from dilute.runs import Execution, Material, RunSpec, run_one

pytestmark = pytest.mark.numerical

QUICK = {
    "data": "digits",
    "model": "perceptron",
    "batch_size": 32,
    "budget_steps": 20,
    "curve_points": 2,
}


OLD = {"data": "digits", "model": "mlp1", "alpha": 2}


def test_keys_are_pinned():
    """A key may change only together with `SCHEMA_VERSION`: stored results are found by it."""
    assert RunSpec(data="mnist", model="conv4", alpha=100).key() == "1bf91ef79610c9653f7d"
    assert (
        RunSpec(data="digits", model="mlp1", rate=0.4, noise=Pair(), copies=1).key()
        == "d80ce6bdfbf7a9d9ab94"
    )


def test_later_fields_change_no_key():
    assert RunSpec(**{**OLD, "noisy_images": "white_noise"}).key() == "3bf05e2649fcfb9115b4"
    for optimizer, key in (
        ("adadelta", "3e9af20c3021cea00e39"),
        ("sgd", "90458f38f7cb673abc96"),
        ("adamw", "cc43bde3202cf53c8309"),
    ):
        spec = RunSpec(
            data="mnist",
            model="conv4",
            alpha=20,
            copies=1,
            batch_size=128,
            optimizer=optimizer,
            schedule="constant",
            epsilon=None,
        )
        assert spec.key() == key
        assert "epsilon" not in spec.canonical()


def test_key_tells_what_differs_and_nothing_else():
    base = RunSpec(**QUICK, alpha=2)
    same = [
        RunSpec(**QUICK, alpha=2.0),
        RunSpec(
            **QUICK, alpha=2, noise=Uniform(), learning_rate=1e-3, weight_decay=None, num_clean=None
        ),
        RunSpec(**QUICK, alpha=2, epsilon=1e-8),
        RunSpec(**base.canonical()),
        RunSpec.model_validate_json(json.dumps(base.canonical())),
    ]
    assert {spec.key() for spec in same} == {base.key()}
    clean = RunSpec(**QUICK)
    for same_as_clean in (
        {"alpha": -0.0},
        {"noise": Pair()},
        {"noisy_images": "white_noise"},
        {"noisy_images": "white_noise:20"},
    ):
        assert RunSpec(**QUICK, **same_as_clean).key() == clean.key()
    others = [
        {"alpha": 3}, {"seed": 1}, {"learning_rate": 0.1}, {"copies": 1}, {"noise": Pair()},
        {"num_clean": 5}, {"model": "mlp1"}, {"heldout_fraction": 0.1}, {"heldout_labels": "clean"},
        {"curve_points": 3}, {"noisy_images": "white_noise"},
        {"noise": Structured(delta=0.1, order="random")},
        {"noisy_images": "white_noise:20"}, {"noisy_images": "white_noise:21"}, {"epsilon": 1e-6},
    ]  # fmt: skip
    keys = {RunSpec(**{**QUICK, "alpha": 2, **change}).key() for change in others}
    assert len(keys | {base.key()}) == len(others) + 1


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"alpha": -3}, "alpha = -3: it should be greater than or equal to 0"),
        ({"alpha": float("inf")}, "alpha = inf: it should be a finite number"),
        ({"alpha": 1, "rate": 0.5}, "alpha = 1 and rate = 0.5; give one"),
        ({"rate": 1.5}, "rate = 1.5"),
        ({"rate": 0.5, "noisy_images": "white_noise"}, "has no meaning with a rate"),
        ({"rate": 0.5, "noisy_images": "white_noise:5"}, "has no meaning with a rate"),
        (
            {"noisy_images": "white_noise:0"},
            "a whole number from 1 to 10^12, as in white_noise:20000",
        ),
        (
            {"noisy_images": "white_noise:x"},
            "noisy_images = 'white_noise:x': 'white_noise:x' has no",
        ),
        ({"num_clean": 0}, "num_clean = 0"),
        ({"heldout_fraction": 1.0}, "heldout_fraction = 1.0"),
        ({"seed": -1}, "seed = -1"),
    ],
)
def test_specs_that_cannot_be(fields: dict, says: str):
    with pytest.raises(ValidationError) as caught:
        RunSpec(**{**QUICK, **fields})
    assert says in validation_line(caught.value)
    assert "\n" not in validation_line(caught.value)


def test_specs_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        RunSpec(**QUICK).alpha = 3


def test_runs_differing_in_learning_rate_alone_share_data_noise_and_order(digits: Splits):
    for seed in (0, 1):
        sets = [
            Material.of(
                RunSpec(**QUICK, alpha=3, num_clean=100, seed=seed, learning_rate=rate),
                splits=digits,
            ).noisy
            for rate in (0.1, 0.01)
        ]
        assert sets[0].content_hash() == sets[1].content_hash()
    other_noise = Material.of(RunSpec(**QUICK, alpha=5, num_clean=100, seed=1), splits=digits).noisy
    np.testing.assert_array_equal(other_noise.blocks[0].rows, sets[0].blocks[0].rows)


def test_num_clean_is_what_is_trained_on(digits: Splits):
    for num_clean in (1, 100, 777):
        spec = RunSpec(**QUICK, alpha=1, num_clean=num_clean)
        assert Material.of(spec, splits=digits).train_set.n == num_clean


def test_too_many_clean_images_states_the_bound(digits: Splits):
    for size in (290, 291, 292, 1000):
        part = LabelledSet(
            digits.train.inputs[:size], digits.train.labels[:size], digits.train.class_names
        )
        splits = Splits("digits", part, None, "")
        with pytest.raises(SpecError, match="take num_clean ≤") as caught:
            _ = Material.of(RunSpec(**QUICK, num_clean=size), splits=splits).noisy
        most = int(re.search(r"≤ ([\d,]+)", str(caught.value))[1].replace(",", ""))
        _ = Material.of(RunSpec(**QUICK, num_clean=most), splits=splits).noisy
        with pytest.raises(SpecError):
            _ = Material.of(RunSpec(**QUICK, num_clean=most + 1), splits=splits).noisy


def test_the_record_is_complete():
    spec = RunSpec(**QUICK, alpha=2)
    record = run_one(spec).record
    document = json.loads(record.model_dump_json())
    assert document["key"] == spec.key()
    assert document["status"] == "done"
    assert document["spec"] == spec.canonical()
    assert 0.1 < document["accuracy"]["last"] <= 1
    assert document["selected_by"] == "heldout_noisy_nll"
    assert [point["step"] for point in document["curve"]] == [10, 20]
    assert (document["steps"], document["images"], document["examples"]) == (20, 640, 1920)
    assert document["num_noisy"] == 2 * document["num_clean"]
    assert document["num_clean"] + document["num_heldout"] == 1438
    assert document["noise_rate"] == pytest.approx(2 / 3)
    assert document["wrong_rate"] == pytest.approx(0.6, abs=0.02)
    for name in ("images_per_second", "examples_per_second", "seconds", "peak_memory_bytes"):
        assert document[name] > 0
    assert document["versions"]["torch"]
    assert document["hardware"]["threads"] >= 1
    assert record.examples_per_second == pytest.approx(3 * record.images_per_second)


def test_selection_by_clean_labels_where_they_are_known():
    record = run_one(RunSpec(**QUICK, alpha=2, heldout_labels="clean")).record
    assert record.selected_by == "heldout_clean_nll"
    heldout_accuracies = [point.heldout_accuracy for point in record.curve]
    assert max(heldout_accuracies) > 0.5, (
        "clean labels can be predicted, noisy ones at alpha = 2 only 40 % of the time"
    )


def test_replacement_and_foreign_images_run():
    replaced = run_one(RunSpec(**QUICK, rate=0.5, noise=Pair())).record
    assert replaced.noise_rate == pytest.approx(0.5, abs=0.02)
    assert replaced.num_clean + replaced.num_noisy == 1438 - replaced.num_heldout
    foreign = run_one(RunSpec(**QUICK, alpha=2, noisy_images="white_noise")).record
    assert foreign.status == "done"
    assert foreign.num_noisy == pytest.approx(2 * foreign.num_clean, rel=0.01)


def test_a_pool_of_white_noise(digits: Splits):
    """Its images are the first of the endless noise, and each meets several labels."""
    spec = RunSpec(**QUICK, alpha=2, noisy_images="white_noise:020")
    assert spec.noisy_images == "white_noise:20"
    noisy = Material.of(spec, splits=digits).noisy
    pool = noisy.blocks[1]
    assert len(pool) == 20
    assert noisy.num_noisy == 2 * noisy.n
    counts = noisy.counts()[noisy.n :]
    assert set(counts.sum(axis=1)) == {143, 144}
    assert (np.count_nonzero(counts, axis=1) > 5).all()
    endless = Material.of(
        RunSpec(**QUICK, alpha=2, noisy_images="white_noise"), splits=digits
    ).noisy
    np.testing.assert_array_equal(
        pool.source.gather(np.arange(20)), endless.blocks[1].source.gather(np.arange(20))
    )
    assert len(endless.blocks[1]) == endless.num_noisy
    record = run_one(spec).record
    assert record.status == "done"
    assert record.spec["noisy_images"] == "white_noise:20"


def test_what_the_selected_model_says_of_heldout_labels():
    spec = RunSpec(**QUICK, alpha=2)
    record = run_one(spec).record
    confusion = np.array(record.heldout_confusion)
    chosen = next(point for point in record.curve if point.step == record.selected_step)
    assert confusion.shape == (10, 10)
    assert confusion.sum() == 3 * record.num_heldout
    assert confusion.trace() / confusion.sum() == chosen.heldout_accuracy
    assert record.accuracy.top5_selected is record.accuracy.top5_last is None
    assert run_one(RunSpec(**QUICK, heldout_fraction=0)).record.heldout_confusion is None


@pytest.mark.parametrize("num_classes", [100, 101])
def test_many_classes(num_classes: int):
    """Top-5 accuracy beside accuracy; the matrix of confusions up to a hundred classes."""
    random = np.random.default_rng(0)
    labels = np.arange(5 * num_classes) % num_classes
    features = (random.normal(size=(len(labels), 6)) + labels[:, None]).astype(np.float32)
    part = LabelledSet(features, labels, tuple(map(str, range(num_classes))))
    splits = Splits("set@0123456789abcdef", part, part, "in memory")
    record = run_one(
        Material.of(RunSpec(**{**QUICK, "data": splits.name}, alpha=1), splits=splits)
    ).record
    assert record.accuracy.last <= record.accuracy.top5_last == record.curve[-1].test_top5_accuracy
    chosen = next(point for point in record.curve if point.step == record.selected_step)
    assert record.accuracy.top5_selected == chosen.test_top5_accuracy
    assert (record.heldout_confusion is None) == (num_classes > 100)


def test_a_failure_in_training_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "broken_model.py").write_text(
        "import torch\nclass M(torch.nn.Module):\n"
        "    def __init__(s, shape, k):\n"
        "        super().__init__(); s.w = torch.nn.Parameter(torch.ones(1))\n"
        "    def forward(s, x): raise RuntimeError('no memory for this')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    record = run_one(RunSpec(**{**QUICK, "model": "broken_model:M"})).record
    assert record.status == "failed"
    assert record.message == "RuntimeError: no memory for this"
    assert record.accuracy.last is None
    assert record.images_per_second is None
    assert record.steps is None


def test_a_late_failure_keeps_the_curve():
    def fail(step: int, num_steps: int, trained) -> None:
        if step == 15:
            raise RuntimeError("late")

    record = run_one(RunSpec(**QUICK, alpha=1), Execution(on_step=fail)).record
    assert (record.status, record.steps, len(record.curve)) == ("failed", 15, 1)
    assert record.accuracy.last is None


def test_divergence_is_recorded():
    record = run_one(
        RunSpec(**{**QUICK, "model": "mlp2"}, optimizer="sgd", learning_rate=1e30)
    ).record
    assert record.status == "diverged"
    assert record.accuracy.last is None
    json.loads(record.model_dump_json())


def test_own_features(tmp_path: Path):
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    features = (rng.normal(size=(200, 3)) + 3 * labels[:, None]).astype(np.float32)
    part = LabelledSet(features, labels, ("no", "yes"))
    splits = Splits("set@0123456789abcdef", part, part, "in memory")
    spec = RunSpec(**{**QUICK, "data": splits.name}, alpha=1)
    assert run_one(Material.of(spec, splits=splits)).record.accuracy.last > 0.8


def test_unknown_device_is_one_line():
    with pytest.raises(SpecError, match=r"^device 'quantum' cannot be used[^\n]*$"):
        run_one(RunSpec(**QUICK), Execution(device="quantum"))
