"""`dilute sweep`: what it prints, and one clear line for what cannot be."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from commands import assert_one_line
from sweeping import QUICK, write

from dilute.runs import RunSpec, Store


class TestCommand:
    def test_dry_run_lists_and_estimates_and_runs_nothing(self, command, tmp_path: Path):
        file = write(tmp_path / "s.yaml", {"base": QUICK, "grid": {"alpha": [1, 2, 3]}})
        store = Store(tmp_path / "runs")
        store.run(RunSpec(**QUICK, alpha=2))
        there = store.keys()
        code, out, err = command("sweep", file, "--store", store.folder, "--dry-run")
        assert code == 0, err
        assert "3 runs: 1 there, 2 to do; about " in out
        assert [line.split()[1] for line in out.splitlines()[1:4]] == ["missing", "done", "missing"]
        assert store.keys() == there
        code, out, _ = command("sweep", file, "--store", store.folder, "--dry-run", "--json")
        document = json.loads(out)
        assert (document["total"], document["there"], document["to_do"]) == (3, 1, 2)
        assert document["estimated_seconds"] > 0
        assert document["runs"][1]["estimated_seconds"] is None

    def test_a_sweep_does_what_is_missing_and_only_that(self, command, tmp_path: Path):
        rng = np.random.default_rng(0)
        np.savez(tmp_path / "f.npz", x=rng.normal(size=(40, 3)), y=np.arange(40) % 2)
        document = [
            {"base": {**QUICK, "num_clean": 200}, "grid": {"alpha": [1, 2]}},
            {"base": {**QUICK, "data": f"npz:{tmp_path / 'f.npz'}"}},
            {"base": {**QUICK, "model": "faulty:fails"}},
            {"base": {**QUICK, "optimizer": "sgd", "learning_rate": 1e30, "model": "mlp2"}},
        ]
        file = write(tmp_path / "s.yaml", document)
        store = tmp_path / "runs"
        code, out, err = command("sweep", file, "--store", store, "--json", "--workers", 1)
        assert code == 1, err
        found = json.loads(out)
        counted = ("done", "known", "failed", "diverged", "left")
        assert [found[name] for name in counted] == [3, 0, 1, 1, 0]
        assert [run["status"] for run in found["runs"]] == ["done"] * 3 + ["failed", "diverged"]
        assert found["runs"][3]["message"] == "RuntimeError: no luck"
        assert str(tmp_path) not in out
        assert "RuntimeError: no luck" in err
        started = {record.key: record.started for record in Store(store).records()}
        code, out, err = command("sweep", file, "--store", store)
        assert code == 1
        assert "5 runs: 3 known before, 1 failed, 1 diverged" in out
        assert "RuntimeError: no luck" in out
        assert {r.key: r.started for r in Store(store).records()} == started
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FAULTY_IS_WELL", "1")
            code, out, err = command("sweep", file, "--store", store, "--retry-failed")
        assert code == 0, err
        assert "5 runs: 1 done, 3 known before, 1 diverged" in out
        assert "test accuracy" in err
        assert not list(store.glob(".*"))

    def test_what_cannot_be_is_one_line(self, command, tmp_path: Path):
        good = write(tmp_path / "s.yaml", {"base": QUICK})
        bad = write(tmp_path / "bad.yaml", {"base": QUICK, "grid": {"alpha": ["x"]}})
        (tmp_path / "file").write_text("")
        store = ["--store", tmp_path / "runs"]
        assert_one_line(command("sweep", bad, *store), "run alpha = x: alpha = 'x'")
        assert_one_line(command("sweep", tmp_path / "no.yaml", *store), "does not exist")
        assert_one_line(
            command("sweep", good, "--store", tmp_path / "file" / "runs"), "cannot write"
        )
        assert_one_line(command("sweep", good, *store, "--workers", 0), "received 0")
        assert_one_line(command("sweep", good, *store, "--hang-seconds", -1), "hang_seconds = -1")
        assert_one_line(command("sweep", good, *store, "--device", "quantum"), "device 'quantum'")
        assert_one_line(command("sweep", good, *store, "--resize", 8), "resize is not for digits")
        assert not (tmp_path / "runs").exists()

    def test_a_disk_that_is_full_from_the_start(
        self,
        command,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ):
        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        file = write(tmp_path / "s.yaml", {"base": QUICK})
        assert_one_line(command("sweep", file, "--store", tmp_path / "runs"), "the disk is full")
        assert not list((tmp_path / "runs").iterdir())

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
    def test_a_store_that_is_read_only(self, command, tmp_path: Path):
        file = write(tmp_path / "s.yaml", {"base": QUICK})
        (tmp_path / "runs").mkdir(mode=0o500)
        assert_one_line(command("sweep", file, "--store", tmp_path / "runs"), "permission denied")
