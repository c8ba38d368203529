"""What a comparison runs: every method on the same noisy sets, within the same budget of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dilute.errors import SpecError, unknown_name
from dilute.methods import METHOD_NAMES, METHODS, Method, Uses, make_method, written
from dilute.runs import RunSpec, num_taken

BATCH_SIZE = 128
DEFAULT_PASSES = 4.0
DEFAULT_RATES = (1e-3,)
_LOOK_COST = 1 / 3  # a pass without gradients, of one with them
_JUDGED = 5


@dataclass(frozen=True)
class Contest:
    """Methods, and what they are compared on.

    Attributes:
        data, model, num_clean: as in `RunSpec`.
        noise: fields of `RunSpec` that say which noise: one of `alpha` and `rate`, and the pattern.
        methods: names as `make_method` takes them.
        passes: budget: how often every training image may go through a network, forward and backward. A look at
            all images without gradients counts as a third of a pass, each of two networks as one.
        learning_rates: peak rates of AdamW that each method tries; held-out noisy labels choose.
        seeds: each of subset, noise, held-out images, initialisation and order.
    """

    data: str
    model: str
    noise: dict[str, Any]
    methods: tuple[str, ...]
    num_clean: int | None = None
    passes: float = DEFAULT_PASSES
    learning_rates: tuple[float, ...] = DEFAULT_RATES
    seeds: tuple[int, ...] = (0, 1, 2)

    def specs(self, num_train: int) -> list[RunSpec]:
        """Return the runs, the seed varying slowest.

        Arguments:
            num_train: images in the data's training set.

        Errors: `SpecError` for an unknown method, or a budget too small for one; what `RunSpec` raises.
        """
        if not self.methods or not self.seeds or not self.learning_rates:
            raise SpecError(
                "a comparison needs a method, a seed and a learning rate; give one each"
            )
        for name in self.methods:
            make_method(name)
        return [
            self._spec(name, rate, seed, num_train)
            for seed in self.seeds
            for name in self.methods
            for rate in self.learning_rates
        ]

    def _spec(self, name: str, rate: float, seed: int, num_train: int) -> RunSpec:
        method = make_method(name)
        blank = RunSpec(
            data=self.data,
            model=self.model,
            num_clean=self.num_clean,
            seed=seed,
            method=name,
            copies=method.copies,
            batch_size=BATCH_SIZE,
            learning_rate=rate,
            curve_points=_JUDGED,
            **self.noise,
        )
        taken = num_taken(blank, num_train)
        num_images = taken - round(blank.heldout_fraction * taken)
        return blank.model_copy(update={"budget_steps": self._steps(name, method, num_images)})

    def _steps(self, name: str, method: Method, num_images: int) -> int:
        passes = (self.passes - _LOOK_COST * method.looks) / method.networks
        steps = int(passes * num_images / BATCH_SIZE)
        if steps < _JUDGED:
            least = _LOOK_COST * method.looks + method.networks * _JUDGED * BATCH_SIZE / num_images
            raise SpecError(
                f"{self.passes:g} passes over {num_images:,} images are too few for {name}, which needs {least:.2g}; "
                "raise passes, or leave it out"
            )
        return steps


def entries_of(names: Sequence[str]) -> tuple[str, ...]:
    """Return the methods that names stand for: `all`, `known` (all that know the matrix), `estimated`, or names as they are.

    Errors: `SpecError` for an unknown one.
    """
    kinds: dict[str, tuple[str, ...]] = {
        "all": METHOD_NAMES,
        "known": _using("known matrix"),
        "estimated": _using("estimated matrix"),
    }
    chosen: list[str] = []
    for name in names:
        if name in kinds:
            chosen += kinds[name]
        elif name in METHODS or name in METHOD_NAMES or ":" in name:
            chosen.append(written(make_method(name))[0])
        else:
            raise SpecError(unknown_name("method", name, [*kinds, *METHODS, *METHOD_NAMES]))
    return tuple(dict.fromkeys(chosen))


def _using(what: Uses) -> tuple[str, ...]:
    """Return the methods that use this of the noise."""
    return tuple(name for name in METHOD_NAMES if make_method(name).uses == what)
