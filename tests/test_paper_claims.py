"""Every rule can come out each way, on tables made up for it."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dilute.studies.paper import FIGURES, fig1, fig2, fig3, fig5, fig6, fig8, fig9, fig10, fig11
from dilute.study import claims
from dilute.study.needs import crossing, needed, per_seed

SEEDS = (0, 1, 2)


def table(rows: list[dict[str, Any]], seeds: tuple[int, ...] = SEEDS) -> pd.DataFrame:
    """Return a frame with each row once per seed, accuracies within a tenth of a point of the given one."""
    made = [
        {
            "num_test": 10_000,
            "heldout_nll": 2.0,
            "learning_rate": 1.0,
            "key": f"{number}-{seed}",
            **row,
            "seed": seed,
            "accuracy": row["accuracy"] + 0.0005 * (seed - 1),
        }
        for number, row in enumerate(rows)
        for seed in seeds
    ]
    return pd.DataFrame(made)


def fig1_table(at_top: dict[str, float], single: float | None = None) -> pd.DataFrame:
    rows = [
        {"sampling": "grouped", "model": model, "alpha": alpha, "accuracy": value}
        for alpha in (0, 100)
        for model, value in at_top.items()
    ]
    if single is not None:
        rows.append({"sampling": "single", "model": "conv4", "alpha": 100, "accuracy": single})
    return table(rows)


ORDERED = {"perceptron": 0.80, "mlp1": 0.85, "mlp2": 0.86, "mlp4": 0.87, "conv4": 0.93}


@pytest.mark.parametrize(
    ("conv4", "single", "verdict"),
    [
        (0.93, 0.91, "reproduced"),
        (0.93, None, "partly"),
        (0.93, 0.80, "partly"),
        (0.89, 0.91, "partly"),
        (0.89, None, "not reproduced"),
        (0.89, 0.80, "not reproduced"),
    ],
)
def test_mnist_alpha100(conv4, single, verdict):
    judged = fig1.judge_alpha100(fig1_table(ORDERED | {"conv4": conv4}, single))
    assert judged.verdict == verdict
    assert ("not run" in judged.finding) == (single is None)
    assert judged.num_runs == 3 * (1 if single is None else 2)


def test_one_seed_of_a_sampling_shows_the_headline_partly():
    data = fig1_table(ORDERED, 0.91)
    is_dropped = (data["sampling"] == "single") & (data["seed"] > 0)
    judged = fig1.judge_alpha100(data[~is_dropped])
    assert judged.verdict == "partly"
    assert "(n = 1)" in judged.finding
    assert judged.finding.endswith("one seed alone")


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({}, "reproduced"),
        ({"conv4": 0.8701}, "partly"),
        ({"perceptron": 0.90}, "partly"),
        ({"perceptron": 0.90, "conv4": 0.5}, "not reproduced"),
    ],
)
def test_mnist_order(changed, verdict):
    assert fig1.judge_order(fig1_table(ORDERED | changed)).verdict == verdict


def test_mnist_order_needs_every_network():
    lacking = {model: value for model, value in ORDERED.items() if model != "mlp2"}
    assert fig1.judge_order(fig1_table(lacking)).verdict == "not run at this scale"


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ({"conv4": 0.6, "conv6": 0.7, "resnet18": 0.86}, "reproduced"),
        ({"conv4": 0.6, "conv6": 0.7, "resnet18": 0.80}, "partly"),
        ({"conv4": 0.6, "conv6": 0.7}, "partly"),
        ({"conv4": 0.6, "conv6": 0.601}, "not run at this scale"),
        ({"conv4": 0.7, "conv6": 0.6}, "not reproduced"),
        ({"conv4": 0.8, "conv6": 0.7, "resnet18": 0.6}, "not reproduced"),
        ({"conv4": 0.6}, "not run at this scale"),
    ],
)
def test_cifar_alpha10(found, verdict):
    rows = [{"model": model, "alpha": 10, "accuracy": value} for model, value in found.items()]
    assert fig2.judge(table(rows)).verdict == verdict


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.71, "reproduced"), (0.695, "partly"), (0.60, "not reproduced")],
)
def test_imagenet_alpha5(value, verdict):
    rows = [{"measure": "top-5", "alpha": 5, "accuracy": value}]
    assert fig3.judge(table(rows)).verdict == verdict
    other = [{"measure": "top-1", "alpha": 5, "accuracy": value}]
    assert fig3.judge(table(other)).verdict == "not run at this scale"


def fig5_table(at: dict[str, dict[float, float]]) -> pd.DataFrame:
    return table(
        [
            {"order": order, "delta": delta, "accuracy": value}
            for order, row in at.items()
            for delta, value in row.items()
        ]
    )


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ({0.0: 0.95, 0.5: 0.94, 1.0: 0.50}, "reproduced"),
        ({0.0: 0.95, 0.5: 0.80, 1.0: 0.50}, "partly"),
        ({0.0: 0.95, 0.5: 0.94, 1.0: 0.93}, "partly"),
        ({0.0: 0.95, 0.5: 0.80, 1.0: 0.90}, "not reproduced"),
        ({0.0: 0.95, 0.9: 0.80}, "not run at this scale"),
    ],
)
def test_structured(rows, verdict):
    assert fig5.judge_structured(fig5_table(dict.fromkeys(fig5.ORDERS, rows))).verdict == verdict


@pytest.mark.parametrize(
    ("spread", "verdict"),
    [((0.02, 0.02), "reproduced"), ((0.02, 0.2), "partly"), ((0.1, 0.2), "not reproduced")],
)
def test_order_is_minor(spread, verdict):
    at = {
        order: {0.0: 0.9, 0.5: 0.9 - number * spread[0] / 2, 1.0: 0.6 - number * spread[1] / 2}
        for number, order in enumerate(fig5.ORDERS)
    }
    assert fig5.judge_order(fig5_table(at)).verdict == verdict
    del at["random"]
    assert fig5.judge_order(fig5_table(at)).verdict == "not run at this scale"


@pytest.mark.parametrize(
    ("own", "other", "white", "verdict"),
    [
        (0.50, 0.60, 0.69, "reproduced"),
        (0.50, 0.68, 0.69, "partly"),
        (0.50, 0.60, 0.60, "partly"),
        (0.50, 0.52, 0.55, "not reproduced"),
        (0.70, 0.60, 0.69, "not reproduced"),
    ],
)
def test_vocabulary(own, other, white, verdict):
    names = ("CIFAR-10", "CIFAR-100", "white noise")
    rows = [{"source": name, "alpha": 0, "accuracy": 0.70} for name in names]
    rows += [
        {"source": name, "alpha": 10, "accuracy": value}
        for name, value in zip(names, (own, other, white), strict=True)
    ]
    assert fig6.judge(table(rows)).verdict == verdict
    assert fig6.judge(table(rows[:4])).verdict == "not run at this scale"


def runs_with_needs(needs: dict[float, float]) -> pd.DataFrame:
    """Return runs of three sizes around each need, whose accuracy is 90 % exactly there."""
    rows = []
    for alpha, need in needs.items():
        for factor in (0.5, 1.4, 3.0):
            accuracy = 0.9 + 0.03 * np.log2(factor)
            rows.append({"alpha": alpha, "num_clean": need * factor, "accuracy": accuracy})
    return table(rows)


@pytest.mark.parametrize(
    ("needs", "verdict"),
    [
        ({5: 1200, 10: 2000, 50: 10000}, "reproduced"),
        ({5: 1200, 10: 2000, 50: 30000}, "partly"),
        ({5: 20000, 10: 12000, 50: 1000}, "not reproduced"),
        ({10: 2000}, "not run at this scale"),
    ],
)
def test_threshold(needs, verdict):
    assert fig8.judge(runs_with_needs(needs)).verdict == verdict


@pytest.mark.parametrize(
    ("need_of", "verdict"),
    [
        (lambda alpha: 300 + 200 * alpha, "reproduced"),
        (lambda alpha: 1500 + 30 * alpha**1.4, "partly"),
        (lambda alpha: 300 + 4 * alpha**2.2, "not reproduced"),
        (lambda alpha: 9000 - 100 * alpha, "not reproduced"),
        (lambda _: 2000, "not reproduced"),
    ],
)
def test_linear_need(need_of, verdict):
    runs = runs_with_needs({alpha: need_of(alpha) for alpha in (0.0, 5.0, 10.0, 20.0, 50.0)})
    data = fig9.select(runs, "laptop")
    judged = fig9.judge(data)
    assert judged.verdict == verdict, judged
    few = data[data["alpha"] <= 10]
    assert fig9.judge(few).verdict == "not run at this scale"


def test_the_exponent_is_found():
    alphas = np.array([0.0, 5, 10, 20, 50])
    for power in (0.6, 1.0, 1.7):
        assert fig9.exponent(alphas, 300 + 50 * alphas**power) == pytest.approx(power, abs=0.01)
    assert fig9.straight_line(alphas, 300 + 50 * alphas) == pytest.approx((300, 50))


def fig10_table(gain: dict[int, float], expected_drop: float = 0.0) -> pd.DataFrame:
    rows = [
        {
            "batch": str(size),
            "alpha": alpha,
            "accuracy": 0.8 + gain[alpha] * number,
        }
        for alpha in gain
        for number, size in enumerate(fig10.BATCH_SIZES)
    ]
    rows += [
        {"batch": "expected loss", "alpha": alpha, "accuracy": 0.97 - (alpha > 0) * expected_drop}
        for alpha in gain
    ]
    return table(rows)


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [
        ({0: 0.0, 20: 0.03, 50: 0.03}, "reproduced"),
        ({0: 0.0, 20: 0.0, 50: 0.03}, "partly"),
        ({0: 0.03, 20: 0.0, 50: -0.03}, "not reproduced"),
        ({0: 0.03}, "not run at this scale"),
    ],
)
def test_batch_size(gain, verdict):
    assert fig10.judge_batch(fig10_table(gain)).verdict == verdict


@pytest.mark.parametrize(
    ("drop", "verdict"), [(0.01, "reproduced"), (0.04, "partly"), (0.3, "not reproduced")]
)
def test_infinite_batch(drop, verdict):
    assert fig10.judge_infinite(fig10_table({0: 0.0, 50: 0.0}, drop)).verdict == verdict
    assert fig10.judge_infinite(fig10_table({0: 0.0})).verdict == "not run at this scale"


@pytest.mark.parametrize(
    ("best", "verdict"),
    [
        ({0: 1.0, 20: 0.3, 50: 0.1}, "reproduced"),
        ({0: 1.0, 20: 3.0, 50: 0.1}, "partly"),
        ({0: 1.0, 20: 1.0, 50: 1.0}, "not reproduced"),
        ({0: 0.1, 20: 1.0, 50: 3.0}, "not reproduced"),
        ({20: 1.0, 50: 0.1}, "not run at this scale"),
    ],
)
def test_learning_rate(best, verdict):
    rates = (0.1, 0.3, 1.0, 3.0)
    rows = [
        {
            "alpha": alpha,
            "learning_rate": rate,
            "accuracy": 0.9,
            "heldout_nll": 2.0 + abs(np.log(rate / best[alpha])),
        }
        for alpha, rate in product(best, rates)
    ]
    assert fig11.judge(table(rows)).verdict == verdict


def test_the_rate_is_chosen_without_the_test_set():
    """Test accuracy prefers the other rate at every alpha, and is not asked."""
    rows = [
        {
            "alpha": alpha,
            "learning_rate": rate,
            "heldout_nll": nll,
            "accuracy": accuracy,
        }
        for alpha in (0, 50)
        for rate, nll, accuracy in ((0.1, 1.0, 0.5), (1.0, 2.0, 0.9))
    ]
    best = claims.tuned(table(rows), by=["alpha", "seed"])
    assert set(best["learning_rate"]) == {0.1}
    assert len(best) == 6


def test_crossing_is_linear_in_the_logarithm():
    assert crossing([1000, 4000], [0.8, 1.0], 0.9) == pytest.approx(2000)
    assert crossing([1000, 4000], [0.8, 0.85], 0.9) is None
    assert crossing([1000, 4000], [0.92, 0.95], 0.9) is None
    assert crossing([1000, 2000, 4000], [0.91, 0.89, 0.93], 0.9) is None
    assert crossing([1000, 2000, 4000], [0.8, 0.95, 0.7], 0.9) < 2000


def test_the_need_has_an_interval_over_seeds():
    """Student's interval of the logarithm, which for these three has a known half width."""
    need = needed([1000, 2000, 4000])
    assert need.mean == pytest.approx(2000)
    half = 4.302653 * np.log(2) / np.sqrt(3)
    assert np.log(need.high / need.mean) == pytest.approx(half, rel=1e-6)
    assert np.log(need.mean / need.low) == pytest.approx(half, rel=1e-6)
    assert needed([1000]).low is None
    assert needed([]) is None


