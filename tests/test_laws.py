"""The law of dilution: theory against known answers, fits against planted laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_runs import evidence, planted, record

from dilute.errors import LawError
from dilute.laws import (
    class_posterior,
    evidence_of,
    fit_law,
    information_worth,
    kappa,
    labels_information,
    plain_worth,
    worth,
)
from dilute.laws.fit import folds
from dilute.laws.forms import CURVES, DILUTIONS
from dilute.noise import Confusion, Pair, Structured, Uniform, UniformOther, label_laws
from dilute.runs import RunRecord

pytestmark = pytest.mark.numerical


# Theory
@given(st.integers(2, 12), st.floats(0.01, 200))
@settings(max_examples=40, deadline=None)
def test_uniform_noise_has_the_kappa_of_the_derivation(num_classes, alpha):
    for is_plain in (True, False):
        pairs = kappa(Uniform(), num_classes, alpha, doubt="pairs", is_plain=is_plain)
        every = kappa(Uniform(), num_classes, alpha, doubt="all", is_plain=is_plain)
        assert pairs == pytest.approx(2 / num_classes, rel=1e-6)
        assert every == pytest.approx(1, rel=1e-6)


def test_fisher_information_is_that_of_the_gradient_of_the_likelihood():
    """Against the covariance of the score, taken over all labels, at evenly divided doubt."""
    rows = np.random.default_rng(0).dirichlet(np.ones(5), size=5)
    p = np.full(5, 0.2)

    def information(matrix):
        seen = p @ matrix
        total = np.zeros((5, 5))
        for label in range(matrix.shape[1]):
            posterior = p * matrix[:, label] / seen[label]
            total += seen[label] * np.outer(posterior - p, posterior - p)
        return total

    expected = np.trace(information(rows)) / np.trace(information(np.eye(5)))
    assert worth(rows, 1) == pytest.approx(expected, rel=1e-9)


def test_plain_training_learns_nothing_where_a_rival_is_as_frequent():
    laws = label_laws(20, Structured(delta=1, order="random").matrix(10, 20))
    assert plain_worth(laws, 21) == 0
    assert kappa(Structured(delta=1, order="random"), 10, 20) == math.inf
    assert worth(laws, 21) > 0


def test_structure_makes_noise_dearer_for_plain_training():
    for doubt in ("pairs", "all"):
        plain = kappa(Structured(delta=0.5, order="random"), 10, 20, doubt=doubt)
        assert plain > 1.4 * kappa(Uniform(), 10, 20, doubt=doubt)


def test_copies_change_no_worth_but_expected_labels_have_no_noise():
    assert kappa(Uniform(), 10, 20, copies=1) == kappa(Uniform(), 10, 20, copies="all")
    assert kappa(Uniform(), 10, 20, copies="expected") == 0


def test_information_of_one_label_is_that_of_the_formula():
    laws = label_laws(4, Uniform().matrix(10, 4))
    right, other = 0.2 + 0.08, 0.08
    entropy = -(right * math.log(right) + 9 * other * math.log(other))
    expected = (math.log(10) - entropy) / math.log(10)
    assert labels_information(laws, 1) == pytest.approx(expected)
    assert information_worth(Uniform().matrix(10, 4), 4, "replacement") == pytest.approx(
        5 * expected
    )
    assert labels_information(np.eye(10), 3) == pytest.approx(1)
    assert labels_information(np.full((10, 10), 0.1), 3) == pytest.approx(0, abs=1e-9)


def test_information_of_an_images_labels_is_exact_for_one_noisy_label():
    """With alpha = 1 and uniform noise.

    Both labels agree in a tenth of the cases; else the class is one of two.
    """
    expected = 1 - 0.9 * math.log(2) / math.log(10)
    assert information_worth(Uniform().matrix(10, 1), 1) == pytest.approx(expected, abs=0.01)
    assert information_worth(Pair().matrix(10, 1), 1) == pytest.approx(1)
    assert information_worth(Uniform().matrix(10, 1), 0) == 1


def test_information_falls_as_one_over_alpha_for_much_noise():
    matrix = Uniform().matrix(10, 1)
    for alpha in (200, 500, 3000):
        assert information_worth(matrix, alpha) * alpha == pytest.approx(
            9 / (2 * math.log(10)), rel=0.1
        )


def test_posterior_of_counts_is_bayes_rule():
    """Against enumeration: which of the labels is the image's own is not known."""
    matrix = (
        UniformOther().matrix(3, 1) * 0.7
        + Confusion(rows=((0.2, 0.5, 0.3), (0.1, 0.8, 0.1), (0.3, 0.3, 0.4))).matrix(3, 1) * 0.3
    )
    counts = np.array([[2, 1, 0], [1, 1, 1], [0, 3, 0]])

    def likelihood(row, truth):
        rest = row.copy()
        rest[truth] -= 1
        if rest.min() < 0:
            return 0.0
        ways = math.factorial(int(rest.sum())) / np.prod([math.factorial(int(c)) for c in rest])
        return ways * np.prod(matrix[truth] ** rest)

    expected = np.array([[likelihood(row, truth) for truth in range(3)] for row in counts])
    expected /= expected.sum(axis=1, keepdims=True)
    assert class_posterior(counts, matrix) == pytest.approx(expected)


# Fits
def test_planted_parameters_are_found():
    law = fit_law(evidence(planted))
    assert law.best.dilution.name == "linear"
    assert law.parameters["kappa"].value == pytest.approx(0.6, rel=0.1)
    assert law.spread == pytest.approx(0.03, rel=0.5)
    assert "well" in law.status
    needed = law.needed(0.9, 5)
    assert needed.value == pytest.approx(4 * 30 / 0.08 ** (1 / 0.6), rel=0.1)
    assert not needed.beyond


