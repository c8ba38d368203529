from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from dilute.data import LabelledSet
from dilute.dilution import DilutedSet, Visits
from dilute.errors import validation_line
from dilute.methods import METHODS
from dilute.noise import PATTERNS
from dilute.runs import RunSpec
from dilute.training import Recipe

pytestmark = pytest.mark.numerical

CLEAN = LabelledSet(np.zeros((100, 1, 2, 2), dtype=np.uint8), np.arange(100) % 2, ("a", "b"))


def test_what_is_not_given_is_filled_in():
    assert Recipe() == Recipe(
        optimizer="adamw", learning_rate=1e-3, weight_decay=0.01, budget_steps=600
    )
    assert Recipe(optimizer="sgd").momentum == 0.9
    assert Recipe(optimizer="adadelta").learning_rate == 1.0
    assert Recipe(schedule="constant").warmup_steps == 0
    assert Recipe(learning_rate=None, warmup_steps=None) == Recipe()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (
            {"budget_steps": 5, "budget_epochs": 2},
            "budget_steps and budget_epochs; give exactly one",
        ),
        ({"budget_steps": 0}, "budget_steps = 0: it should be greater than or equal to 1"),
        ({"learning_rate": -1}, "learning_rate = -1"),
        ({"learning_rate": float("nan")}, "learning_rate = nan: it should be a finite number"),
        ({"method": "cross_entropi"}, "did you mean cross_entropy"),
        ({"copies": 0}, "must be a whole number ≥ 1, 'all' or 'expected'"),
        ({"copies": "some"}, "copies = 'some'"),
        ({"optimizer": "adam"}, "'adadelta', 'sgd' or 'adamw'"),
        ({"momentum": 0.9}, "momentum = 0.9 has no meaning for adamw"),
        (
            {"optimizer": "sgd", "epsilon": 1e-6},
            "epsilon = 1e-06 has no meaning for sgd; it is for adadelta and adamw",
        ),
        ({"epsilon": 0}, "epsilon = 0: it should be greater than 0"),
        ({"epsilon": float("inf")}, "epsilon = inf: it should be a finite number"),
        ({"schedule": "constant", "warmup_steps": 5}, "has no meaning with a constant schedule"),
        ({"schedule": "constant", "warmup_fraction": 0.1}, "warmup_fraction = 0.1 has no meaning"),
        ({"warmup_steps": 5, "warmup_fraction": 0.1}, "warmup_steps and warmup_fraction; give one"),
        ({"warmup_fraction": 0.7}, "warmup_fraction = 0.7"),
        ({"nesterov": True}, "nesterov = True has no meaning without momentum"),
        ({"average_decay": 1.0}, "average_decay = 1"),
        ({"label_smoothing": 1.0}, "label_smoothing = 1"),
        ({"batchsize": 5}, "batchsize = 5"),
    ],
)
def test_recipes_that_cannot_be(fields: dict, says: str):
    with pytest.raises(ValidationError) as caught:
        Recipe(**fields)
    line = validation_line(caught.value)
    assert says in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("fields", "steps"),
    [
        ({"budget_steps": 7}, 7),
        ({"budget_epochs": 3}, 8),  # 3 × 100 visits in batches of 40
        ({"budget_epochs": 3, "copies": 1}, 38),  # 3 × 500 visits
        ({"budget_epochs": 0.5}, 2),
        ({"budget_examples": 1000}, 5),  # 200 examples a batch
        ({"budget_examples": 1001}, 6),
        ({"budget_examples": 1000, "copies": 1}, 25),
    ],
)
def test_budgets(fields: dict, steps: int):
    recipe = Recipe(batch_size=40, **fields)
    assert recipe.num_steps(Visits(DilutedSet(CLEAN, 4.0), recipe.copies, seed=0)) == steps


