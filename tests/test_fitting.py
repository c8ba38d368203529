from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dilute
from dilute.errors import DataError
from dilute.models.linear import perceptron

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
    with pytest.raises(DataError, match="cannot be named in a record"):
        dilute.fit(dilute.DilutedSet(clean, alpha=1), model=lambda shape, k: None, **QUICK)
