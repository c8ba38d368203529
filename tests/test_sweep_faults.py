"""Sweeps whose workers crash, hang or are killed, whose parent is killed, and two at once.

All with real processes.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import psutil
import pytest
from sweeping import HERE, QUICK, SWEEP, faulty, results, start, wait_for, workers_of

from dilute.errors import StoreError
from dilute.runs import RunSpec, Store
from dilute.sweeps import expand, run_sweep


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple]:
    store = tmp_path_factory.mktemp("undisturbed") / "runs"
    assert run_sweep(expand(SWEEP), store, workers=2, threads=1).done == 8
    return results(store)


def test_a_fault_costs_the_run_that_has_it(tmp_path: Path):
    faults = {
        "hangs": "no sign of life for 20 s; the worker was killed (see --hang-seconds)",
        "crashes": "the worker ended with exit code 3",
        "is_killed": (
            "the worker was killed by signal 9 (SIGKILL), as the system does when memory runs out"
        ),
        "leaves": "the worker ended with exit code 7",
        "fails": "RuntimeError: no luck",
        "cannot_be": "this cannot be; take another",
    }
    good = [RunSpec(**QUICK, seed=seed) for seed in range(3)]
    seen = []
    found = run_sweep(
        [good[0], *map(faulty, faults), *good[1:]],
        tmp_path,
        workers=2,
        hang_seconds=20,
        on_progress=seen.append,
    )
    assert (found.done, found.failed, found.left) == (3, 6, 0), found.failures
    assert found.failures == {faulty(name).key(): reason for name, reason in faults.items()}
    for name, reason in faults.items():
        record = Store(tmp_path).get(faulty(name).key())
        assert (record.status, record.message) == ("failed", reason)
    assert Store(tmp_path).get(faulty("hangs").key()).seconds >= 20
    assert not list(tmp_path.glob(".*")), "claims of the dead are removed"
    ended = [progress.ended[1].key for progress in seen if progress.ended]
    assert sorted(ended) == sorted(found.specs)
    assert [p.failed + p.done for p in seen if p.ended] == list(range(1, 10))
    assert not psutil.Process().children() or all(
        "resource_tracker" in " ".join(child.cmdline()) for child in psutil.Process().children()
    )


def test_a_full_disk_stops_the_sweep_with_one_line(tmp_path: Path):
    specs = [faulty("fills_the_disk"), *(RunSpec(**QUICK, seed=seed) for seed in range(100, 200))]
    with pytest.raises(StoreError, match=r"^cannot write [^\n]*: the disk is full; free some"):
        run_sweep(specs, tmp_path, workers=1)
    assert Store(tmp_path).keys() == set(), "nothing was begun after it"


@pytest.mark.parametrize("rounds", [2, pytest.param(12, marks=pytest.mark.slow)])
def test_kills_at_random_moments_lose_nothing(
    rounds: int, tmp_path: Path, undisturbed: dict[str, tuple]
):
    """Kill a worker, then the parent, time and again, then let it finish: all is as undisturbed."""
    store, marks = tmp_path / "runs", tmp_path / "marks"
    chance = random.Random(rounds)
    kept: dict[str, str] = {}
    for last in ([signal.SIGKILL, signal.SIGTERM] * rounds)[:rounds]:
        if len(kept) > 6:
            break
        marks.mkdir()
        parent = start(SWEEP, store, "--retry-failed", marks=marks)
        wait_for(lambda: list(marks.iterdir()), "a worker that trains")
        time.sleep(chance.uniform(0, 1.0))
        crew = workers_of(parent)
        assert crew, parent.communicate()
        chance.choice(crew).kill()
        time.sleep(chance.uniform(0, 0.5))
        crew = workers_of(parent)
        parent.send_signal(last)
        _, err = parent.communicate(timeout=60)
        assert parent.returncode == (130 if last == signal.SIGTERM else -last), err
        assert "Traceback" not in err
        assert (last == signal.SIGTERM) == ("of 8 runs are left" in err)
        psutil.wait_procs(crew, timeout=30)
        assert not any(worker.is_running() for worker in crew), "workers end with their parent"
        done = {r.key: r.started for r in Store(store).records() if r.status == "done"}
        assert kept.items() <= done.items(), "what was done stays, and is not done again"
        kept = done
        for mark in marks.iterdir():
            mark.unlink()
        marks.rmdir()
    end = start(SWEEP, store, "--retry-failed")
    out, err = end.communicate(timeout=120)
    assert end.returncode == 0, err
    found = json.loads(out)
    assert (found["done"], found["known"]) == (8 - len(kept), len(kept))
    records = {record.key: record.started for record in Store(store).records()}
    assert kept.items() <= records.items()
    assert results(store) == undisturbed
    assert not list(store.glob("*checkpoint*"))
    assert not list(store.glob(".*.claim"))


def test_ctrl_c_says_what_is_left(tmp_path: Path):
    store, marks = tmp_path / "runs", tmp_path / "marks"
    marks.mkdir()
    parent = start(SWEEP, store, marks=marks)
    wait_for(lambda: list(marks.iterdir()), "a worker that trains")
    os.killpg(parent.pid, signal.SIGINT)  # as a terminal does: the workers get it too
    out, err = parent.communicate(timeout=60)
    assert parent.returncode == 130, err
    document = json.loads(out)
    left = document["left"]
    assert document["interrupted"]
    assert 0 < left <= 8
    num_checkpoints = len(list(store.glob("*.checkpoint.safetensors")))
    assert num_checkpoints >= 1
    assert err.splitlines()[-1] == (
        f"dilute: interrupted: {left} of 8 runs are left ({num_checkpoints} with a checkpoint); "
        "the same command goes on with them"
    )
    assert "Traceback" not in err


def test_ctrl_c_while_workers_import(tmp_path: Path):
    parent = start(SWEEP, tmp_path / "runs")
    wait_for(lambda: len(workers_of(parent)) == 2, "two workers")
    os.killpg(parent.pid, signal.SIGINT)
    _, err = parent.communicate(timeout=60)
    assert parent.returncode == 130, err
    assert "8 of 8 runs are left (0 with a checkpoint)" in err
    assert "Traceback" not in err


def test_two_sweeps_in_one_store_share_the_work(tmp_path: Path, undisturbed: dict[str, tuple]):
    store = tmp_path / "runs"
    both = [start(SWEEP, store, "--workers", "1") for _ in range(2)]
    counts = []
    for one in both:
        out, err = one.communicate(timeout=120)
        assert one.returncode == 0, err
        counts.append(json.loads(out))
    assert [found["done"] + found["known"] for found in counts] == [8, 8]
    assert sum(found["done"] for found in counts) == 8, "with claims nothing is done twice"
    assert results(store) == undisturbed
    assert not list(store.glob(".*"))


@pytest.mark.numerical
def test_runs_of_a_sweep_have_their_loader_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.setenv("FAULTY_MARKS", str(tmp_path))
    spec = faulty("tells_of_loaders")
    found = run_sweep([spec], tmp_path / "with", workers=1, threads=1, loader_workers=2)
    assert found.done == 1, found.failures
    assert (tmp_path / "2").exists(), "while it trains; none while it is judged"
    for mark in tmp_path.glob("[0-9]"):
        mark.unlink()
    assert run_sweep([spec], tmp_path / "without", workers=1, threads=1).done == 1
    assert [mark.name for mark in tmp_path.glob("[0-9]")] == ["0"]
    assert results(tmp_path / "with") == results(tmp_path / "without")
