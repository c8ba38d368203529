from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from dilute.data import Splits
from dilute.errors import StoreError
from dilute.interruption import Interrupted
from dilute.runs import Execution, RunSpec, Store
from dilute.training import load_weights

pytestmark = pytest.mark.numerical

SPEC = RunSpec(data="digits", model="mlp1", alpha=2, batch_size=32, budget_steps=30, curve_points=3)


def test_a_run_that_is_there_is_not_run_again(tmp_path: Path):
    store = Store(tmp_path / "runs")
    first = store.run(SPEC)
    assert not first.was_known
    again = store.run(SPEC)
    assert again.was_known
    assert again.record == first.record
    forced = store.run(SPEC, force=True)
    assert not forced.was_known
    assert forced.record.curve == first.record.curve
    assert forced.record.started >= first.record.started


def test_files_of_a_finished_run(tmp_path: Path):
    store = Store(tmp_path)
    store.run(SPEC)
    names = {path.name.removeprefix(SPEC.key()) for path in tmp_path.iterdir()}
    assert names == {".json", ".last.safetensors", ".selected.safetensors"}


def test_the_trained_model_can_be_had(tmp_path: Path, digits: Splits):
    store = Store(tmp_path)
    record = store.run(SPEC).record
    model = store.load_model(SPEC.key(), "last")
    with torch.inference_mode():
        predicted = model(torch.from_numpy(digits.test.inputs[:].copy())).argmax(dim=1).numpy()
    assert (predicted == digits.test.labels).mean() == pytest.approx(record.accuracy.last)
    with pytest.raises(StoreError, match="has no run 0123"):
        store.load_model("0123")


def test_table_has_a_column_per_field(tmp_path: Path):
    store = Store(tmp_path)
    for alpha in (0, 1):
        store.run(
            SPEC.model_copy(update={"alpha": float(alpha), "budget_steps": 2}), keep_weights=False
        )
    table = store.table()
    assert sorted(table["spec.alpha"]) == [0.0, 1.0]
    assert {"key", "status", "accuracy.last", "spec.model", "hardware.threads"} <= set(
        table.columns
    )


def test_a_damaged_record_is_reported_by_name(tmp_path: Path):
    store = Store(tmp_path)
    path = tmp_path / f"{SPEC.key()}.json"
    path.write_text('{"key": "cut off')
    with pytest.raises(
        StoreError, match=rf"^record .*{path.name} cannot be read [^\n]*delete it to run again$"
    ):
        store.run(SPEC)


def test_a_failed_run_is_run_again(tmp_path: Path):
    store = Store(tmp_path)
    record = store.run(SPEC).record
    store.put(record.model_copy(update={"status": "failed", "message": "out of memory"}))
    assert store.run(SPEC).record.status == "done"


def test_a_failure_replaces_no_result(tmp_path: Path):
    store = Store(tmp_path)
    record = store.run(SPEC).record

    def fail(step: int, num_steps: int, trained) -> None:
        raise RuntimeError("no luck")

    failed = store.run(SPEC, Execution(on_step=fail), force=True).record
    assert failed.status == "failed"
    assert store.get(SPEC.key()) == record


def test_a_checkpoint_of_other_code_is_not_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog
):
    def interrupt(step: int, num_steps: int, trained) -> None:
        if step == 7:
            os.kill(os.getpid(), signal.SIGTERM)

    store = Store(tmp_path)
    with pytest.raises(Interrupted):
        store.run(SPEC, Execution(on_step=interrupt))
    monkeypatch.setattr("dilute.training.state.code_hash", lambda: "other")
    steps = []
    store.run(SPEC, Execution(on_step=lambda step, *_: steps.append(step)))
    assert steps[0] == 1
    assert "is of another version of this package; starting again" in caplog.text


