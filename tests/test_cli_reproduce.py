"""`dilute reproduce`: what it prints, draws and leaves, and when it is interrupted."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import pandas as pd
import pytest
from made_figures import CLAIMS, FIGURES, NUMBERED, made_record
from PIL import Image

from dilute.cli import main
from dilute.errors import StoreError
from dilute.runs import Store
from dilute.study import reproduce_studies


def test_figure_3_takes_the_whole_path_on_a_sample_of_imagenet(tmp_path: Path, capsys):
    """Class folders of JPEG files, streamed, augmented, trained on by ResNet-18.

    Top-1 and top-5.
    """
    for number in range(1000):
        folder = tmp_path / "imagenet-sample" / "train" / f"n{number:08}"
        folder.mkdir(parents=True)
        Image.new("RGB", (80, 60), (number % 256, number // 4, 99)).save(folder / "0.jpg")
    command = ["reproduce", "fig3", "--scale", "smoke", "--store", str(tmp_path / "runs"), "--json"]
    assert main([*command, "--out", str(tmp_path / "out"), "--data-dir", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == {"fig3": 2}
    for record in Store(tmp_path / "runs").records():
        spec = record.spec
        assert (spec["data"], spec["augment"], spec["copies"]) == (
            "imagenet-sample",
            "crop_flip",
            1,
        )
        assert (record.status, record.num_test) == ("done", 1000)
        assert record.accuracy.top5_last is not None
    shown = pd.read_csv(tmp_path / "out" / "fig3.csv")
    assert set(shown["measure"]) == {"top-1", "top-5"}


def test_a_part_of_the_data_is_refused(tmp_path: Path, capsys):
    """Of ImageNet, with which nothing would be judged after days of training."""
    for part, name in product(("train", "val"), ("n01440764", "n01443537")):
        folder = tmp_path / "imagenet" / part / name
        folder.mkdir(parents=True)
        for shade in (10, 200):
            Image.new("RGB", (8, 8), (shade, 0, len(part))).save(folder / f"{shade}.png")
    command = ["reproduce", "fig3", "--scale", "paper", "--store", str(tmp_path / "runs")]
    assert main([*command, "--out", str(tmp_path / "out"), "--data-dir", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "what is here of imagenet is a part of it (streamed-imagenet@" in error


def test_a_store_without_the_runs_says_so(tmp_path: Path, capsys):
    with pytest.raises(StoreError, match=r"lacks 4 of the 4 runs of fig11 at smoke scale; leave"):
        reproduce_studies([FIGURES["fig11"]], "smoke", Store(tmp_path), tmp_path / "out")
    command = ["reproduce", "fig11", "--scale", "smoke", "--draw-only", "--store", str(tmp_path)]
    assert main([*command, "--out", str(tmp_path / "out")]) == 1
    assert "lacks 4 of the 4 runs" in capsys.readouterr().err


def test_dry_run_counts_and_runs_nothing(tmp_path: Path, capsys):
    store = tmp_path / "runs"
    command = ["reproduce", "fig5", "fig11", "--scale", "smoke", "--store", str(store), "--dry-run"]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["to_do"] == {"fig5": 1, "fig11": 4}, "figure 5 has its reference to do first"
    assert (found["runs"], found["uncounted"]) == (5, ["fig5"])
    assert found["estimated_seconds"] > 0
    for spec in FIGURES["fig5"].references("smoke"):
        Store(store).put(made_record(spec))
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "fig5   4" in out
    assert "8 runs to do at smoke scale, about" in out
    assert len(Store(store).keys()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fig7"], ["unknown study 'fig7'", "did you mean"]),
        (["fig1", "--scale", "lapop"], ["unknown scale 'lapop'", "did you mean laptop"]),
        (["fig1", "--scale", "Paper", "--dry-run"], ["unknown scale 'Paper'"]),
        (["fig4", "--out", "/dev/null/x"], ["cannot write /dev/null/x"]),
        ([], ["Missing argument"]),
    ],
)
def test_bad_input_gets_one_line(tmp_path: Path, capsys, arguments, words):
    assert main(["reproduce", *arguments, "--store", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    for word in words:
        assert word in error


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_interrupted_it_says_what_is_left(tmp_path: Path, number: signal.Signals):
    command = [sys.executable, "-m", "dilute", "reproduce", "fig1", "--scale", "smoke", "--json"]
    command += ["--store", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not Store(tmp_path / "runs").keys():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    out, error = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "of 10 runs are left; the same command goes on with them" in error.splitlines()[-1]
    assert not out
    assert not (tmp_path / "out" / "claims.json").exists()


@pytest.mark.slow
def test_the_smoke_scale_of_all_figures_survives_a_kill(tmp_path: Path):
    """The path from data to verdicts, killed once in the middle: no run is done twice."""
    command = [sys.executable, "-m", "dilute", "reproduce", "all", "headline", "--scale", "smoke"]
    command += ["--store", str(tmp_path / "runs"), "--out", str(tmp_path / "out"), "--json"]
    first = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    wanted = random.Random(0).randint(3, 12)
    deadline = time.monotonic() + 240
    while len(Store(tmp_path / "runs").keys()) < wanted:
        assert time.monotonic() < deadline
        assert first.poll() is None
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    time.sleep(1)  # its workers end by themselves
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").glob("*.json")}
    second = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PYTHONWARNINGS": "error"}
    )
    assert second.returncode == 0, second.stderr
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").glob("*.json")}
    assert before.items() <= after.items()
    found = json.loads(second.stdout)
    assert set(found["runs"]) == {*NUMBERED, "headline"}
    assert not any(found["unfinished"].values())
    assert {claim["id"] for claim in found["claims"]} == CLAIMS
    assert not list((tmp_path / "runs").glob("*.checkpoint.safetensors"))
