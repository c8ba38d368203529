"""`dilute gradients`, `dilute advise` and runs that log their gradients: what they print."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from commands import SMALL

from dilute.runs import Store

LOOK = ["gradients", "digits", "--model", "perceptron", "--alpha", "4", "--images", "128"]


def test_gradients_are_told_at_the_start_and_along_a_run(command):
    code, out, err = command(*LOOK, "--copies", "1,all", "--at", "0,10", "--batch-size", "32")
    assert code == 0, err
    assert "after 0 steps, alpha = 4: 20.0% of the labels clean" in out
    assert "after 10 steps" in out
    assert "32 visits in clean labels: measured" in out
    assert "step 10: the mean gradient" in err


def test_gradients_at_the_weights_of_a_run(command, tmp_path: Path):
    assert command(*SMALL, "--store", tmp_path)[0] == 0
    (path,) = tmp_path.glob("*.last.safetensors")
    code, out, err = command(*LOOK, "--weights", path, "--json")
    assert code == 0, err
    (found,) = json.loads(out)
    assert found["weights"] == str(path)
    assert found["alpha"] == 4
    visits = {one["copies"]: one for one in found["visits"]}
    assert visits.keys() == {1, 4, "all", "expected"}
    assert visits[1]["effective_batch"]["counting_clean_examples"] == pytest.approx(128 / 5)
    assert visits[1]["effective_batch"]["signal_over_noise"] == pytest.approx(128 / 25)
    value, low, high = visits["all"]["effective_batch"]["measured"]
    assert 0 < low < value < high
    assert [layer["layer"] for layer in found["signals"]] == ["", "1"]


def test_gradients_say_what_is_wrong_in_one_line(command, tmp_path: Path):
    assert command(*SMALL, "--store", tmp_path)[0] == 0
    (path,) = tmp_path.glob("*.last.safetensors")
    other = ["gradients", "digits", "--model", "mlp1", "--weights", path]
    for arguments, says in (
        (other, "the weights are those of another model"),
        ([*LOOK, "--weights", tmp_path / "none"], "do not exist"),
        ([*LOOK, "--at", "0,x"], "steps '0,x' cannot be read; give numbers as in 0,50,200"),
        ([*LOOK, "--weights", path, "--at", "0"], "--at has no effect beside --weights"),
        ([*LOOK, "--copies", "some"], "copies = 'some' cannot be"),
        ([*LOOK, "--images", "100000"], "a set of 1438 images is too small for batches of 3125"),
    ):
        code, out, err = command(*arguments)
        assert (code, out) == (1, "")
        assert says in err.splitlines()[-1]
        assert "Traceback" not in err


def test_advice_is_a_command_that_runs(command, tmp_path: Path):
    asked = ["advise", "digits", "--model", "perceptron", "--alpha", "4", "--images", "512"]
    code, out, err = command(*asked, "--noise", "pair", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["copies"] == "all"
    assert found["learning_rate"]["low"] < found["learning_rate"]["value"]
    words = found["command"].split()
    assert words[:2] == ["dilute", "run"]
    steps = words.index("--steps") + 1
    assert int(words[steps]) == found["steps"]["value"]
    words[steps] = "3"
    assert command(*words[1:], "--store", tmp_path, "--curve-points", "1")[0] == 0
    (record,) = Store(tmp_path).records()
    assert record.spec["noise"] == {"pattern": "pair"}
    code, out, _ = command(*asked)
    assert code == 0
    last = out.splitlines()[-1]
    assert last.startswith(
        "dilute run digits --model perceptron --alpha 4 --method patches_estimated --copies all "
        "--batch-size"
    )


def test_a_run_logs_its_gradients(command, tmp_path: Path):
    code, out, err = command(*SMALL, "--log-gradients", "--store", tmp_path, "--json")
    assert code == 0, err
    record = json.loads(out)
    assert record["spec"]["log_gradients"] is True
    assert record["gradient_seconds"] > 0
    first, last = record["curve"]
    assert first["step"] == 0
    assert first["gradient"]["length"] > 0
    assert last["gradient"] is None


def test_labels_of_ones_own_count_as_clean_and_that_is_said(command, tmp_path):
    labels = np.arange(400) % 4
    values = np.eye(4)[labels] + np.random.default_rng(0).normal(size=(400, 4))
    np.savez(tmp_path / "own.npz", x=values.astype(np.float32), y=labels)
    own = ["--model", "perceptron", "--alpha", "2", "--images", "64"]
    code, _, err = command("gradients", f"npz:{tmp_path / 'own.npz'}", *own)
    assert code == 0, err
    assert "how many are wrong is not known; they count as clean here" in err
    code, _, err = command("gradients", "digits", *own)
    assert code == 0, err
    assert "not known" not in err
