"""Every rule can come out each way, on tables made up for it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from made_tables import ORDERED, fig1_table, fig5_table, fig10_table, runs_with_needs, table

from dilute.studies.paper import fig1, fig2, fig3, fig5, fig6, fig8, fig9, fig10, fig11

pytestmark = pytest.mark.numerical


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
