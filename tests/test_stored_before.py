"""A store that was written before the package was rebuilt still answers, run by run."""

from __future__ import annotations

import shutil
from pathlib import Path

from pandas.testing import assert_frame_equal

from dilute.runs import RunSpec, Store
from dilute.sweeps import read_sweep, run_sweep

BEFORE = Path(__file__).parent / "stored_before"


def test_a_sweep_done_before_is_known(tmp_path: Path):
    store = Store(shutil.copytree(BEFORE / "runs", tmp_path / "runs"))
    specs = read_sweep(BEFORE / "sweep.yaml")
    result = run_sweep(specs, store)
    assert (result.known, result.done, result.failed) == (len(specs), 0, 0)
    assert {record.key for record in store.records()} == {spec.key() for spec in specs}


def test_a_sweep_done_before_is_known_once_packed(tmp_path: Path):
    store = Store(shutil.copytree(BEFORE / "runs", tmp_path / "runs"))
    before = store.table()
    assert store.pack() == len(before)
    assert not list(store.folder.glob("*.json"))
    specs = read_sweep(BEFORE / "sweep.yaml")
    result = run_sweep(specs, Store(store.folder))
    assert (result.known, result.done, result.failed) == (len(specs), 0, 0)
    assert_frame_equal(store.table(), before, check_exact=True)


def test_the_spec_of_a_stored_record_has_its_key():
    for record in Store(BEFORE / "runs").records():
        spec = RunSpec.model_validate(record.spec)
        assert (spec.key(), spec.canonical()) == (record.key, record.spec)
