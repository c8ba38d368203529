"""`dilute plan` and `dilute estimate`: what they print, and one clear line for what cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from commands import assert_one_line
from made_runs import record

import dilute
from dilute.runs import Store


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of runs that follow a law: error = 0.02 + (30 · (1 + 0.6·alpha) / n)^0.6."""
    store = Store(tmp_path_factory.mktemp("runs"))
    generator = np.random.default_rng(0)
    for alpha in (0, 5, 20):
        for size in (100, 300, 1000, 3000):
            error = 0.02 + (30 * (1 + 0.6 * alpha) / size) ** 0.6
            error = min(0.9, error * float(np.exp(0.02 * generator.standard_normal())))
            store.put(record(1 - error, num_clean=size, alpha=alpha))
    store.put(record(0.5, num_clean=100, alpha=5, model="mlp2"))
    return store.folder


def test_a_plan_from_a_store(command, runs: Path, tmp_path: Path):
    asked = ["plan", runs, "--setting", "mlp1 uniform", "--target", "0.8", "--alpha", "20,5"]
    asked += ["--have", 21_000, "--clean-price", 1, "--noisy-price", 0.001, "--relabel-price", 0.5]
    code, out, err = command(*asked, "--picture", tmp_path / "plan.png", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert [need["alpha"] for need in found["needs"]] == [0, 20, 5]
    truth = 13 * 30 / 0.18 ** (1 / 0.6)
    assert found["needs"][1]["num_clean"]["value"] == pytest.approx(truth, rel=0.2)
    assert found["purchases"][0]["cost"]["value"] >= 0
    assert len(found["relabelling"]) == 4
    assert (tmp_path / "plan.png").exists()
    code, out, _ = command(*asked)
    assert code == 0
    assert out.startswith("Expect ")
    assert "for 80.0%:" in out
    assert "to buy:" in out


@pytest.mark.slow
def test_a_plan_from_a_pilot(command, tmp_path: Path):
    asked = ["plan", "digits", "--model", "perceptron", "--target", "0.8", "--alpha", "4"]
    code, out, err = command(*asked, "--pilot-minutes", 3, "--store", tmp_path / "pilot")
    assert code == 0, err
    assert "pilot: alpha 0, 1.24, 4" in err
    assert "80% takes about" in out
    assert len(list((tmp_path / "pilot").glob("*.json"))) >= 24


def test_plans_that_cannot_be(command, runs: Path, tmp_path: Path):
    plan = ["plan", runs, "--setting", "mlp1", "--target", 0.8]
    assert_one_line(
        command("plan", runs, "--target", 0.8), "2 settings in", "--setting", "(12 runs)"
    )
    assert_one_line(command(*plan[:3], "conv9", "--target", 0.8), "no setting in", "'conv9'")
    assert_one_line(command(*plan[:3], "mlp2", "--target", 0.8), "1 finished runs", "too few")
    assert_one_line(command(*plan[:-1], 0.05), "target 0.05", "blind guess, 0.1")
    assert_one_line(command(*plan, "--alpha", "few"), "alpha 'few' cannot be read")
    assert_one_line(command(*plan, "--clean-price", 1), "give --clean-price and --noisy-price")
    priced = [*plan, "--alpha", 20, "--clean-price", 1]
    assert_one_line(command(*priced, "--noisy-price", 2), "noisy price 2 is not below")
    assert_one_line(command(*priced, "--noisy-price", 0.1, "--relabel-price", 1), "give --have")
    assert_one_line(command(*plan, "--picture", "plan.pdf"), "allowed are .png and .svg")
    assert_one_line(command(*plan, "--model", "mlp1"), "--model has no effect beside")
    assert_one_line(command("plan", "digits", "--target", 0.8), "give --model")
    (tmp_path / "empty").mkdir()
    assert_one_line(command("plan", tmp_path / "empty", "--target", 0.8), "holds no records")
    failing = ["plan", "digits", "--model", "faulty:fails", "--target", 0.8, "--alpha", 4]
    code, out, err = command(*failing, "--pilot-minutes", 3, "--store", tmp_path / "failing")
    assert (code, out) == (1, "")
    last = err.splitlines()[-1]
    assert last.startswith("dilute: none of the pilot's"), err
    assert "no luck" in last or "Error" in last, err
    pilot = ["plan", "digits", "--model", "mlp1", "--target", 0.8, "--alpha", 4]
    assert_one_line(command(*pilot, "--pilot-minutes", 0), "give a number above 0")


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    """Digits as features, 30 % of whose labels are the next class; for 200, the truth as well."""
    digits = dilute.load("digits").train
    generator = np.random.default_rng(0)
    wrong = generator.random(len(digits)) < 0.3
    labels = np.where(wrong, (digits.labels + 1) % 10, digits.labels)
    inputs = digits.inputs.reshape(len(digits), -1).astype(np.float32)
    np.savez(tmp_path / "noisy.npz", x=inputs, y=labels)
    rows = generator.choice(len(digits), 200, replace=False)
    lines = [f"{row},{digits.labels[row]}" for row in rows]
    (tmp_path / "trusted.csv").write_text("\n".join(["row,label", *lines]) + "\n")
    lines = [
        f"{row},{who},{(truth + 1) % 10 if generator.random() < 0.3 else truth}"
        for row, truth in enumerate(digits.labels[:300])
        for who in ("ann", "bob", "cho", "dee")
    ]
    (tmp_path / "table.csv").write_text("\n".join(["item,annotator,label", *lines]) + "\n")
    return tmp_path


def test_an_estimate_from_trusted_labels(command, noisy: Path):
    asked = ["estimate", f"npz:{noisy / 'noisy.npz'}", "--out", noisy / "out"]
    code, out, err = command(*asked, "--trusted", noisy / "trusted.csv", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["wrong_rate"]["low"] < 0.3 < found["wrong_rate"]["high"]
    assert found["num_items"] == 1438  # all of them, though loading for training holds a fifth back
    assert (noisy / "out" / "cleaned.csv").read_text().startswith("row,given,action,label,prob")
    assert found["rows"]["fix"] > 0
    assert found["commands"]["plan"].startswith(f"dilute plan npz:{noisy / 'out' / 'trusted.npz'}")
    code, out, _ = command(*asked, "--trusted", noisy / "trusted.csv", "--no-rows")
    assert code == 0
    assert "wrong labels" in out
    assert "given label, % of each true class" in out
    fit = found["commands"]["fit"].split()[1:]
    assert fit[2:4] == ["--estimate", str(noisy / "out")]
    options = ["--model", "perceptron", "--steps", "5", "--store", noisy / "runs"]
    code, out, err = command(*fit[:-1], noisy / "model", *options)
    assert code == 0, err
    assert "by the estimate in" in " ".join(out.split())


@pytest.mark.slow
def test_an_estimate_is_handed_over_to_a_plan(command, noisy: Path, runs: Path):
    asked = ["estimate", f"npz:{noisy / 'noisy.npz'}", "--out", noisy / "out", "--no-rows"]
    code, out, _ = command(*asked, "--trusted", noisy / "trusted.csv", "--json")
    words = json.loads(out)["commands"]["plan"].split()[1:]
    words[words.index("--model") + 1] = "perceptron"
    words[1] = "digits"  # as clean data: the trusted ones are too few here
    words[words.index("--confusion") + 1] = str(noisy / "out" / "noise.json")
    words += ["--pilot-minutes", "3", "--store", str(noisy / "pilot")]
    code, out, err = command(*words)
    assert code == 0, err
    assert "confusion noise by dilution" in out


def test_an_estimate_from_annotators_needs_no_data(command, noisy: Path):
    asked = ["estimate", "--annotations", noisy / "table.csv", "--out", noisy / "out"]
    code, out, err = command(*asked)
    assert code == 0, err
    assert "several labels per item (1,200)" in out
    assert (noisy / "out" / "matrix.png").exists()


def test_an_estimate_from_labels_alone(command, noisy: Path):
    asked = ["estimate", f"npz:{noisy / 'noisy.npz'}", "--out", noisy / "out"]
    code, out, err = command(*asked)
    assert code == 0, err
    assert "the labels alone" in out
    assert "the interval leaves out where look-alikes mislead" in out
    code, out, err = command(*asked, "--model", "mlp1")
    assert code == 0, err
    assert "fold 5 of 5" in err
    assert "the interval leaves out what the model gets wrong" in out


def test_estimates_that_cannot_be(command, noisy: Path):
    data = f"npz:{noisy / 'noisy.npz'}"
    out = ["--out", noisy / "out"]
    assert_one_line(command("estimate", *out), "nothing to estimate from")
    assert_one_line(command("estimate", data, "--no-rows", *out), "give --trusted, too")
    table = ["--annotations", noisy / "table.csv"]
    assert_one_line(
        command("estimate", *table, "--trusted", "x.csv", *out), "--trusted has no effect beside"
    )
    (noisy / "bad.csv").write_text("row,label\n99999,1\n")
    assert_one_line(
        command("estimate", data, "--trusted", noisy / "bad.csv", *out),
        "names 1 items that the data do not have (99999); rows are 0 to 1437",
    )
    (noisy / "few.csv").write_text("row,label\n1,1\n")
    assert_one_line(
        command("estimate", data, "--trusted", noisy / "few.csv", "--no-rows", *out), "too few"
    )
    lines = [f"{item},annotator-{item},1" for item in range(20)]
    (noisy / "one.csv").write_text("\n".join(["item,annotator,label", *lines, "0,x,0"]) + "\n")
    assert_one_line(
        command("estimate", "--annotations", noisy / "one.csv", *out), "have one label each"
    )
