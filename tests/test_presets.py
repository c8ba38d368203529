"""Presets: what they stand for, and what changes them."""

from __future__ import annotations

import json

import pytest
from commands import assert_one_line
from pydantic import ValidationError

import dilute
from dilute.errors import validation_line
from dilute.runs import PRESETS, RunSpec, with_preset
from dilute.sweeps import read_sweep


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_the_fields_that_it_stands_for(name: str):
    spec = RunSpec(data="cifar10", alpha=10, preset=name)
    assert spec == RunSpec(data="cifar10", alpha=10, **PRESETS[name].fields)
    assert "preset" not in spec.canonical()
    written = json.loads(json.dumps(spec.canonical()))
    assert all(written[field] == value for field, value in PRESETS[name].fields.items())
    dilute.Recipe(**{k: value for k, value in PRESETS[name].fields.items() if k != "model"})


def test_what_is_given_goes_before():
    fast = {"data": "cifar10", "preset": "cifar10-fast"}
    spec = RunSpec(**fast, budget_steps=7, learning_rate=0.1, model="conv6")
    assert (spec.budget_steps, spec.budget_epochs) == (7, None)
    assert (spec.learning_rate, spec.model, spec.nesterov) == (0.1, "conv6", True)
    other = RunSpec(**fast, optimizer="adamw")
    assert other.learning_rate == 1e-3
    assert (other.nesterov, other.momentum, other.weight_decay) == (False, None, 0.01)
    assert RunSpec(**fast, warmup_steps=9).warmup_fraction is None
    assert RunSpec(**fast, schedule="constant").warmup_fraction is None
    assert with_preset({"alpha": 2}) == {"alpha": 2}
    with pytest.raises(ValidationError) as caught:
        RunSpec(data="cifar10", preset="cifar-fast")
    assert "did you mean cifar10-fast" in validation_line(caught.value)


def test_presets_in_commands_and_sweep_files(command, tmp_path):
    options = ["--preset", "paper", "--steps", "3", "--alpha", "2", "--batch-size", "16"]
    code, out, err = command(
        "run", "mnist5k", *options, "--curve-points", "1", "--store", tmp_path / "runs", "--json"
    )
    assert code == 0, err
    spec = json.loads(out)["spec"]
    assert (spec["model"], spec["optimizer"], spec["batch_size"]) == ("conv4", "adadelta", 16)
    assert spec["budget_steps"] == 3
    assert "budget_epochs" not in spec
    assert_one_line(command("run", "mnist5k", "--preset", "quick"), "preset 'quick'")
    (tmp_path / "sweep.yaml").write_text(
        "base: {data: cifar10, preset: cifar10-fast}\ngrid: {alpha: [0, 10]}\n"
    )
    specs = read_sweep(tmp_path / "sweep.yaml")
    assert [(spec.alpha, spec.model) for spec in specs] == [(0, "fastnet"), (10, "fastnet")]