def test_linear_schedule():
    recipe = Recipe(learning_rate=1.0, warmup_steps=4)
    rates = [recipe.learning_rate_at(step, 14) for step in range(14)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    np.testing.assert_allclose(np.diff(rates[4:]), -0.1)
    assert rates[-1] == pytest.approx(0.1)
    assert max(recipe.learning_rate_at(step, 2) for step in range(2)) == 1.0
    for step in range(50, 600):  # to the last bit, as stored runs had it
        assert Recipe().learning_rate_at(step, 600) == 1e-3 * (600 - step) / 550


def test_cosine_schedule():
    recipe = Recipe(learning_rate=1.0, schedule="cosine", warmup_fraction=0.2)
    rates = np.array([recipe.learning_rate_at(step, 100) for step in range(101)])
    np.testing.assert_allclose(rates[:20], np.arange(1, 21) / 20)
    np.testing.assert_allclose(rates[20:], (1 + np.cos(np.pi * np.arange(81) / 80)) / 2, atol=1e-12)


def test_warmup_as_a_share_of_the_budget():
    share = Recipe(learning_rate=1.0, warmup_fraction=0.25)
    steps = Recipe(learning_rate=1.0, warmup_steps=5)
    assert share.warmup_steps == 0
    for step in range(20):
        assert share.learning_rate_at(step, 20) == steps.learning_rate_at(step, 20)
    assert Recipe(warmup_fraction=0.0, learning_rate=1.0).learning_rate_at(0, 20) == 1.0


def test_norms_and_biases_need_not_decay():
    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    fields = {"optimizer": "sgd", "weight_decay": 0.1, "weight_decay_on": "matrices"}
    optimizer = Recipe(**fields, nesterov=True).make_optimizer(layers.parameters())
    decays = {
        id(parameter): group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert [decays[id(one)] for one in layers.parameters()] == [0.1, 0, 0, 0]
    assert all(group["nesterov"] for group in optimizer.param_groups)


def test_constant_schedule():
    assert Recipe(schedule="constant", learning_rate=0.3).learning_rate_at(99, 100) == 0.3


@pytest.mark.parametrize(("name", "default"), [("adadelta", 1e-6), ("adamw", 1e-8)])
def test_epsilon_reaches_the_optimizer(name: str, default: float):
    def eps(**given) -> float:
        recipe = Recipe(optimizer=name, **given)
        return recipe.make_optimizer([torch.nn.Parameter(torch.ones(1))]).defaults["eps"]

    assert eps() == eps(epsilon=default) == default
    assert eps(epsilon=1e-3) == 1e-3
    assert Recipe(optimizer=name, epsilon=default) == Recipe(optimizer=name)
    assert "epsilon" not in Recipe(optimizer=name).model_dump(exclude_none=True)


@pytest.mark.parametrize("name", ["adadelta", "sgd", "adamw"])
def test_optimizers_lower_a_loss(name: str):
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = Recipe(optimizer=name, learning_rate=0.1).make_optimizer([weight])
    for _ in range(5):
        optimizer.zero_grad()
        (weight**2).sum().backward()
        optimizer.step()
    assert (weight.detach() < 1).all()


@pytest.mark.parametrize("scale", [1e-2, 1.0])
def test_adadelta_on_noise_alone_takes_steps_of_one_size(scale: float):
    """Two to three times the root of epsilon, whatever the noise's size.

    In time it neither grows nor shrinks.
    """
    weights = torch.nn.Parameter(torch.zeros(1000))
    optimizer = Recipe(optimizer="adadelta", epsilon=1e-8).make_optimizer([weights])
    generator = torch.Generator().manual_seed(0)
    sizes = []
    for _ in range(2000):
        before = weights.detach().clone()
        weights.grad = scale * torch.randn(1000, generator=generator)
        optimizer.step()
        sizes.append((weights.detach() - before).square().mean().sqrt().item())
    early, late = np.mean(sizes[400:600]), np.mean(sizes[-200:])
    assert 2e-4 < late < 3e-4
    assert 0.9 < late / early < 1.1  # a walk whose steps feed on themselves would have doubled them


ROWS = ((0.8, 0.2), (0.3, 0.7))
SPELLINGS = [
    (
        "forward_known",
        None,
        [("forward", {"matrix": "known"}), ("forward_known", {"matrix": None})],
    ),
    ("forward_estimated", None, [("forward", None), ("forward", {"matrix": "estimated"})]),
    (
        "forward_known",
        {"matrix": [list(row) for row in ROWS]},
        [("forward", {"matrix": ROWS}), ("forward_known", {"matrix": ROWS})],
    ),
    ("backward_estimated", {"quantile": 0.9}, [("backward", {"quantile": 0.9})]),
    ("em_estimated", {"rounds": 5}, [("em", {"rounds": "5"}), ("em_estimated", {"rounds": 5})]),
    ("em_known", None, [("em", {"matrix": "known"})]),
    ("neighbours_known", {"rounds": 1}, [("neighbours", {"matrix": "known", "rounds": 1})]),
    ("patches_estimated", None, [("patches", {"features": "patches"})]),
    ("rounds_known", None, [("rounds", {"matrix": "known", "rounds": 3})]),
]


@pytest.mark.parametrize(("name", "options", "others"), SPELLINGS)
def test_a_method_is_written_alike_however_it_is_spelled(name, options, others):
    """As records of before wrote it, so that keys hold."""
    fields = {"data": "mnist", "model": "mlp1", "alpha": 2}
    first = RunSpec(**fields, method=name, method_options=options)
    assert first.canonical()["method"] == name
    assert first.canonical().get("method_options") == options
    for other, given in others:
        spec = RunSpec(**fields, method=other, method_options=given)
        assert (spec, spec.key()) == (first, first.key())
    assert RunSpec(**fields, method=first.make_method()) == first


def test_plain_values_are_the_defaults_of_plain_types():
    plain = Recipe(test_curve=True, log_gradients=False, precision="float32")
    assert plain == Recipe() == Recipe(test_curve=None, log_gradients=None, precision=None)
    assert plain.test_curve is True
    assert not {"test_curve", "log_gradients", "precision"} & set(plain.canonical())
    other = Recipe(test_curve=False, log_gradients=True, precision="bfloat16").canonical()
    assert (other["test_curve"], other["log_gradients"]) == (False, True)
    assert other["precision"] == "bfloat16"


def test_a_new_field_changes_no_key():
    class Later(RunSpec):
        patience: int = 3

    fields = {"data": "mnist", "model": "mlp1"}
    assert Later(**fields).key() == RunSpec(**fields).key()
    assert Later(**fields, patience=4).key() != RunSpec(**fields).key()


def test_every_option_has_its_help():
    """One line each, for the command line: of specs, noise patterns and methods."""
    for kind in (RunSpec, *PATTERNS.values(), *METHODS.values()):
        for name, field in kind.model_fields.items():
            if name == "pattern":
                continue
            assert field.description, f"{kind.__name__}.{name}"
            assert len(field.description) <= 90, f"{kind.__name__}.{name}"