def test_needs_are_by_seed():
    runs = runs_with_needs({10: 2000})
    found = per_seed(runs, 0.9)
    assert len(found[10.0]) == 3
    assert found[10.0] == pytest.approx([2000] * 3, rel=0.05)
    assert per_seed(runs.assign(accuracy=0.5), 0.9) == {10.0: [None] * 3}


def test_a_seed_that_does_not_get_there_leaves_the_need_unknown():
    """The others are the better ones, whose mean would be too low."""
    runs = runs_with_needs({10: 2000})
    runs.loc[runs["seed"] == 2, "accuracy"] = 0.5
    values = per_seed(runs, 0.9)[10.0]
    assert [value is None for value in values] == [False, False, True]
    assert needed(values) is None
    runs.loc[runs["seed"] == 2, "accuracy"] = None
    assert per_seed(runs, 0.9)[10.0] == values


def test_is_above_counts_the_spread():
    assert claims.is_above([0.92, 0.93, 0.925], [0.90, 0.91, 0.905], 10_000)
    assert not claims.is_above([0.92, 0.98, 0.95], [0.90, 0.96, 0.93], 10_000)
    assert not claims.is_above([0.92, 0.93], [0.90, 0.91], 10_000), "two seeds say little"
    assert not claims.is_above([0.912], [0.910], 1_000)
    assert claims.is_above([0.912], [0.90], 100_000)


