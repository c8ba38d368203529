"""The statistics behind verdicts: choices, crossings, intervals, and runs that did not finish."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_tables import ORDERED, fig1_table, fig5_table, fig10_table, runs_with_needs, table

from dilute.studies.paper import FIGURES, fig1, fig5, fig9, fig10, fig11
from dilute.study import claims
from dilute.study.needs import crossing, needed, per_seed

pytestmark = pytest.mark.numerical


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
    """Needs of exponent 1, three seeds, 10 % of spread: resampling three covers too little."""
    generator = np.random.default_rng(1)
    alphas = np.array([0.0, 5, 10, 20, 50])
    hits = 0
    for _ in range(20):
        needs = (300 + 200 * alphas)[:, None] * np.exp(0.1 * generator.standard_normal((5, 3)))
        low, high = fig9.exponent_interval(alphas, list(needs))
        hits += low <= 1 <= high
    assert hits >= 13
    assert fig9.exponent_interval(alphas, [needs[:, 0]] * 4 + [needs[0, :1]]) is None
