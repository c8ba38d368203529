"""What a comparison runs: every method on the same noisy labels, on the same budget of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dilute.dilution import NoisySet
from dilute.errors import SpecError, unknown_name
from dilute.methods import METHOD_NAMES, METHODS, Method, Uses, make_method, written
from dilute.runs import RunSpec, num_taken
from dilute.runs.noisy import with_labels_of

BATCH_SIZE = 128
DEFAULT_PASSES = 4.0
DEFAULT_RATES = (1e-3,)
USUAL = (
    "cross_entropy",
    "gce",
    "elr",
    "forward_estimated",
    "em_estimated",
    "neighbours_estimated",
)
"""The methods that are compared if none are named."""
_LOOK_COST = 1 / 3  # a pass without gradients, of one with them
_CURVE_POINTS = 5


@dataclass(frozen=True)
class Entries:
    """What is compared, whatever it is compared on: methods, budget, learning rates and seeds.

    Attributes:
        methods: names of methods as `make_method` takes them, or methods with their options.
        passes: budget: how often every training image may go through a network, forward and
            backward. A look at all images without gradients counts as a third of a pass, each of
            two networks as one.
        learning_rates: peak rates that each method tries; held-out noisy labels choose.
        seeds: each of subset, noise, held-out images, initialisation and order.
        recipe: fields of `RunSpec` that all runs share, or a preset; AdamW and batches of 128 if
            none are given.
    """

    methods: tuple[str | Method, ...] = USUAL
    passes: float = DEFAULT_PASSES
    learning_rates: tuple[float, ...] = DEFAULT_RATES
    seeds: tuple[int, ...] = (0, 1, 2)
    recipe: Mapping[str, Any] = field(default_factory=lambda: {"batch_size": BATCH_SIZE})

    def recipes(self) -> list[dict[str, Any]]:
        """Return method, seed and recipe of each run, but for the budget, the seed varying slowest.

        Errors: `SpecError` for an unknown method, or none.
        """
        if not self.methods or not self.seeds or not self.learning_rates:
            raise SpecError(
                "a comparison needs a method, a seed and a learning rate; give one each"
            )
        methods = [make_method(one) if isinstance(one, str) else one for one in self.methods]
        return [
            {
                "seed": seed,
                **self.recipe,
                **_fields(method),
                "learning_rate": rate,
                "curve_points": _CURVE_POINTS,
            }
            for seed in self.seeds
            for method in methods
            for rate in self.learning_rates
        ]


@dataclass(frozen=True)
class Contest:
    """Entries, and the data, model and noise that they are compared on.

    Attributes:
        data, model, num_clean: as in `RunSpec`.
        noise: fields of `RunSpec` that say which noise: one of `alpha` and `rate`, and the pattern.
        entries: the methods, with budget, learning rates and seeds.
    """

    data: str
    model: str
    noise: Mapping[str, Any]
    entries: Entries
    num_clean: int | None = None

    def specs(self, num_train: int) -> list[RunSpec]:
        """Return the runs, the seed varying slowest.

        Arguments:
            num_train: images in the data's training set.

        Errors: `SpecError` for an unknown method, or a budget too small for one; what `RunSpec`
            raises.
        """
        here = {"data": self.data, "model": self.model, "num_clean": self.num_clean, **self.noise}
        specs = [RunSpec(**here, **recipe) for recipe in self.entries.recipes()]
        passes = self.entries.passes
        return [_within_budget(spec, passes, num_taken(spec, num_train)) for spec in specs]


def specs_on_set(entries: Entries, noisy: NoisySet, data: str, model: str) -> list[RunSpec]:
    """Return the runs on a noisy set in hand, the seed varying slowest.

    Arguments:
        data: the name of the data that it was made from.

    Errors: `SpecError` for an unknown method, or a budget too small for one.
    """
    specs = [
        with_labels_of(RunSpec(data=data, model=model, **recipe), noisy)
        for recipe in entries.recipes()
    ]
    return [_within_budget(spec, entries.passes, noisy.n) for spec in specs]


def _fields(method: Method) -> dict[str, Any]:
    name, options = written(method)
    return {"method": name, "method_options": options or None, "copies": method.copies}


def _within_budget(spec: RunSpec, passes: float, num_taken: int) -> RunSpec:
    """Return the run with as many steps as the budget allows on its images, held-out ones too."""
    method = spec.make_method()
    num_images = num_taken - round(spec.heldout_fraction * num_taken)
    own_passes = (passes - _LOOK_COST * method.looks) / method.networks
    steps = int(own_passes * num_images / spec.batch_size)
    if steps < _CURVE_POINTS:
        fewest = method.networks * _CURVE_POINTS * spec.batch_size / num_images
        raise SpecError(
            f"{passes:g} passes over {num_images:,} images are too few for {spec.method}, which "
            f"needs {_LOOK_COST * method.looks + fewest:.2g}; raise passes, or leave it out"
        )
    return spec.model_copy(update={"budget_steps": steps, "budget_epochs": None})


def entries_of(names: Sequence[str | Method]) -> tuple[str | Method, ...]:
    """Return the methods that names stand for, each once.

    Arguments:
        names: names of methods, or methods with their options; `all`; `known` (those that are given
            the matrix of the noise) or `estimated` (those that estimate it).

    Errors: `SpecError` for an unknown one.
    """
    kinds: dict[str, tuple[str, ...]] = {
        "all": METHOD_NAMES,
        "known": _using("known matrix"),
        "estimated": _using("estimated matrix"),
    }
    chosen: list[str | Method] = []
    for name in names:
        if not isinstance(name, str):
            chosen.append(name)
        elif name in kinds:
            chosen += kinds[name]
        elif name in METHODS or name in METHOD_NAMES or ":" in name:
            chosen.append(written(make_method(name))[0])
        else:
            raise SpecError(unknown_name("method", name, [*kinds, *METHODS, *METHOD_NAMES]))
    return tuple(one for number, one in enumerate(chosen) if one not in chosen[:number])


def _using(what: Uses) -> tuple[str, ...]:
    return tuple(name for name in METHOD_NAMES if make_method(name).uses == what)