def test_is_above_errs_as_often_as_it_says():
    """At equal means, one side is found above in 2.5 % of cases, here of 4,000."""
    generator = np.random.default_rng(0)
    draws = 0.9 + 0.01 * generator.standard_normal((4000, 2, 3))
    rate = np.mean([claims.is_above(list(a), list(b), 10**9) for a, b in draws])
    assert 0.015 < rate < 0.033


def spoiled(data: pd.DataFrame, **where: Any) -> pd.DataFrame:
    """Return the frame with the first seed of the rows that match `where` as if it had diverged."""
    hit = data["seed"] == 0
    for name, value in where.items():
        hit &= data[name] == value
    assert hit.any()
    data = data.copy()
    data.loc[hit, ["accuracy", "heldout_nll"]] = None
    return data


def test_runs_that_did_not_finish_make_no_verdict_better():
    whole = fig1_table(ORDERED, 0.91)
    assert (
        fig1.judge_alpha100(spoiled(whole, model="conv4", sampling="grouped")).verdict == "partly"
    )
    assert fig1.judge_order(spoiled(whole, model="conv4")).verdict == "not run at this scale"

    batches = fig10_table({0: 0.0, 20: 0.03, 50: 0.03})
    assert fig10.judge_batch(spoiled(batches, batch="32", alpha=50)).verdict == "partly"
    lost = spoiled(batches, batch="expected loss", alpha=50)
    assert fig10.judge_infinite(lost).verdict == "not run at this scale"

    orders = fig5_table({key: {0.0: 0.95, 0.5: 0.94, 1.0: 0.5} for key in fig5.ORDERS})
    assert fig5.judge_structured(orders).verdict == "reproduced"
    lost = spoiled(orders, order="random", delta=1.0)
    assert fig5.judge_structured(lost).verdict == "not run at this scale"
    assert fig5.judge_order(lost).verdict == "not run at this scale"


