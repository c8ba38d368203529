from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dilute
from dilute.errors import ModelError, SpecError
from dilute.models.linear import perceptron

pytestmark = pytest.mark.numerical

QUICK = {"batch_size": 32, "budget_steps": 10, "curve_points": 1}


def test_fit_and_run_are_the_same_run(digits: dilute.Splits):
    """`dilute.fit` on a set in hand gives key and curve of the spec that describes it."""
    diluted = dilute.DilutedSet(digits.train, alpha=3, noise=dilute.Pair(), seed=2)
    fitted = dilute.fit(diluted, test=digits.test, model="mlp1", copies=2, **QUICK)
    spec = dilute.RunSpec(
        data="digits", model="mlp1", alpha=3, noise=dilute.Pair(), seed=2, copies=2, **QUICK
    )
    assert fitted.key == spec.key()
    assert fitted.curve == dilute.run_one(spec).record.curve


def test_fit_from_a_store(tmp_path: Path, digits: dilute.Splits):
    diluted = dilute.DilutedSet(digits.train, alpha=1)
    first = dilute.fit(diluted, model="perceptron", store=tmp_path, **QUICK)
    assert first.accuracy.last is None, "no test set was given"
    assert dilute.fit(diluted, model="perceptron", store=tmp_path, **QUICK) == first


def test_what_a_spec_cannot_redraw_is_known_by_its_labels(tmp_path: Path, digits: dilute.Splits):
    whole = dilute.DilutedSet(digits.train, alpha=1)
    part = dilute.DilutedSet(digits.train, alpha=1, rows=np.arange(0, 1400, 3))
    dilute.write_labels(whole, tmp_path / "labels.parquet")
    read = dilute.read_labels(tmp_path / "labels.parquet", digits.train)
    records = [dilute.fit(noisy, model="perceptron", **QUICK) for noisy in (whole, part, read)]
    assert len({record.key for record in records}) == 3
    assert records[0].curve == records[2].curve, "the same labels train the same"


def test_other_data_are_other_runs(digits: dilute.Splits):
    """The test part, another pool of images and another seed are not mistaken for one another."""
    pool = dilute.LabelledSet(
        digits.test.inputs[:50], digits.test.labels[:50], digits.test.class_names
    )
    sets = [
        dilute.DilutedSet(digits.train, 1),
        dilute.DilutedSet(digits.test, 1),
        dilute.DilutedSet(digits.train, 1, images=dilute.WhiteNoise(digits.train, 0, 50)),
        dilute.DilutedSet(digits.train, 1, images=dilute.WhiteNoise(digits.train, 9, 50)),
        dilute.DilutedSet(digits.train, 1, images=pool),
    ]
    keys = [dilute.fit(noisy, model="perceptron", **QUICK).key for noisy in sets]
    keys.append(dilute.fit(sets[0], model="perceptron", seed=1, **QUICK).key)
    keys.append(
        dilute.fit(dilute.DilutedSet(digits.train, 1, seed=1), model="perceptron", **QUICK).key
    )
    assert len(set(keys)) == len(keys)


def test_white_noise_keeps_its_size_in_its_name(digits: dilute.Splits):
    for size, name in ((50, "white_noise:50"), (None, "white_noise")):
        noise = dilute.WhiteNoise(digits.train, 0, *([size] if size else []))
        noisy = dilute.DilutedSet(digits.train, 1, images=noise)
        record = dilute.fit(noisy, test=digits.test, model="perceptron", **QUICK)
        assert record.spec["noisy_images"] == name
        assert record.curve == (
            dilute.run_one(
                dilute.RunSpec(
                    data="digits", model="perceptron", alpha=1, noisy_images=name, **QUICK
                )
            ).record.curve
        )


@pytest.mark.parametrize("option", ["alpha", "rate", "noise", "num_clean", "noisy_images", "data"])
def test_the_sets_own_facts_cannot_be_given_again(digits: dilute.Splits, option: str):
    with pytest.raises(SpecError, match=f"^{option} cannot be given beside a noisy set"):
        dilute.fit(dilute.DilutedSet(digits.train, 1), model="perceptron", **{option: 10})


def test_bad_options_are_one_line(digits: dilute.Splits):
    with pytest.raises(SpecError, match=r"^copies = 'some': it must be[^\n]*$"):
        dilute.fit(dilute.DilutedSet(digits.train, 1), model="perceptron", copies="some")


def test_a_test_set_given_later_is_used(tmp_path: Path, digits: dilute.Splits):
    diluted = dilute.DilutedSet(digits.train, alpha=1)
    assert dilute.fit(diluted, model="perceptron", store=tmp_path, **QUICK).num_test is None
    record = dilute.fit(diluted, test=digits.test, model="perceptron", store=tmp_path, **QUICK)
    assert record.accuracy.last is not None


def test_selection_by_a_clean_set_of_its_own(tmp_path: Path, digits: dilute.Splits):
    diluted = dilute.DilutedSet(digits.train, alpha=1)
    clean = dilute.LabelledSet(
        digits.test.inputs[:100], digits.test.labels[:100], digits.test.class_names
    )
    record = dilute.fit(diluted, heldout=clean, model="mlp1", store=tmp_path, **QUICK)
    assert record.selected_by == "heldout_clean_nll"
    assert record.num_heldout == 100
    assert record.num_clean == len(digits.train)


@pytest.mark.parametrize("rate", [0.05, 0.35, 1.0])
def test_rates_keep_their_value(digits: dilute.Splits, rate: float):
    record = dilute.fit(dilute.ReplacedSet(digits.train, rate), model="perceptron", **QUICK)
    assert record.spec["rate"] == rate
    assert record.key == dilute.RunSpec(data="digits", model="perceptron", rate=rate, **QUICK).key()


def test_replacement(digits: dilute.Splits):
    replaced = dilute.ReplacedSet(digits.train, rate=0.4, noise=dilute.UniformOther())
    record = dilute.fit(replaced, model=perceptron, **QUICK)
    assert record.spec["rate"] == 0.4
    assert record.spec["model"] == "dilute.models.linear:perceptron"


def test_arrays_in_memory():
    features = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    clean = dilute.LabelledSet(features, np.arange(60) % 3, ("a", "b", "c"))
    record = dilute.fit(dilute.DilutedSet(clean, alpha=1), model="perceptron", **QUICK)
    assert record.spec["data"] == f"set@{clean.content_hash[:16]}"


def test_a_model_without_a_name():
    clean = dilute.LabelledSet(np.zeros((4, 2), np.float32), np.arange(4) % 2, ("a", "b"))
    with pytest.raises(ModelError, match="cannot be named in a record"):
        dilute.fit(dilute.DilutedSet(clean, alpha=1), model=lambda shape, k: None, **QUICK)
