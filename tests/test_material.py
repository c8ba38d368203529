"""How data are read, as one value, and what a run is made of."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pictures import CLASSES, RECIPE, SIDE, spoil

import dilute
from dilute.data import LabelledSet, Reading, Splits, reading_for
from dilute.errors import DataError, SpecError
from dilute.runs import Material, RunSpec, Store

QUICK = {"model": "perceptron", "batch_size": 32, "budget_steps": 5, "curve_points": 1}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"resize": 0}, "resize is 0; it must be a number of pixels, 1 or more"),
        ({"on_corrupt": "pass"}, "on_corrupt is 'pass'; it must be fail or skip"),
    ],
)
def test_readings_that_cannot_be(fields: dict, says: str):
    with pytest.raises(DataError) as caught:
        Reading(**fields)
    assert str(caught.value) == says


def test_an_option_counts_for_the_sets_that_have_a_use_for_it():
    reading = Reading(resize=8, stream=True, on_corrupt="skip")
    named, folder, table = "digits", "folder:pets", "parquet:pets.parquet"
    assert reading_for(folder, reading, [named, "same"]) == reading
    assert reading_for(named, reading, [folder, "white_noise:5"]) == Reading()
    assert reading_for(table, reading, [folder]) == Reading(resize=8)
    assert reading_for(named, reading, [named, "same"]) == reading, "so that load refuses it"
    with pytest.raises(DataError, match=r"^resize is not for digits"):
        _ = Material.of(RunSpec(data=named, **QUICK), reading).splits


def test_a_run_has_the_own_names_of_its_data(folder: Path):
    reading = Reading(resize=SIDE)
    spec = RunSpec(data=f"folder:{folder}", noisy_images=f"folder:{folder}", alpha=1, **QUICK)
    material = Material.of(spec, reading)
    assert material.spec_unread is None
    assert material.spec.data == material.splits.name
    assert material.spec.noisy_images == material.splits.name
    assert material.spec.data.startswith("folder@")
    again = Material.of(spec, splits=material.splits, pool=material.pool)
    assert again.spec.key() == material.spec.key()
    assert again.noisy.content_hash() == material.noisy.content_hash()


def test_a_store_answers_without_loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spec = RunSpec(data="digits", alpha=1, **QUICK)
    first = Store(tmp_path).run(Material.of(spec))

    def load(*_: object) -> Splits:
        raise AssertionError("data were loaded")

    monkeypatch.setattr("dilute.runs.material.load", load)
    for run in (spec, Material.of(spec, Reading(tmp_path))):
        fit = Store(tmp_path).run(run)
        assert fit.was_known
        assert fit.record == first.record
        assert not fit.model.training


def test_the_sets_of_a_run(digits: Splits):
    spec = RunSpec(data="digits", alpha=2, num_clean=100, heldout_labels="clean", **QUICK)
    material = Material.of(spec, splits=digits)
    assert material.noisy.n == material.train_set.n + material.heldout_set.n == 105
    assert material.train_set.n == 100
    assert len(material.heldout_set) == 5, "their own labels alone"
    assert len(material.test_set) == len(digits.test)
    assert Material.of(spec, splits=Splits("digits", digits.train, None, "")).test_set is None


def test_a_set_that_selects_is_part_of_the_run(digits: Splits):
    spec = RunSpec(data="digits", alpha=1, **QUICK)
    few = LabelledSet(digits.test.inputs[:50], digits.test.labels[:50], digits.test.class_names)
    material = Material.of(spec, splits=digits, heldout=few)
    assert material.spec.heldout_hash == few.content_hash
    assert material.heldout_set.n == 50
    assert material.train_set.n == len(digits.train)
    assert Material.of(material.spec, splits=digits, heldout=few).spec == material.spec
    for other in (None, digits.test):
        with pytest.raises(SpecError, match=r"^the held-out set [0-9a-f]{16} of this run was not"):
            _ = Material.of(material.spec, splits=digits, heldout=other).heldout_set
    named = Material.of(spec, splits=digits, heldout="digits")
    assert named.spec.heldout_hash == digits.train.content_hash


def test_labels_in_hand_are_part_of_the_run(digits: Splits):
    rows = np.arange(0, 1400, 3)
    part = dilute.DilutedSet(digits.train, alpha=1, rows=rows)
    spec = RunSpec(data="digits", **QUICK)
    material = Material.of(spec, splits=digits, noisy=part)
    assert (material.spec.alpha, material.spec.labels_hash) == (1, part.content_hash())
    assert material.noisy is part
    assert Material.of(spec, splits=digits).with_noisy(part).spec == material.spec
    with pytest.raises(SpecError, match=r"were read from a file; give that file again$"):
        _ = Material.of(material.spec, splits=digits).noisy
    whole = dilute.DilutedSet(digits.train, alpha=1)
    drawn = Material.of(spec, splits=digits, noisy=whole)
    assert drawn.spec == RunSpec(data="digits", alpha=1, **QUICK)


def test_a_sweep_reads_as_it_was_asked_to(command, folder: Path, tmp_path: Path):
    """Workers too: images decoded when they are needed, and one that does not decode skipped."""
    spoil(folder)
    file, store = tmp_path / "sweep.yaml", tmp_path / "runs"
    base = {"data": f"folder:{folder}", "alpha": 1, **RECIPE}
    file.write_text(json.dumps({"base": base, "grid": {"seed": [0, 1]}}))
    asked = ["sweep", file, "--store", store, "--workers", 1, "--threads", 1]
    options = ["--resize", SIDE, "--stream", "--on-corrupt", "skip"]
    code, _, err = command(*asked, *options)
    assert code == 0, err
    records = list(Store(store).records())
    assert len(records) == 2
    for record in records:
        assert record.spec["data"].startswith("streamed-folder@")
        assert (record.status, record.unreadable_images) == ("done", 1)
        assert record.num_classes == len(CLASSES)
    code, out, _ = command(*asked, *options, "--json")
    assert (code, json.loads(out)["known"]) == (0, 2)
    code, _, err = command(*asked, "--resize", SIDE, "--stream")
    assert code == 1
    assert "does not decode" in err