def test_a_rate_at_which_a_seed_diverged_is_not_the_best():
    rows = [
        {"alpha": alpha, "learning_rate": rate, "accuracy": 0.9, "heldout_nll": nll}
        for alpha in (0, 50)
        for rate, nll in ((0.1, 2.2), (1.0, 2.1), (3.0, 2.0 if alpha == 0 else 2.3))
    ]
    assert fig11.judge(table(rows)).verdict == "reproduced"
    assert fig11.judge(spoiled(table(rows), alpha=0, learning_rate=3.0)).verdict == "not reproduced"


def test_one_seed_shows_a_claim_partly():
    claim = FIGURES["fig5"].claims[0]
    rows = {key: {0.0: 0.95, 0.5: 0.94, 1.0: 0.5} for key in fig5.ORDERS}
    data = fig5_table(rows)
    assert claim.judged(data).verdict == "reproduced"
    alone = claim.judged(data[data["seed"] == 1])
    assert alone.verdict == "partly"
    assert alone.finding.endswith("one seed alone")


def test_the_exponents_interval_covers_at_its_rate():
    """Needs of known exponent 1, three seeds each with 10 % of spread: resampling three covers less than it says, and not by far."""
    generator = np.random.default_rng(1)
    alphas = np.array([0.0, 5, 10, 20, 50])
    hits = 0
    for _ in range(20):
        needs = (300 + 200 * alphas)[:, None] * np.exp(0.1 * generator.standard_normal((5, 3)))
        low, high = fig9.exponent_interval(alphas, list(needs))
        hits += low <= 1 <= high
    assert hits >= 13
    assert fig9.exponent_interval(alphas, [needs[:, 0]] * 4 + [needs[0, :1]]) is None
