"""The figures' files, and the way from specs to pictures and verdicts."""

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

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dilute.cli import main
from dilute.data import known
from dilute.errors import SpecError, StoreError
from dilute.runs import RunRecord, RunSpec, Store
from dilute.studies import ALL, STUDIES, chosen_studies
from dilute.studies.paper import fig5, headline
from dilute.study import SCALES, claims_markdown, reproduce_studies

FIGURES = {name: STUDIES[name] for name in (*ALL, "headline")}
# Of the page that states the paper's claims.
CLAIMS = {
    "mnist-alpha100",
    "mnist-order",
    "cifar-alpha10",
    "imagenet-alpha5",
    "structured",
    "order-is-minor",
    "vocabulary",
    "threshold",
    "linear-need",
    "batch-size",
    "infinite-batch",
    "learning-rate",
    "effective-batch",
}
NUMBERED = [
    "fig1",
    "fig2",
    "fig3",
    "fig4",
    "fig5",
    "fig6",
    "fig8",
    "fig9",
    "fig10",
    "fig11",
    "noise-scale",
]


def made_record(spec: RunSpec, accuracy: float = 0.5) -> RunRecord:
    confusion = np.random.default_rng(0).integers(0, 100, (10, 10)).tolist()
    return RunRecord(
        key=spec.key(),
        status="done",
        spec=spec.canonical(),
        accuracy={"last": accuracy, "selected": accuracy},
        selected_step=6,
        curve=[
            {
                "step": 6,
                "images": 60,
                "examples": 60,
                "train_loss": 1.0,
                "heldout_nll": 2.0,
                "test_accuracy": accuracy,
            }
        ],
        steps=6,
        num_clean=spec.num_clean or 57_000,
        num_test=10_000,
        seconds=1.0,
        training_seconds=0.5,
        heldout_confusion=confusion,
        code="made up",
        started="2026-01-01T00:00:00+00:00",
    )


def specs_of(name: str, scale: str) -> list[RunSpec]:
    figure = FIGURES[name]
    return figure.specs(scale, [made_record(spec) for spec in figure.references(scale)])


def test_every_claim_has_its_figure():
    claims = [claim for figure in FIGURES.values() for claim in figure.claims]
    assert {claim.id for claim in claims} == CLAIMS
    assert len(claims) == len(CLAIMS)
    assert all(claim.judge.__doc__ for claim in claims)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_states_what_it_is(name):
    figure = FIGURES[name]
    assert figure.name == name
    assert "paper" in figure.source
    assert set(figure.notes) == set(SCALES)
    for scale in SCALES:
        specs = specs_of(name, scale)
        keys = [spec.key() for spec in specs]
        assert len(set(keys)) == len(keys), "a run is listed twice"
        assert specs or figure.illustrates or (name, scale) == ("fig3", "laptop")


def test_all_is_every_figure_of_the_paper():
    assert [figure.name for figure in chosen_studies(["all"])] == NUMBERED
    assert [f.name for f in chosen_studies(["fig5", "fig1", "fig5"])] == ["fig5", "fig1"]
    with pytest.raises(SpecError, match=r"unknown study 'fig7'; did you mean fig\d"):
        chosen_studies(["fig7"])


def test_smoke_needs_no_data_but_the_bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DILUTE_DATA", str(tmp_path))
    bundled = {name for name, line in known().items() if "bundled" in line}
    for name in FIGURES:
        assert {spec.data for spec in specs_of(name, "smoke")} <= bundled


def test_the_papers_scale_is_the_papers_sampling():
    beside = {spec.key() for spec in specs_of("fig1", "laptop")}
    for name in ("fig1", "fig2", "fig5", "fig6", "fig8", "fig11"):
        for spec in specs_of(name, "paper"):
            if spec.key() in beside:
                assert (name, spec.model, spec.alpha) == ("fig1", "conv4", 100)
                continue
            assert (spec.copies, spec.batch_size, spec.optimizer) == (1, 128, "adadelta")
    for spec in specs_of("fig3", "paper"):
        assert (spec.data, spec.batch_size, spec.optimizer) == ("imagenet", 256, "sgd")
        assert (spec.momentum, spec.augment) == (0.9, "crop_flip")


def test_figure_3_takes_the_whole_path_on_a_sample_of_imagenet(tmp_path: Path, capsys):
    """Class folders of JPEG files, streamed, augmented, trained on by ResNet-18, and judged by top-1 and top-5."""
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


