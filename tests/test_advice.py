from __future__ import annotations

import json
import math

import numpy as np
import pytest

from dilute.advice import (
    AdviceLaw,
    PowerLaw,
    Timing,
    advise,
    like,
    power_law,
    read_law,
    warmup_steps,
)
from dilute.advice.choices import _batch_size, _learning_rate
from dilute.data import Splits
from dilute.dilution import DilutedSet, ReplacedSet
from dilute.errors import SpecError
from dilute.noise import Pair
from dilute.runs import RunRecord, RunSpec

pytestmark = pytest.mark.numerical


def law_of(rate_power: float = -0.5, images_power: float = 0.5) -> AdviceLaw:
    shared = {"spread": 1.5, "bound": 2.0, "num_points": 9, "lowest": 1.0, "highest": 1e6}
    return AdviceLaw(
        rate=PowerLaw(factor=0.01, power=rate_power, **shared),
        images=PowerLaw(factor=1000, power=images_power, **shared),
        learned_fraction=0.95,
    )


def test_a_planted_power_law_is_found_and_new_points_fall_within_its_bound():
    """2,000 laws with residuals of a known spread: 5 % of new points, or a bit more, are outside.

    (The bound leaves out what the line itself is unsure of; for 24 points this adds less than 2 %.)
    """
    rng = np.random.default_rng(0)
    inside, powers = [], []
    for _ in range(2000):
        x = np.exp(rng.uniform(0, 6, 24))
        y = 0.01 * x**-0.7 * np.exp(0.4 * rng.normal(size=24))
        law = power_law(x, y)
        powers.append(law.power)
        new = 30.0
        value = 0.01 * new**-0.7 * math.exp(0.4 * rng.normal())
        inside.append(1 / law.bound <= value / law.at(new) <= law.bound)
    assert np.mean(powers) == pytest.approx(-0.7, abs=0.01)
    assert 0.92 < np.mean(inside) < 0.97
    assert law.num_points == 24
    assert law.lowest == pytest.approx(x.min())


def test_the_batch_takes_the_least_time():
    """Among powers of two none has a lower product of images and seconds per image."""
    law = law_of()
    for scale in (50.0, 900.0, 20_000.0):
        for step_seconds in (1e-4, 3e-3, 0.05):
            timing = Timing(step_seconds, 1e-4)
            chosen = _batch_size(scale, timing, law)
            possible = [
                size
                for size in (16, 32, 64, 128, 256, 512, 1024)
                if size == 16 or law.num_images(size, scale) / size >= 100
            ]

            def cost(size: int, scale: float = scale, timing: Timing = timing) -> float:
                return timing.seconds(size, law.num_images(size, scale) / size)

            assert cost(chosen) <= 1.03 * min(map(cost, possible)), (scale, step_seconds)


def test_the_advised_rate_follows_the_law_and_says_how_sure_it_is():
    rate, num_runs, why = _learning_rate(100, 300.0, law_of(), [])
    assert rate.value == pytest.approx(0.01 * 4**-0.5)
    assert (rate.low, rate.high) == (rate.value / 2, rate.value * 2)
    assert num_runs == 0
    assert "by 9 settings" in why


def record_of(rate: float, nll: float, **spec) -> RunRecord:
    spec = RunSpec(
        data="digits", model="mlp1", alpha=4, learning_rate=rate, **{"batch_size": 64, **spec}
    )
    point = {"step": 5, "images": 1, "examples": 1, "train_loss": 1.0, "heldout_nll": nll}
    return RunRecord(
        key=spec.key(), status="done", spec=spec.canonical(), seconds=1.0, code="", started="",
        curve=[point],
    )  # fmt: skip


def test_stored_runs_count_more_than_the_law():
    records = [record_of(rate, nll) for rate, nll in ((1e-3, 2.0), (4e-3, 1.9), (1e-2, 1.95))]
    rate, num_runs, why = _learning_rate(64, 300.0, law_of(), records)
    assert (rate.value, rate.low, rate.high) == (4e-3, 1e-3, 1e-2)
    assert num_runs == 3
    assert "3 stored runs" in why
    moved, _, _ = _learning_rate(256, 300.0, law_of(), records)
    law = law_of()
    factor = law.learning_rate(256, 300.0) / law.learning_rate(64, 300.0)
    assert moved.value == pytest.approx(4e-3 * factor)


