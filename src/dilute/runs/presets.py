"""Presets: networks and recipes by name, as the fields of a run that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dilute.errors import SpecError, unknown_name

_BUDGETS = ("budget_steps", "budget_epochs", "budget_examples")
_OF_OPTIMIZER = ("learning_rate", "momentum", "nesterov", "weight_decay", "epsilon")


@dataclass(frozen=True)
class Preset:
    """A network and how to train it.

    Attributes:
        description: in a few words.
        fields: those of `RunSpec` that it stands for.
    """

    description: str
    fields: Mapping[str, Any]


PRESETS = {
    "cifar10-fast": Preset(
        "fastnet, ten passes with all labels of an image in one visit",
        {
            "model": "fastnet",
            "copies": "all",
            "batch_size": 250,
            "optimizer": "sgd",
            "learning_rate": 0.1,
            "nesterov": True,
            "weight_decay": 5e-4,
            "weight_decay_on": "matrices",
            "warmup_fraction": 0.2,
            "augment": "shift_flip",
            "budget_epochs": 10,
        },
    ),
    "cifar10-resnet18": Preset(
        "ResNet-18, twenty passes with all labels of an image in one visit",
        {
            "model": "resnet18",
            "copies": "all",
            "batch_size": 128,
            "optimizer": "sgd",
            "learning_rate": 0.05,
            "nesterov": True,
            "weight_decay": 5e-4,
            "weight_decay_on": "matrices",
            "schedule": "cosine",
            "warmup_fraction": 0.2,
            "augment": "shift_flip",
            "budget_epochs": 20,
        },
    ),
    "paper": Preset(
        "Conv4 as the paper trains: single draws, AdaDelta, batches of 128",
        {
            "model": "conv4",
            "copies": 1,
            "batch_size": 128,
            "optimizer": "adadelta",
            "learning_rate": 0.3,
            "epsilon": 1e-8,
            "schedule": "constant",
            "budget_epochs": 12,
        },
    ),
}


def with_preset(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of a run with those of the preset that they name; without one, as they are.

    What is given beside a preset goes before it. Another budget takes the place of its budget, and
    another optimiser that of its optimiser's options.

    Arguments:
        fields: of `RunSpec`, and perhaps `preset`, a key of `PRESETS`.

    Errors: `SpecError` for an unknown preset.
    """
    given = dict(fields)
    name = given.pop("preset", None)
    if name is None:
        return given
    if name not in PRESETS:
        raise SpecError(unknown_name("preset", str(name), PRESETS))
    preset = dict(PRESETS[name].fields)
    left_out: set[str] = set()
    if any(given.get(budget) is not None for budget in _BUDGETS):
        left_out.update(_BUDGETS)
    if given.get("optimizer", preset["optimizer"]) != preset["optimizer"]:
        left_out.update(_OF_OPTIMIZER)
    if given.get("warmup_steps") is not None or given.get("schedule") == "constant":
        left_out.add("warmup_fraction")
    return {**{field: preset[field] for field in preset if field not in left_out}, **given}
