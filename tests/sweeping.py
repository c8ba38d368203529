"""Short sweeps in processes of their own, some with faults, for the tests of sweeps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from dilute.runs import RunSpec, Store

HERE = Path(__file__).parent
QUICK = {
    "data": "digits",
    "model": "perceptron",
    "batch_size": 32,
    "budget_steps": 5,
    "curve_points": 1,
}
SWEEP = {
    "base": {**QUICK, "model": "faulty:is_slow", "budget_steps": 150, "curve_points": 3},
    "grid": {"alpha": [1, 3], "seed": [0, 1, 2, 3]},
}


def faulty(fault: str) -> RunSpec:
    return RunSpec(**{**QUICK, "model": f"faulty:{fault}"})


def start(document: object, store: Path, *more: str, marks: Path | None = None) -> subprocess.Popen:
    """Start a sweep of two workers in a session of its own, as a terminal starts it."""
    store.parent.mkdir(exist_ok=True)
    file = store.parent / f"{store.name}.yaml"
    file.write_text(json.dumps(document))
    command = [sys.executable, "-m", "dilute", "sweep", str(file), "--store", str(store)]
    return subprocess.Popen(
        [*command, "--workers", "2", "--threads", "1", "--json", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HERE), "FAULTY_MARKS": str(marks or "")},
        start_new_session=True,
    )


def workers_of(parent: subprocess.Popen) -> list[psutil.Process]:
    try:
        children = psutil.Process(parent.pid).children()
        return [child for child in children if "begin_process" in " ".join(child.cmdline())]
    except psutil.NoSuchProcess:
        return []


def wait_for(condition, what: str, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)


def results(store: Path) -> dict[str, tuple]:
    """Return by key what of a run must not depend on the sweep's fate, weights as bytes."""

    def weights(key: str, which: str) -> bytes:
        return (store / f"{key}.{which}.safetensors").read_bytes()

    return {
        record.key: (
            record.status,
            record.accuracy,
            record.selected_step,
            record.curve,
            record.labels_hash,
            weights(record.key, "last"),
            weights(record.key, "selected"),
        )
        for record in Store(store).records()
    }


def write(path: Path, document: object) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path