def test_stored_runs_whose_best_rate_is_the_last_one_tried_do_not_count():
    records = [record_of(rate, nll) for rate, nll in ((1e-3, 2.0), (4e-3, 1.95), (1e-2, 1.9))]
    assert _learning_rate(64, 300.0, law_of(), records)[1] == 0
    apart = [record_of(1e-3, 2.0), record_of(4e-3, 1.9), record_of(1e-2, 2.0, budget_steps=9)]
    assert _learning_rate(64, 300.0, law_of(), apart)[1] == 0


def test_runs_are_alike_in_data_model_and_noise():
    records = [
        record_of(1e-3, 1.0),
        record_of(1e-3, 1.0, noise=Pair()),
        record_of(1e-3, 1.0, optimizer="sgd"),
        record_of(1e-3, 1.0, schedule="constant"),
    ]
    spec = RunSpec(data="digits", model="mlp1", alpha=4)
    assert like(spec, records) == records[:1]
    assert like(RunSpec(data="digits", model="mlp1", alpha=5), records) == []


def test_advice_for_a_set_at_hand(digits: Splits):
    said: list[str] = []
    found = advise("mlp1", DilutedSet(digits.train, 10.0), on_progress=said.append, num_images=1024)
    assert found.copies == "all"
    assert found.noise_scale.low < found.noise_scale.value < found.noise_scale.high
    ratio = found.label_noise_scale.value / found.noise_scale.value
    assert ratio == pytest.approx(11, rel=0.25)
    law = read_law()
    scale = found.noise_scale.value
    assert found.learning_rate.value == law.learning_rate(found.batch_size, scale)
    assert found.steps.low <= found.steps.value <= found.steps.high
    assert found.seconds == found.timing.seconds(found.batch_size, found.steps.value)
    assert found.reasons.keys() == {"method", "copies", "batch_size", "learning_rate", "steps"}
    assert found.method == "patches_estimated"
    assert found.method_seconds > 0
    assert said
    recipe = found.recipe()
    assert recipe.budget_steps == found.steps.value
    assert recipe.warmup_steps == warmup_steps(recipe.budget_steps) <= 50


def test_more_noise_asks_for_a_lower_rate(digits: Splits):
    few, many = (
        advise("perceptron", DilutedSet(digits.train, alpha), num_images=1024)
        for alpha in (1.0, 30.0)
    )
    assert many.noise_scale.low > 5 * few.noise_scale.high
    law = read_law()
    assert law.learning_rate(64, many.noise_scale.value) < law.learning_rate(
        64, few.noise_scale.value
    )


def test_single_labels_are_advised_where_there_are_no_others(digits: Splits):
    found = advise("perceptron", ReplacedSet(digits.train, 0.5), num_images=1024)
    assert found.copies == 1
    assert found.reasons["copies"] == "every image has one label"


def test_a_hidden_gradient_is_said(digits: Splits):
    """Labels that tell nothing: no batch is large enough."""
    noisy = ReplacedSet(digits.train, 1.0)
    with pytest.raises(
        SpecError, match="1,024 images is hidden by noise; look at more of them"
    ) as error:
        advise("perceptron", noisy, num_images=256)
    assert "\n" not in str(error.value)


def test_a_random_output_layer_changes_little(digits: Splits):
    """The advice rests on what tells classes apart, not on what undoes the first guesses."""
    noisy = DilutedSet(digits.train, 30.0)
    zero = advise("perceptron", noisy, num_images=1024)
    drawn = advise("test_advice:random_perceptron", noisy, num_images=1024)
    assert 0.5 < drawn.noise_scale.value / zero.noise_scale.value < 2


def random_perceptron(input_shape: tuple[int, ...], num_classes: int):
    """A perceptron with PyTorch's own initialisation."""
    from torch import nn

    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), num_classes))


def test_the_law_is_readable_and_sensible():
    law = read_law()
    assert law == AdviceLaw.model_validate_json(json.dumps(law.model_dump()))
    assert law.rate.power < 0 < law.images.power
    assert 1 < law.rate.spread < law.rate.bound


def test_times_that_are_alike_give_a_sensible_cost(digits: Splits, monkeypatch: pytest.MonkeyPatch):
    """A step of many images seems as fast as one of few.

    An image still costs something, and so does a step.
    """
    import torch

    from dilute.advice import timing

    for seconds in ((0.010, 0.009), (0.010, 0.5)):
        times = iter(seconds)
        monkeypatch.setattr(timing, "step_seconds", lambda *_, times=times, **__: next(times))
        found = timing.time_steps(torch.nn.Identity(), DilutedSet(digits.train, 1.0), None)
        assert 0 < found.step_seconds / found.image_seconds < 10_000
        assert found.seconds(256, 1) > 0
