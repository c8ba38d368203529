"""The figures' files, and the way from specs to pictures and verdicts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_figures import CLAIMS, FIGURES, NUMBERED, made_record, specs_of

from dilute.data import known
from dilute.errors import SpecError
from dilute.runs import RunRecord, Store
from dilute.studies import chosen_studies
from dilute.studies.paper import fig5, headline
from dilute.study import SCALES, claims_markdown, reproduce_studies


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
    """Labels per second over those of the paper's sampling.

    A run that did not finish has no row.
    """
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
        fig5.specs_given("laptop", [])


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
    """With runs that are all alike: pictures and tables come out, verdicts of four kinds."""
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
    """As does CIFAR-100 on a machine that has some of its images; records name them by a hash."""
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


def test_a_study_whose_runs_all_failed_shows_nothing(tmp_path: Path):
    """Of runs that ended before their first look there is no row to draw."""
    store = Store(tmp_path / "runs")
    chosen = chosen_studies(["headline", "noise-scale"])
    for study in chosen:
        for spec in study.runs("laptop"):
            failed = {"status": "failed", "curve": [], "selected_step": None}
            store.put(made_record(spec).model_copy(update=failed))
    found = reproduce_studies(chosen, "laptop", store, tmp_path / "out")
    assert found.data == {}
    assert not list((tmp_path / "out").glob("*.png"))
    assert [one.judgement.verdict for one in found.claims] == ["not run at this scale"]
