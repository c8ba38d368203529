"""Divisions of a batch over ranks and micro-batches, and bfloat16: what changes no result."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from dilute.data import Splits
from dilute.dilution import DilutedSet, NoisySet, Visits
from dilute.errors import SpecError
from dilute.methods import METHOD_NAMES, Observed, make_method
from dilute.models import build
from dilute.runs import RunSpec
from dilute.training import Recipe, Scaled, train
from dilute.training.batches import batches as made_batches
from dilute.training.division import Division, backward
from dilute.world import World

pytestmark = pytest.mark.numerical

CPU = torch.device("cpu")


BATCH = 23


WHOLE_BATCH_METHODS = {"mixup", "elr", "co_teaching"}


@pytest.fixture(scope="module")
def noisy(digits: Splits) -> NoisySet:
    return DilutedSet(digits.train, 3.0, seed=0, rows=np.arange(0, 1000, 5))


def fresh(noisy: NoisySet, name: str) -> Scaled:
    torch.manual_seed(0)
    network = build(name, noisy.clean.input_shape, noisy.num_classes)
    nn.init.normal_(list(network.children())[-1].weight)  # or no gradient would go deeper
    scaled = Scaled(network, *noisy.clean.statistics())
    return scaled.to(memory_format=torch.channels_last).train()


class TestOfShares:
    @pytest.mark.parametrize("size", [1, 2, 3, 7])
    @pytest.mark.parametrize("total", [0, 1, 2, 7, 23, 1000])
    def test_rows_are_cut_without_gap_or_overlap(self, size: int, total: int):
        shares = [World(rank, size).rows(total) for rank in range(size)]
        assert [row for first, last in shares for row in range(first, last)] == list(range(total))
        lengths = [last - first for first, last in shares]
        assert max(lengths) - min(lengths) <= 1

    @pytest.mark.parametrize(("size", "micro"), [(2, None), (3, None), (1, 5), (2, 4)])
    def test_ranks_read_the_batch_of_one_process(self, noisy: NoisySet, size: int, micro):
        start = 190  # across the end of an epoch of 200 visits
        whole = Visits(noisy, "all", seed=3).batch(start, start + BATCH)
        parts = [
            Visits(noisy, "all", seed=3).batch(start + first, start + last)
            for rank in range(size)
            for first, last in Division(World(rank, size), micro).parts(BATCH)
        ]
        assert len(parts) > 1
        for name in whole._fields:
            together = np.concatenate([getattr(part, name) for part in parts])
            np.testing.assert_array_equal(together, getattr(whole, name))


def summed(noisy: NoisySet, model_name: str, method: str, divisions) -> tuple[float, torch.Tensor]:
    """Return loss and gradient of a batch, summed over divisions."""
    model = fresh(noisy, model_name)
    objective = make_method(method).objective(Observed(noisy), model, 0)
    objective.before_step(0, 100, model)
    if make_method(method).looks:
        objective.before_step(50, 100, model)  # where one look is due, and the second of three
    visits = Visits(noisy, "all", seed=0)
    loss = 0.0
    for division in divisions:
        ahead = made_batches(visits, BATCH, 8, 9, parts=division.parts(BATCH))
        loss += float(
            backward(objective, model, ahead, BATCH, division=division, seed=5, device=CPU)
        )
    return loss, torch.cat([p.grad.flatten() for p in model.parameters()])


def test_parts_have_the_dropout_of_the_whole(noisy: NoisySet):
    """Loss and gradient of Conv4, which drops a half of its values, from uneven parts."""
    loss, gradient = summed(noisy, "conv4", "cross_entropy", [Division(World())])
    for divisions in (
        [Division(World(rank, 3)) for rank in range(3)],
        [Division(World(), 4)],
        [Division(World(rank, 2), 5) for rank in range(2)],
    ):
        other_loss, other = summed(noisy, "conv4", "cross_entropy", divisions)
        assert other_loss == pytest.approx(loss, rel=1e-5)
        torch.testing.assert_close(other, gradient, rtol=1e-3, atol=1e-5)


@pytest.fixture
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # many small operations wait for busy cores otherwise
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_one_thread")
@pytest.mark.parametrize(
    "method",
    [
        pytest.param(name, marks=pytest.mark.slow if name.startswith(("patches", "rounds")) else ())
        for name in METHOD_NAMES
    ],
)
def test_methods_say_whether_batches_may_be_divided(noisy: NoisySet, method: str):
    loss, gradient = summed(noisy, "mlp1", method, [Division(World())])
    halves = [Division(World(rank, 2)) for rank in range(2)]
    other_loss, other = summed(noisy, "mlp1", method, halves)
    error = float((other - gradient).norm() / gradient.norm())
    assert make_method(method).is_sum_over_rows == (method not in WHOLE_BATCH_METHODS)
    if method in WHOLE_BATCH_METHODS - {"elr", "co_teaching"}:
        assert error > 0.01, "why is it refused?"
    elif method not in WHOLE_BATCH_METHODS:
        assert error < 1e-4
        assert other_loss == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize(
    ("recipe", "model", "options", "message"),
    [
        ({"method": "elr"}, "mlp1", {"world": World(0, 2)}, "ELR looks at a batch as a whole"),
        ({"method": "mixup"}, "mlp1", {"micro_batch_size": 4}, "micro-batches of 4 would divide"),
        ({"method": "co_teaching"}, "mlp1", {"world": World(1, 3)}, "which 3 ranks would divide"),
        ({}, "resnet18", {"world": World(0, 2)}, "has batch normalisation"),
        ({}, "resnet18", {"micro_batch_size": 4}, "has batch normalisation"),
        ({}, "mlp1", {"world": World(0, 17)}, "batch_size = 16 leaves some of 17 ranks without"),
        ({}, "mlp1", {"micro_batch_size": 0}, "micro_batch_size = 0 cannot be"),
    ],
)
def test_what_cannot_be_divided_is_refused(noisy, recipe, model, options, message):
    told = Recipe(batch_size=16, budget_steps=2, curve_points=1, **recipe)
    with pytest.raises(SpecError, match=f"^[^\n]*{message}[^\n]*$"):
        train(fresh(noisy, model), noisy, told, seed=0, device=CPU, **options)


def trained(noisy: NoisySet, recipe: Recipe, **options) -> torch.Tensor:
    model = fresh(noisy, "conv4")
    train(model, noisy, recipe, seed=0, device=CPU, **options)
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_micro_batches_change_rounding_alone(noisy: NoisySet):
    recipe = Recipe(batch_size=BATCH, budget_steps=10, curve_points=1, optimizer="sgd")
    whole = trained(noisy, recipe)
    assert torch.equal(whole, trained(noisy, recipe, micro_batch_size=BATCH))
    parts = trained(noisy, recipe, micro_batch_size=5)
    assert not torch.equal(whole, parts), "was it divided?"
    torch.testing.assert_close(parts, whole, rtol=1e-3, atol=1e-4)


def test_mixed_precision_is_near_and_repeats(noisy: NoisySet):
    recipe = Recipe(batch_size=BATCH, budget_steps=10, curve_points=1, optimizer="sgd")
    mixed = recipe.model_copy(update={"precision": "bfloat16"})
    start = torch.cat([p.detach().flatten() for p in fresh(noisy, "conv4").parameters()])
    whole, first = trained(noisy, recipe), trained(noisy, mixed)
    assert torch.equal(first, trained(noisy, mixed))
    moved, error = (whole - start).norm(), (first - whole).norm()
    assert 1e-4 * moved < error < 0.2 * moved


def test_precision_is_part_of_the_key_unless_it_is_the_usual():
    def spec(**options):
        return RunSpec(data="digits", model="mlp1", **options)

    assert spec(precision="float32").key() == spec().key()
    assert spec(precision="bfloat16").key() != spec().key()
    assert "precision" not in spec().canonical()
    with pytest.raises(ValidationError, match="bfloat16"):
        spec(precision="float16")
