"""From a law to what to collect: needs, prices, checks, the next run; and the pilot behind it."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from made_runs import evidence, planted

import dilute
from dilute.errors import LawError
from dilute.laws import evidence_of, fit_law
from dilute.noise import Structured, Uniform
from dilute.planning import (
    Prices,
    amount,
    cheapest_ways,
    draw_plan,
    plan_collection,
    purchases,
    rounded,
    run_pilot,
)
from dilute.planning.pilot import ladder, pilot_alphas, pilot_specs
from dilute.planning.pilot_recipe import pilot_recipe

pytestmark = pytest.mark.numerical


@pytest.fixture(scope="module")
def law():
    return fit_law(evidence(planted, noise=0.02))


def clean_need(target, kappa=0.6):
    return 30 / (1 - target - 0.02) ** (1 / 0.6)


def test_needs_are_those_of_the_planted_law(law):
    found = plan_collection(law, 0.9, [10, 20])
    assert [need.alpha for need in found.needs] == [0, 10, 20]
    for need in found.needs:
        truth = clean_need(0.9) * (1 + 0.6 * need.alpha)
        assert need.num_clean.value == pytest.approx(truth, rel=0.15)
        assert need.num_labels.value == pytest.approx(need.num_clean.value * (1 + need.alpha))
    assert found.now is None
    assert not found.purchases
    assert "90% takes about" in found.sentence


def test_labels_at_hand_and_checking_them(law):
    found = plan_collection(law, 0.9, [10], in_hand=11_000)
    assert found.now.value == pytest.approx(1 - planted(1000, 10), abs=0.01)
    assert [one.share for one in found.checked] == [0.1, 0.25, 0.5, 1.0]
    all_checked = found.checked[-1].accuracy
    assert all_checked.value == pytest.approx(1 - planted(11_000, 0), abs=0.01)
    values = [found.now.value, *(one.accuracy.value for one in found.checked)]
    assert values == sorted(values)


def test_the_cheapest_purchase_is_that_of_arithmetic(law):
    """Clean labels cost need·price; noisy ones need·(1 + kappa·alpha)·(1 + alpha)·price."""
    target, alpha = 0.9, 10
    clean, noisy = clean_need(target), clean_need(target) * 7 * 11
    for noisy_price, wins in ((0.9 / 77, "noisy labels bought"), (1.2 / 77, "clean labels bought")):
        found = cheapest_ways(purchases(law, target, alpha, Prices(1.0, noisy_price)))
        assert found[0].name == wins
        by_name = {one.name: one for one in found}
        assert by_name["clean labels bought"].cost.value == pytest.approx(clean, rel=0.15)
        assert by_name["noisy labels bought"].cost.value == pytest.approx(
            noisy * noisy_price, rel=0.15
        )


def test_no_mix_in_one_pot_is_cheaper_than_both_ends(law):
    """With n_eff = clean² / (clean + kappa·noise), which is convex, a mix never pays."""
    for noisy_price in (0.002, 0.01, 0.012, 0.013, 0.02, 0.1):
        best = purchases(law, 0.9, 10, Prices(1.0, noisy_price))[0]
        assert best.clean_share in (0.0, 1.0)


def test_checking_pays_when_it_is_cheap(law):
    dear = purchases(law, 0.9, 20, Prices(1.0, 0.5, 0.9), in_hand=5000)[0]
    cheap = purchases(law, 0.9, 20, Prices(1.0, 0.5, 0.001), in_hand=5000)[0]
    assert dear.checked == 0
    assert cheap.checked > 0
    assert cheap.clean.value == cheap.noisy.value == 0
    assert cheap.cost.value == pytest.approx(cheap.checked * 0.001)


def test_enough_at_hand_costs_nothing(law):
    best = purchases(law, 0.8, 5, Prices(1.0, 0.5), in_hand=1e6)[0]
    assert best.cost.value == 0
    assert best.name == "the labels at hand"


def test_a_target_out_of_reach_is_said_to_be(tmp_path):
    law = fit_law(evidence(lambda n, alpha: 0.18 + planted(n, alpha), noise=0.01))
    found = plan_collection(law, 0.9, [5], prices=Prices(1.0, 0.1))
    assert found.needs[0].num_clean.value is None
    assert "out of reach" in found.sentence
    assert found.purchases[0].cost.value is None
    assert found.next_run is None
    draw_plan(found, tmp_path / "plan.svg")


def test_the_next_run_narrows_the_answer():
    """Where alpha = 50 is asked for and not seen, a run there tells most."""
    law = fit_law(evidence(planted, alphas=(0, 1, 2), seeds=1, noise=0.05))
    found = plan_collection(law, 0.9, [50]).next_run
    assert found is not None
    assert found.alpha == 50
    assert found.width < 0.9


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        ((1.0, 2.0), "noisy price 2 is not below clean price 1"),
        ((1.0, 1.0), "noisy price 1 is not below clean price 1"),
        ((-1.0, 0.1), "clean price -1 cannot be"),
        ((1.0, 0.0), "noisy price 0 cannot be"),
        ((math.nan, 0.1), "clean price nan cannot be"),
        ((1.0, 0.1, 0.0), "relabel price 0 cannot be"),
    ],
)
def test_contradictory_prices_are_refused(prices, message):
    with pytest.raises(LawError, match=message):
        Prices(*prices)


def test_questions_that_cannot_be_are_refused(law):
    with pytest.raises(LawError, match=r"target 0\.05 cannot be planned for"):
        plan_collection(law, 0.05, [5])
    with pytest.raises(LawError, match="alphas -1 cannot be planned for"):
        plan_collection(law, 0.9, [-1])
    with pytest.raises(LawError, match="0 labels at hand cannot be"):
        plan_collection(law, 0.9, [5], in_hand=0)
    with pytest.raises(LawError, match="give their alpha first, above 0"):
        plan_collection(law, 0.9, [0, 5], prices=Prices(1, 0.1))


def test_pictures_are_drawn(law, tmp_path):
    found = plan_collection(law, 0.9, [10], in_hand=5000, prices=Prices(1.0, 0.01, 0.2))
    draw_plan(found, str(tmp_path / "plan.png"))
    assert (tmp_path / "plan.png").read_bytes()[:4] == b"\x89PNG"


def test_numbers_are_rounded_to_what_they_tell():
    assert [rounded(value) for value in (0, 0.0123, 1234, 56_789, 9.96)] == [
        "0", "0.0123", "1,230", "57,000", "10.0",
    ]  # fmt: skip
    assert amount(fit_law(evidence(planted, seeds=1)).worth(0)) == "1.00 (1.00 to 1.00)"


# Pilots


def test_pilots_try_no_noise_some_and_all_up_to_twenty():
    assert pilot_alphas([8], Uniform(), 10) == (0, 2, 8)
    assert pilot_alphas([50, 5], Uniform(), 10)[-1] == 20
    assert pilot_alphas([0], Uniform(), 10)[-1] == 5
    assert pilot_alphas([20], Structured(delta=0.5, order="random"), 10)[1] == 5
    with pytest.raises(LawError, match="needs alpha ≥ 10"):
        pilot_alphas([5], Structured(delta=1, order="random"), 10)


def test_sizes_double_up_to_all():
    assert ladder(4000, 10) == [62, 125, 250, 500, 1000, 2000, 4000]
    with pytest.raises(LawError, match="300 images are too few for a pilot"):
        ladder(300, 10)


def test_without_a_test_set_a_fifth_is_held_out():
    digits = dilute.load("digits")
    blind = dataclasses.replace(digits, test=None)
    specs = pilot_specs(blind, "mlp1", (0, 5), Uniform(), (100, 200))
    assert len(specs) == 8
    assert all(spec.heldout_labels == "clean" and spec.heldout_fraction == 0.2 for spec in specs)
    assert pilot_specs(digits, "mlp1", (0,), Uniform(), (100,))[0].heldout_fraction == 0
    replaced = pilot_specs(digits, "mlp1", (4,), Uniform(), (100,), is_replacement=True)
    assert replaced[0].rate == 0.8


def test_noise_is_met_by_fewer_passes_and_then_by_smaller_steps():
    steps = [pilot_recipe(10_000, alpha)["budget_steps"] for alpha in (0, 5, 20, 50)]
    assert steps[0] > steps[1] > steps[2] == steps[3]
    rates = [pilot_recipe(10_000, alpha)["learning_rate"] for alpha in (0, 20, 50, 100)]
    assert rates[0] == rates[1] > rates[2] > rates[3]
    assert pilot_recipe(10_000, 5, patience=2)["budget_steps"] == pytest.approx(2 * steps[1], abs=1)


def test_a_pilot_fits_its_time_and_is_answered_from_the_store(tmp_path):
    """Two minutes are plenty for digits: everything is tried; the second time nothing is run."""
    digits = dilute.load("digits")
    notes = []
    ended = []

    def pilot(minutes):
        return run_pilot(
            "digits",
            "perceptron",
            [4],
            store=str(tmp_path / "pilot"),
            minutes=minutes,
            on_note=notes.append,
            on_progress=lambda now: ended.append(now.ended) if now.ended else None,
        )

    records = pilot(5)
    sizes = {record.num_clean for record in records}
    assert max(sizes) == len(digits.train)
    law = fit_law(next(iter(evidence_of(records).values())))
    assert 0 < law.worth(4).value < 1
    assert ended
    ended.clear()
    again = pilot(5)
    assert {record.key for record in again} == {record.key for record in records}
    assert not ended
    with pytest.raises(LawError, match=r"0\.001 minutes are too few for a pilot"):
        pilot(0.001)


def test_evidence_is_not_changed_by_what_is_asked(law):
    before = law.evidence.accuracy.copy()
    law.accuracy(1000, 50)
    law.needed(0.9, 5)
    assert np.array_equal(before, law.evidence.accuracy)