def test_figure_8_and_9_share_their_runs():
    for scale in SCALES:
        assert {s.key() for s in specs_of("fig8", scale)} == {
            s.key() for s in specs_of("fig9", scale)
        }


def test_the_headline_compares_at_as_many_labels():
    for scale in SCALES:
        labels = {"single": {}, "grouped": {}}
        for spec in headline.specs(scale):
            sampling = "single" if spec.copies == 1 else "grouped"
            seen = spec.budget_examples or spec.budget_steps * spec.batch_size
            labels[sampling].setdefault(spec.alpha, set()).add(seen)
        assert labels["single"] == labels["grouped"]
        assert all(len(seen) == 1 for seen in labels["single"].values())


def test_the_headline_is_summed_up_by_run():
    """Labels per second over those of the paper's sampling; a run that did not finish has no row."""
    specs = headline.specs("laptop")
    seconds = {"adadelta": 1000.0, "adamw": 100.0}
    records = []
    for spec in specs:
        record = made_record(spec, accuracy=0.9)
        points = [
            {"step": 3, "images": 30, "examples": 3000, "train_loss": 1, "test_accuracy": 0.5},
            {"step": 6, "images": 60, "examples": 6000, "train_loss": 1, "test_accuracy": 0.9},
        ]
        is_lost = spec.alpha == 100 and spec.optimizer == "adamw" and spec.batch_size == 32
        changes = {
            "curve": points,
            "selected_step": 3,
            "training_seconds": seconds[spec.optimizer],
            "status": "diverged" if is_lost else "done",
        }
        records.append(RunRecord(**record.model_dump() | changes))
    data = headline.select(headline.curve_table(records), "laptop")
    lines = headline.summary(data, "laptop").splitlines()
    assert len(lines) == 2 + len(specs) - 1
    assert "| 50 | single, AdaDelta | 6,000 | 50.0 (90.0) | 16.7 | 6 | 1.0 |" in lines
    assert "| 50 | grouped, AdamW, 32 images | 6,000 | 50.0 (90.0) | 1.7 | 60 | 10.0 |" in lines
    assert not any(line.startswith("| 100 | grouped, AdamW, 32") for line in lines)


def test_the_confusing_order_is_read_from_the_confusion_matrix():
    confusion = np.array([[50, 1, 7, 7], [9, 50, 0, 3], [0, 0, 50, 0], [1, 2, 3, 50]])
    assert fig5.class_order(confusion) == ((2, 3, 1), (0, 3, 2), (0, 1, 3), (2, 1, 0))
    with pytest.raises(SpecError, match="needs its reference run"):
        fig5.specs("laptop", [])


class Trainer:
    """Leaves a made-up record of every run in the store, and remembers what it was asked for."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.done: list[str] = []

    def __call__(self, specs) -> None:
        for spec in specs:
            if self.store.get(spec.key()) is None:
                self.store.put(made_record(spec))
                self.done.append(spec.key())


@pytest.mark.parametrize(
    "scale",
    [pytest.param(s, marks=() if s == "smoke" else pytest.mark.slow) for s in SCALES],
)
def test_every_figure_is_drawn_at_every_scale(tmp_path: Path, scale):
    """With runs that are all alike: pictures and tables come out, and the verdicts are words of four."""
    store = Store(tmp_path / "runs")
    trainer = Trainer(store)
    chosen = list(FIGURES.values())
    found = reproduce_studies(chosen, scale, store, tmp_path / "out", trainer)
    assert len(trainer.done) == len(set(trainer.done))
    assert {one.claim.id for one in found.claims} == CLAIMS
    for figure in chosen:
        if figure.illustrates or specs_of(figure.name, scale):
            for ending in ("png", "svg", "csv"):
                assert (tmp_path / "out" / f"{figure.name}.{ending}").stat().st_size > 50
    rows = json.loads((tmp_path / "out" / "claims.json").read_text())
    assert {row["verdict"] for row in rows} <= {
        "reproduced",
        "partly",
        "not reproduced",
        "not run at this scale",
    }
    if scale == "smoke":
        assert {row["verdict"] for row in rows} == {"not run at this scale"}
    assert claims_markdown(rows) in (tmp_path / "out" / "claims.md").read_text()

    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    trained = len(trainer.done)
    reproduce_studies(chosen, scale, store, tmp_path / "out", None)
    assert len(trainer.done) == trained
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_part_of_a_public_set_counts_as_the_set(tmp_path: Path):
    """As does the CIFAR-100 of a machine that has some of its images, whose records name them by a hash."""
    store = Store(tmp_path / "runs")
    for spec in specs_of("fig6", "laptop"):
        if spec.noisy_images == "cifar100":
            spec = spec.model_copy(update={"noisy_images": "cifar100@0123456789abcdef"})
        store.put(made_record(spec))
    found = reproduce_studies([FIGURES["fig6"]], "laptop", store, tmp_path / "out")
    assert found.studies[0].num_runs == 4
    assert found.studies[0].parts == ["cifar100@0123456789abcdef"]
    rows = pd.read_csv(tmp_path / "out" / "fig6.csv")
    assert (rows["source"] == "CIFAR-100").sum() == 2
    assert rows["source"].notna().all()


def test_a_failed_run_of_another_figure_is_counted_and_costs_nothing(tmp_path: Path):
    """Figure 1 shows the headline's single draws, which are not its own runs."""
    store = Store(tmp_path / "runs")
    for spec in specs_of("fig1", "laptop"):
        store.put(made_record(spec))
    first, *others = map(made_record, headline.single_draws("laptop"))
    for record in (first.model_copy(update={"status": "failed"}), *others):
        store.put(record)
    found = reproduce_studies([FIGURES["fig1"]], "laptop", store, tmp_path / "out").studies[0]
    assert (found.num_runs, found.num_unfinished) == (60, 1)
    assert found.core_seconds == 60


