"""The command line: what it prints, where, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from commands import QUICK, SMALL, TRAIN, assert_one_line
from own_data import write_mnist_like, write_pictures

import dilute
from dilute.cli import app


@pytest.mark.parametrize(
    "name",
    [
        "demo",
        "fit",
        "predict",
        "run",
        "sweep",
        "compare",
        "reproduce",
        "gradients",
        "advise",
        "plan",
        "estimate",
        "labels",
        "data list",
        "data info",
        "data fetch",
    ],
)
def test_every_command_has_help_with_an_example(name: str, command):
    code, out, _ = command(*name.split(), "--help")
    assert code == 0
    assert f"Example: dilute {name}" in " ".join(out.split())


def test_every_command_is_in_the_test_above():
    names = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert names == {
        *("demo", "run", "sweep", "compare", "reproduce", "gradients", "advise", "plan"),
        *("estimate", "labels", "fit", "predict"),
    }


def test_version(command):
    assert command("--version") == (0, f"{dilute.__version__}\n", "")


def test_run_prints_a_summary_and_answers_from_the_store(command, tmp_path: Path):
    code, out, err = command(*SMALL, "--store", tmp_path)
    assert code == 0
    assert "test accuracy" in out
    assert "66.7% noise" in out
    assert "step 5/5" in err
    code, again, err = command(*SMALL, "--store", tmp_path)
    assert (code, again) == (0, out)
    assert "answered from the store" in err
    assert ".json" not in err  # the record may be in a pack
    code, _, err = command(*SMALL, "--store", tmp_path, "--force")
    assert code == 0
    assert "answered from the store" not in err


def test_run_prints_one_json_document(command, tmp_path: Path):
    code, out, _ = command(*SMALL, "--store", tmp_path, "--json")
    assert code == 0
    record = json.loads(out)
    assert record["spec"]["copies"] == "all"
    assert record["accuracy"].keys() == {"last", "selected", "top5_last", "top5_selected"}
    stored = json.loads((tmp_path / f"{record['key']}.json").read_text())
    assert stored == record


def test_run_takes_every_kind_of_noise(command, tmp_path: Path):
    np.savetxt(tmp_path / "m.csv", np.eye(10) + 0.1, delimiter=",")
    kinds = [
        ["--noise", "uniform_other"],
        ["--noise", "pair"],
        ["--noise", "asymmetric", "--class-map", "mnist"],
        ["--noise", "asymmetric", "--class-map", "7:1,2:7"],
        ["--noise", "structured", "--order", "random", "--delta", "0.1"],
        ["--noise", "structured", "--class-order", "3,5,8,0,1,2,4,6,7,9", "--delta", "0.1"],
        [
            "--noise",
            "structured",
            "--confusion",
            tmp_path / "m.csv",
            "--delta",
            "0.1",
            "--order",
            "reverse",
        ],
        ["--noise", "confusion", "--confusion", tmp_path / "m.csv"],
        ["--noisy-images", "white_noise"],
        ["--noisy-images", "white_noise:30"],
        ["--epsilon", "1e-4"],
        ["--optimizer", "adadelta", "--epsilon", "1e-4"],
    ]
    keys = set()
    for kind in kinds:
        code, out, err = command(*SMALL, *kind, "--store", tmp_path / "runs", "--json")
        assert code == 0, err
        keys.add(json.loads(out)["key"])
    assert len(keys) == len(kinds)


def test_labels_and_a_run_on_them(command, tmp_path: Path):
    path = tmp_path / "labels.parquet"
    code, out, _ = command("labels", "digits", "--alpha", 2, "--out", path, "--json")
    assert code == 0
    document = json.loads(out)
    assert document["num_noisy"] == 2 * document["num_clean"]
    code, out, _ = command(*TRAIN, "--realisation", path, "--store", tmp_path, "--json")
    assert code == 0
    record = json.loads(out)
    assert record["labels_hash"] == record["spec"]["labels_hash"] == document["content_hash"]


@pytest.mark.parametrize("name", ["white_noise", "white_noise:9"])
def test_labels_on_white_noise_are_trained_on(command, tmp_path: Path, name: str):
    path = tmp_path / "labels.parquet"
    assert command("labels", "digits", "--alpha", 2, "--noisy-images", name, "--out", path)[0] == 0
    code, out, err = command(*TRAIN, "--realisation", path, "--store", tmp_path, "--json")
    assert code == 0, err
    assert json.loads(out)["spec"]["noisy_images"] == name


def test_label_files_that_cannot_be_used(command, tmp_path: Path):
    import pandas as pd

    assert_one_line(
        command(*TRAIN, "--realisation", tmp_path / "none.parquet"), "none.parquet does not exist"
    )
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    assert_one_line(
        command(*TRAIN, "--realisation", tmp_path / "other.parquet"), "not written by dilute labels"
    )
    for alpha in ("nan", "inf", "-1"):
        arguments = [
            "labels",
            "digits",
            "--alpha",
            alpha,
            "--noisy-images",
            "white_noise",
            "--out",
            tmp_path / "l.parquet",
        ]
        assert_one_line(command(*arguments), f"alpha = {float(alpha):g}")


def test_selection_by_another_set(command, tmp_path: Path):
    code, out, err = command(*SMALL, "--heldout", "digits", "--store", tmp_path, "--json")
    assert code == 0, err
    assert json.loads(out)["selected_by"] == "heldout_clean_nll"


def test_without_arguments_there_is_help(command):
    for arguments in ([], ["data"]):
        code, out, err = command(*arguments)
        assert (code, err) == (0, "")
        assert "Usage" in out


def test_a_failed_run_exits_with_1(command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "broken.py").write_text(
        "import torch\nclass M(torch.nn.Module):\n"
        "    def __init__(s, shape, k):\n"
        "        super().__init__(); s.w = torch.nn.Parameter(torch.ones(1))\n"
        "    def forward(s, x): return {}['key']\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    code, out, _ = command(
        "run", "digits", "--model", "broken:M", *QUICK, "--store", tmp_path / "runs"
    )
    assert code == 1
    assert "failed after no steps: KeyError: 'key'" in out


def test_top5_is_shown_where_there_are_many_classes(command, tmp_path: Path):
    labels = np.arange(240) % 12
    np.savez(tmp_path / "f.npz", x=np.eye(12, dtype=np.float32)[labels], y=labels)
    data = f"npz:{tmp_path / 'f.npz'}"
    code, out, err = command("run", data, "--model", "mlp1", *QUICK, "--store", tmp_path / "runs")
    assert code == 0, err
    assert out.count("% (top 5: ") == 2


def test_labels_warns_where_the_class_is_lost(command, tmp_path: Path):
    _, _, err = command(
        "labels", "digits", "--alpha", 2, "--noise", "pair", "--out", tmp_path / "l.parquet"
    )
    assert (
        "for 10 of 10 classes (0, 1, 2, 3, 4, …) the true label is not the most frequent one" in err
    )


def test_data_commands(command, tmp_path: Path):
    code, out, _ = command("data", "list")
    assert code == 0
    assert "mnist5k" in out
    picture = tmp_path / "sheet.png"
    code, out, _ = command("data", "info", "digits", "--picture", picture)
    assert code == 0
    assert "10 classes" in out
    assert picture.read_bytes().startswith(b"\x89PNG")
    refused = command("data", "info", "digits", "--picture", tmp_path / "sheet.svg")
    assert_one_line(refused, "is no .png")
    code, out, _ = command("data", "info", "digits", "--json")
    assert json.loads(out)["train"]["examples"] == 1438
    code, out, _ = command("data", "fetch", "digits")
    assert code == 0


def test_own_data_run(command, tmp_path: Path):
    write_mnist_like(tmp_path / "idx")
    write_pictures(tmp_path / "pictures", sizes=(8, 12))
    np.savez(
        tmp_path / "features.npz",
        x=np.random.default_rng(0).normal(size=(40, 3)),
        y=np.arange(40) % 2,
    )
    for data, more in (
        (f"idx:{tmp_path / 'idx'}", []),
        (f"folder:{tmp_path / 'pictures'}", ["--resize", 8]),
        (f"npz:{tmp_path / 'features.npz'}", []),
    ):
        arguments = [
            "run",
            data,
            "--model",
            "mlp1",
            "--alpha",
            1,
            *QUICK,
            "--store",
            tmp_path / "runs",
            "--json",
            *more,
        ]
        code, out, err = command(*arguments)
        assert code == 0, err
        spec = json.loads(out)["spec"]
        assert str(tmp_path) not in json.dumps(spec), "a spec holds no path"
        assert spec["data"].startswith(data.partition(":")[0] + "@")


def test_interrupting_exits_with_130(tmp_path: Path):
    import signal

    arguments = [
        "run",
        "digits",
        "--model",
        "mlp4",
        "--steps",
        "100000",
        "--store",
        str(tmp_path),
        "--threads",
        "1",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "dilute", *arguments, "--checkpoint-every", "1"],
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*.safetensors")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"dilute: interrupted: stopped after step" in message
    assert b"Traceback" not in message


def test_demo_at_its_smallest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command):
    """The path of the demonstration, with runs of three steps; the real one is `make demo`."""
    from dilute import demo

    real = demo.demo_spec
    monkeypatch.setattr(
        demo,
        "demo_spec",
        lambda alpha, method="cross_entropy": real(alpha, method).model_copy(
            update={"budget_steps": 3, "batch_size": 8, "curve_points": 1}
        ),
    )
    code, out, err = command("demo", "--out", tmp_path)
    assert code == 0, err
    assert "of all labels wrong" in out
    assert "1,000 unseen digits" in out
    for name in ("labels.png", "curves.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