def test_a_stop_in_the_last_step_stops_what_comes_after(tmp_path: Path):
    def interrupt(step: int, num_steps: int, trained) -> None:
        if step == num_steps:
            os.kill(os.getpid(), signal.SIGTERM)

    store = Store(tmp_path)
    with pytest.raises(Interrupted, match="was finished and kept"):
        store.run(SPEC, Execution(on_step=interrupt))
    assert store.get(SPEC.key()).status == "done"


def test_time_before_an_interruption_counts(tmp_path: Path):
    def interrupt(step: int, num_steps: int, trained) -> None:
        if step == 20:
            os.kill(os.getpid(), signal.SIGTERM)

    store = Store(tmp_path)
    with pytest.raises(Interrupted):
        store.run(SPEC, Execution(on_step=interrupt))
    record = store.run(SPEC).record
    assert record.seconds > record.training_seconds


def test_a_store_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"^cannot write .*choose another folder$"):
        Store(tmp_path / "file" / "runs")


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path):
    undisturbed = Store(tmp_path / "undisturbed").run(SPEC)
    folder = tmp_path / "runs"
    store = Store(folder)

    def interrupt(step: int, num_steps: int, trained) -> None:
        if step == 7:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match="stopped after step 7 of 30"):
        store.run(SPEC, Execution(on_step=interrupt))
    assert [path.name for path in folder.iterdir()] == [f"{SPEC.key()}.checkpoint.safetensors"]
    steps = []
    record = store.run(SPEC, Execution(on_step=lambda step, *_: steps.append(step))).record
    assert steps[0] == 8
    assert record.curve == undisturbed.record.curve
    assert record.accuracy == undisturbed.record.accuracy
    assert record.heldout_confusion == undisturbed.record.heldout_confusion is not None
    for which in ("last", "selected"):
        name = f"{SPEC.key()}.{which}.safetensors"
        assert (folder / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()
    assert not list(folder.glob("*checkpoint*"))


def test_signals_are_as_they_were_afterwards(tmp_path: Path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    Store(tmp_path).run(SPEC)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def run_command(store: Path, *more: str) -> list[str]:
    options = [
        "--model",
        "mlp1",
        "--alpha",
        "3",
        "--batch-size",
        "64",
        "--steps",
        "400",
        "--checkpoint-every",
        "5",
        "--threads",
        "1",
        "--json",
    ]
    return [sys.executable, "-m", "dilute", "run", "digits", *options, "--store", str(store), *more]


def test_a_real_kill_loses_nothing(tmp_path: Path):
    """SIGKILL at two moments, then SIGINT, then to the end: the same weights as undisturbed."""
    disturbed, undisturbed = tmp_path / "a", tmp_path / "b"
    subprocess.run(run_command(undisturbed), check=True, capture_output=True)

    def latest() -> int:
        found = list(disturbed.glob("*.checkpoint.safetensors"))
        return load_weights(found[0])[1]["step"] if found else 0

    for number in (signal.SIGKILL, signal.SIGKILL, signal.SIGINT):
        already = latest()
        process = subprocess.Popen(
            run_command(disturbed), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        wait_for(
            lambda already=already, process=process: (
                latest() > already or process.poll() is not None
            )
        )
        process.send_signal(number)
        _, message = process.communicate(timeout=60)
        assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL), message
    assert b"interrupted: stopped after step" in message
    assert not list(disturbed.glob("*.json")), "must have been stopped before the end"
    done = subprocess.run(run_command(disturbed), check=True, capture_output=True)
    record = json.loads(done.stdout)
    expected = Store(undisturbed).get(record["key"])
    assert expected is not None
    whole = json.loads(expected.model_dump_json())
    for name in ("curve", "accuracy", "heldout_confusion", "selected_step", "labels_hash"):
        assert record[name] == whole[name], name
    assert record["heldout_confusion"]
    for which in ("last", "selected"):
        first, _ = load_weights(disturbed / f"{record['key']}.{which}.safetensors")
        second, _ = load_weights(undisturbed / f"{record['key']}.{which}.safetensors")
        assert all(torch.equal(first[name], second[name]) for name in second)