def test_failed_runs_are_left_out_and_counted(tmp_path: Path):
    store = Store(tmp_path / "runs")
    specs = specs_of("fig11", "laptop")
    for spec in specs:
        store.put(made_record(spec))
    store.put(made_record(specs[0]).model_copy(update={"status": "diverged"}))
    found = reproduce_studies([FIGURES["fig11"]], "laptop", store, tmp_path / "out")
    (figure,) = found.studies
    assert (figure.num_runs, figure.num_unfinished) == (len(specs) - 1, 1)
    assert "1 runs failed or diverged" in (tmp_path / "out" / "claims.md").read_text()
    rows = pd.read_csv(tmp_path / "out" / "fig11.csv")
    assert rows["status"].value_counts().to_dict() == {"done": len(specs) - 1, "diverged": 1}
    assert rows.loc[rows["status"] == "diverged", "accuracy"].isna().all()


def test_a_whole_store_is_drawn_without_training(tmp_path: Path):
    """Not even the data are looked for."""
    store = Store(tmp_path / "runs")
    for spec in specs_of("fig11", "laptop"):
        store.put(made_record(spec))

    def train(specs) -> None:
        raise AssertionError("nothing is missing")

    reproduce_studies([FIGURES["fig11"]], "laptop", store, tmp_path / "out", train)


def test_failed_runs_are_trained_again_if_asked(tmp_path: Path):
    store = Store(tmp_path / "runs")
    first, *others = specs_of("fig11", "smoke")
    store.put(made_record(first).model_copy(update={"status": "failed", "message": "made up"}))
    trained: list[str] = []

    def train(specs) -> None:
        for spec in specs:
            trained.append(spec.key())
            store.put(made_record(spec))

    chosen = [FIGURES["fig11"]]
    found = reproduce_studies(chosen, "smoke", store, tmp_path / "out", train)
    assert set(trained) == {spec.key() for spec in others}
    assert found.studies[0].num_unfinished == 1
    reproduce_studies(chosen, "smoke", store, tmp_path / "out", train, retry_failed=True)
    assert trained[-1] == first.key()


def test_a_failed_reference_costs_its_figure_alone(tmp_path: Path):
    store = Store(tmp_path / "runs")
    (reference,) = FIGURES["fig5"].references("laptop")
    store.put(made_record(reference).model_copy(update={"status": "failed"}))
    chosen = [FIGURES["fig5"], FIGURES["fig4"]]
    found = reproduce_studies(chosen, "laptop", store, tmp_path / "out")
    assert (tmp_path / "out" / "fig4.png").exists()
    assert {one.judgement.verdict for one in found.claims} == {"not run at this scale"}
    assert all("--retry-failed" in one.judgement.finding for one in found.claims)


def test_claims_of_other_figures_stay_in_the_table(tmp_path: Path):
    store = Store(tmp_path / "runs")
    for name in ("fig11", "fig1"):
        for spec in specs_of(name, "laptop"):
            store.put(made_record(spec))
        reproduce_studies([FIGURES[name]], "laptop", store, tmp_path / "out")
    rows = json.loads((tmp_path / "out" / "claims.json").read_text())
    assert [row["id"] for row in rows] == ["learning-rate", "mnist-alpha100", "mnist-order"]


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
    assert "fig5    4" in out
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