@pytest.mark.parametrize(
    ("name", "values", "alphas"),
    [
        ("exponent", (0.3, 1.8), (0, 2, 5, 10, 20, 50)),
        ("saturating", (3.0, 0.15), (0, 2, 5, 10, 20, 50)),
        ("information", (), (0, 1, 2, 5, 20)),
    ],
)
def test_the_planted_form_is_chosen(name, values, alphas):
    dilution, curve = DILUTIONS[name], CURVES["power"]
    some = evidence(planted)

    def error(n, alpha):
        information = some.information(np.array([float(alpha)]))
        left = dilution.worth(np.array([float(alpha)]), information, np.array(values))
        return float(curve.error(n * left, np.array([0.02, 30, 0.6]), 0.9)[0])

    law = fit_law(evidence(error, alphas=alphas, noise=0.01))
    best = min(law.scores.values())
    assert min(law.scores[c, name] for c in CURVES) < 1.3 * best
    assert law.scores["power", "linear"] > 1.3 * best


@pytest.mark.slow
def test_intervals_cover_the_planted_kappa_and_need():
    """Nine in ten of 40 fits; fewer than 31 (or 30 of one) come by chance in less than 1 of 100."""
    truth = 7 * 30 / 0.08 ** (1 / 0.6)
    kappas = needs = 0
    for seed in range(40):
        law = fit_law(evidence(planted, noise=0.05, seed=seed, sizes=(100, 300, 1000, 3000)))
        found = law.parameters["kappa"] if law.best.dilution.name == "linear" else None
        kappas += found is None or found.low <= 0.6 <= found.high
        need = law.needed(0.9, 10)
        needs += need.low <= truth and (need.high is None or truth <= need.high)
    assert kappas >= 31
    assert needs >= 31


def test_predictions_outside_the_runs_say_so():
    law = fit_law(evidence(planted, alphas=(0, 5, 20), seeds=1))
    assert law.accuracy(1000, 5).beyond == ""
    assert "alpha from 0 to 20" in law.accuracy(1000, 50).beyond
    assert "sizes run from 100 to 10,000" in law.accuracy(60_000, 5).beyond


def test_a_floor_puts_targets_out_of_reach():
    law = fit_law(evidence(lambda n, alpha: 0.2 + planted(n, alpha) - 0.02, noise=0.01))
    assert law.needed(0.9, 5).value is None
    assert law.needed(0.7, 5).value is not None
    assert law.ceiling().value == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("target", [0.05, 0.0999, 1.0, 1.5, -1])
def test_targets_that_cannot_be_are_refused(target):
    law = fit_law(evidence(planted, seeds=1))
    with pytest.raises(LawError, match=r"above the accuracy of a blind guess, 0\.1"):
        law.needed(target, 5)


def test_too_little_evidence_is_refused():
    with pytest.raises(LawError, match=r"3 finished runs of mnist, mlp1.* are too few"):
        fit_law(evidence(planted, alphas=(5,), sizes=(1, 2, 3), seeds=1))
    with pytest.raises(LawError, match=r"all 10 runs .* have alpha = 5; add runs at another"):
        fit_law(evidence(planted, alphas=(5,)))
    both = evidence(planted, alphas=(0, 5))
    lopsided = both.where((both.alpha == 0) | (both.num_clean == 10_000))
    with pytest.raises(LawError, match="leave too little to fit"):
        fit_law(lopsided)
    with pytest.raises(LawError, match="2 numbers of clean examples; a curve takes three"):
        fit_law(evidence(planted, sizes=(100, 200)))


def test_what_is_left_out_is_predicted_by_the_rest():
    found = evidence(planted)
    left_out = list(folds(found))
    assert len(left_out) == 6
    assert all(0 < part.sum() < len(part) for part in left_out)


def test_fits_repeat():
    first, second = (fit_law(evidence(planted, seeds=1)) for _ in range(2))
    assert first.needed(0.9, 50) == second.needed(0.9, 50)


# Evidence


def test_runs_are_grouped_by_setting_and_share_the_clean_ones():
    found = evidence_of(
        [
            record(),
            record(alpha=5),
            record(rate=0.8),
            record(alpha=5, noise=Pair()),
            record(alpha=5, copies=1),
            record(alpha=2, status="failed"),
            record(alpha=2, model="mlp2"),
        ]
    )
    assert len(found) == 5
    by_name = {str(setting): list(e.alpha) for setting, e in found.items()}
    assert by_name["mnist5k, mlp1, uniform noise by dilution"] == [0, 5]
    assert by_name["mnist5k, mlp1, uniform noise by replacement"] == [pytest.approx(4), 0]
    assert by_name["mnist5k, mlp2, uniform noise by dilution"] == [2]
    assert by_name["mnist5k, mlp1, uniform noise by dilution, 1 labels a visit"] == [0, 5]


def test_of_runs_that_differ_in_recipe_the_likeliest_counts():
    runs = [
        record(0.7, nll=2.0, alpha=5, learning_rate=0.1),
        record(0.6, nll=1.9, alpha=5, learning_rate=0.01),
    ]
    found = next(iter(evidence_of(runs).values()))
    assert list(found.accuracy) == [0.6]


def test_without_a_test_set_held_out_clean_labels_count():
    blind = record(None, alpha=5, heldout_labels="clean").model_dump()
    blind |= {
        "num_test": None,
        "num_heldout": 25,
        "curve": [{"step": 1, "images": 1, "examples": 1, "heldout_accuracy": 0.64}],
    }
    found = next(iter(evidence_of([RunRecord(**blind)]).values()))
    assert list(found.accuracy) == [0.64]
    assert list(found.num_test) == [25]
