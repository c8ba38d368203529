"""Trainings of a few steps, whole and interrupted, for tests of several files."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from dilute import seeds
from dilute.data import LabelledSet
from dilute.dilution import NoisySet
from dilute.models import build
from dilute.training import Recipe, Scaled, Trained, train

CPU = torch.device("cpu")


def fresh(clean: LabelledSet, name: str = "conv4") -> Scaled:
    torch.manual_seed(seeds.word(0, "initialisation"))
    model = Scaled(build(name, clean.input_shape, clean.num_classes), *clean.statistics())
    return model.to(memory_format=torch.channels_last)


def trained_weights(
    noisy: NoisySet,
    recipe: Recipe,
    name: str = "conv4",
    watch: Callable[[nn.Module], Callable[[int, int, Trained], None]] | None = None,
    **options,
) -> tuple[dict, Trained]:
    """Return what training leaves; `watch` makes the `on_step` that sees the model."""
    model = fresh(noisy.clean, name)
    if watch is not None:
        options["on_step"] = watch(model)
    outcome = train(model, noisy, recipe, seed=0, device=CPU, **options)
    return model.state_dict(), outcome


def assert_same_bits(first: dict, second: dict) -> None:
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def interrupted_at(step: int):
    calls = 0

    def should_stop() -> bool:
        nonlocal calls
        calls += 1
        return calls == step

    return should_stop
