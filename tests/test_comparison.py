"""Comparisons: equal budgets, choices by held-out labels alone, and what the command prints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import assert_one_line

from dilute.advice.method_choice import choose_method, preparation_seconds
from dilute.data import LabelledSet, Splits
from dilute.dilution import DilutedSet, GivenSet, ReplacedSet
from dilute.errors import SpecError
from dilute.methods import METHOD_NAMES, make_method
from dilute.runs import RunRecord, RunSpec
from dilute.study import MethodResult, outcomes, ranking
from dilute.study.comparison_picture import draw_comparison
from dilute.study.contest import Contest, Entries, entries_of
from dilute.training import CurvePoint

pytestmark = pytest.mark.numerical


def contest(**fields) -> Contest:
    entries = Entries(**{"methods": ("mae",), **fields})
    return Contest("digits", "mlp1", {"alpha": 5.0}, entries)


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_every_method_has_the_same_budget_of_images(name: str):
    """Images through each network, looks at a third: at most the budget, and nearly all of it."""
    (spec,) = contest(methods=(name,), passes=6.0, seeds=(0,)).specs(4000)
    method = make_method(name)
    trained = round(0.95 * 4000)
    spent = spec.budget_steps * spec.batch_size * method.networks + method.looks * trained / 3
    assert 6 * trained - 2 * spec.batch_size <= spent <= 6 * trained
    assert spec.copies == method.copies


def test_methods_meet_the_same_labels_and_network():
    specs = contest(methods=METHOD_NAMES, passes=6.0, seeds=(3,)).specs(4000)
    shared = ("data", "alpha", "noise", "seed", "heldout_fraction", "model", "batch_size")
    assert len({json.dumps([spec.canonical()[name] for name in shared]) for spec in specs}) == 1


def test_what_cannot_be_compared_is_said():
    with pytest.raises(SpecError, match="did you mean mae"):
        contest(methods=("maee",)).specs(4000)
    with pytest.raises(SpecError, match=r"too few for rounds_known, which needs \d"):
        contest(methods=("rounds_known",), passes=0.5).specs(4000)
    with pytest.raises(SpecError, match="did you mean known"):
        entries_of(["knwon"])
    with pytest.raises(SpecError, match="a method, a seed and a learning rate"):
        contest(methods=()).specs(4000)


def test_words_stand_for_methods():
    assert entries_of(["all"]) == METHOD_NAMES
    assert entries_of(["gce", "known", "gce"])[0] == "gce"
    for word in ("known", "estimated"):
        assert all(f"{word} matrix" in make_method(name).knows for name in entries_of([word]))
        assert set(entries_of([word])) == {
            name for name in METHOD_NAMES if name.endswith(f"_{word}")
        }  # Co-teaching, which knows the noise rate alone, is not among them
    assert entries_of(["forward", "em_known"]) == ("forward_estimated", "em_known")


def record(method: str, seed: int, rate: float, points: list[tuple[float, float]]) -> RunRecord:
    """Return a record whose curve has the given pairs of held-out mixed NLL and test accuracy."""
    spec = RunSpec(
        data="digits", model="mlp1", alpha=5, method=method, seed=seed, learning_rate=rate
    )
    curve = [
        CurvePoint(
            step=step,
            images=step,
            examples=step,
            heldout_nll=9 - step,
            heldout_mixed_nll=nll,
            test_accuracy=accuracy,
        )
        for step, (nll, accuracy) in enumerate(points, 1)
    ]
    return RunRecord(
        key=spec.key(),
        status="done" if points else "failed",
        spec=spec.canonical(),
        curve=curve,
        images=100,
        seconds=2.0,
        code="",
        started="",
    )


RECORDS = [
    record("cross_entropy", 0, 1e-3, [(2.0, 0.5), (1.9, 0.6), (2.1, 0.9)]),
    record("cross_entropy", 1, 1e-3, [(1.9, 0.7)]),
    record("mae", 0, 1e-3, [(1.8, 0.7), (1.95, 0.95)]),
    record("mae", 0, 1e-4, [(1.7, 0.65)]),
    record("mae", 1, 1e-3, [(1.9, 0.85)]),
    record("gce", 0, 1e-3, []),
]


def test_held_out_labels_choose_run_and_point_and_the_test_set_nothing():
    chosen = outcomes(RECORDS).set_index(["method", "seed"])
    assert chosen.loc[("cross_entropy", 0), "accuracy"] == 0.6
    assert chosen.loc[("mae", 0), "accuracy"] == 0.65
    assert chosen.loc[("mae", 0), "learning_rate"] == 1e-4
    assert pd.isna(chosen.loc[("gce", 0), "accuracy"])
    # Other test accuracies change no choice.
    moved = [
        one.model_copy(
            update={
                "curve": [
                    CurvePoint(**{**vars(p), "test_accuracy": 1 - (p.test_accuracy or 0)})
                    for p in one.curve
                ]
            }
        )
        for one in RECORDS
    ]
    same = ["learning_rate", "step", "heldout_mixed_nll"]
    pd.testing.assert_frame_equal(outcomes(moved).set_index(["method", "seed"])[same], chosen[same])


def test_the_ranking_pairs_seeds_and_counts_failures():
    found = {one.method: one for one in ranking(outcomes(RECORDS))}
    assert list(found) == ["mae", "cross_entropy", "gce"]
    mae = found["mae"]
    assert (mae.accuracy, mae.low, mae.high) == pytest.approx((0.75, 0.65, 0.85))
    assert (mae.gain, mae.gain_low, mae.gain_high) == pytest.approx((0.1, 0.05, 0.15))
    assert (mae.num_seeds, mae.num_failed, mae.knows) == (2, 0, "single labels")
    assert found["cross_entropy"].gain is None
    assert (found["gce"].accuracy, found["gce"].num_failed) == (None, 1)


@pytest.mark.parametrize("amounts", [(5,), (5, 20)])
def test_the_picture_has_a_mark_for_each_method(amounts):
    moved = [
        one.model_copy(update={"spec": {**one.spec, "alpha": float(alpha)}})
        for one in RECORDS
        for alpha in amounts
    ]
    figure = draw_comparison(ranking(outcomes(moved)), "digits")
    (axes,) = figure.axes
    if len(amounts) == 1:
        names = [label.get_text() for label in axes.get_yticklabels()]
    else:
        names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert set(names) == {"MAE (single labels)", "cross-entropy (single labels)"}


COMPARE = ["compare", "digits", "--model", "perceptron", "--alpha", "5"]
COMPARE += [
    "--methods",
    "cross_entropy,em_known",
    "--seeds",
    "1",
    "--passes",
    "1",
    "--workers",
    "1",
]


def test_a_picture_of_nothing_but_failures():
    failed = [
        MethodResult(
            "mae", "MAE", "nothing", "digits", amount, "alpha", *[None] * 6, 0, 3, None, None
        )
        for amount in (1.0, 5.0)
    ]
    figure = draw_comparison(failed, "digits")
    figure.canvas.draw()


def test_compare_prints_a_table_draws_and_goes_on(command, tmp_path: Path):
    picture = tmp_path / "compare.png"
    code, out, err = command(*COMPARE, "--store", tmp_path, "--picture", picture)
    assert code == 0, err
    assert "EM" in out
    assert "known matrix, counts" in out
    assert picture.read_bytes().startswith(b"\x89PNG")
    code, out, err = command(*COMPARE, "--store", tmp_path, "--json")
    assert code == 0, err
    assert {row["method"] for row in json.loads(out)["standings"]} == {"cross_entropy", "em_known"}
    assert "test accuracy" not in err  # every run was known


def test_compare_says_what_cannot_be(command, tmp_path: Path):
    def refused(*words: str) -> tuple[int, str, str]:
        return command(*COMPARE[:4], "--store", tmp_path, *words)

    assert_one_line(refused(), "exactly one")
    assert_one_line(refused("--alpha", "5", "--rate", "0.5"), "exactly one")
    assert_one_line(refused("--alpha", "five"), "five", "5,20,50")
    assert_one_line(refused("--alpha", "5", "--methods", "em_know"), "did you mean")
    assert_one_line(refused("--alpha", "5", "--picture", "x.pdf"), ".png and .svg")
    assert_one_line(refused("--alpha", "5", "--learning-rates", "0.1,x"), "0.1,x")


def test_run_takes_the_options_of_a_method(command, tmp_path: Path):
    run = ["run", "digits", "--model", "perceptron", "--alpha", "2", "--steps", "3"]
    run += ["--store", tmp_path]
    code, out, err = command(*run, "--method", "gce", "--method-option", "q=0.5", "--json")
    assert code == 0, err
    assert json.loads(out)["spec"]["method_options"] == {"q": 0.5}
    assert_one_line(command(*run, "--method", "gce", "--method-option", "p=1"), "p", "q")
    assert_one_line(command(*run, "--method", "gce", "--method-option", "q"), "q=0.5")
    assert_one_line(command(*run, "--method", "gce", "--method-option", "q=7"), "7")
    assert_one_line(command(*run, "--method", "em_know"), "did you mean")


def test_advice_on_the_method_goes_by_what_the_labels_are(digits: Splits):
    name, why = choose_method(DilutedSet(digits.train, 4.0))
    assert name in METHOD_NAMES
    assert "5 labels an image" in why
    for one_label in (ReplacedSet(digits.train, 0.4), GivenSet(digits.train)):
        name, why = choose_method(one_label)
        assert name == "patches_estimated"
        assert "1 label an image" in why
    law = np.full((10, 10), 0.04) + 0.6 * np.eye(10)
    assert choose_method(GivenSet(digits.train, law))[0] == "patches_known"
    features = LabelledSet(
        digits.train.inputs.reshape(-1, 64).astype(np.float32),
        digits.train.labels,
        digits.train.class_names,
    )
    assert choose_method(GivenSet(features))[0] == "neighbours_estimated"
    assert choose_method(GivenSet(features, law))[0] == "neighbours_known"
    assert preparation_seconds("cross_entropy", "mlp1", DilutedSet(digits.train, 4.0), None) == 0
