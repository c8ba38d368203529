"""A pilot: runs on small parts of the data, as many as fit a time limit, to fit a law to."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from dilute.data import AS_THEY_ARE, Reading, Splits, load
from dilute.errors import LawError
from dilute.interruption import Interrupted
from dilute.noise import NoisePattern, Structured, Uniform, noise_rate
from dilute.planning.pilot_recipe import pilot_recipe
from dilute.runs import RunRecord, RunSpec, Store
from dilute.sweeps import (
    Cluster,
    Plan,
    SweepProgress,
    estimate_seconds,
    make_plan,
    run_sweep,
    share,
    stored_runs,
)

_SMALLEST_PER_CLASS = 5
_SMALLEST = 50
_FEWEST_SIZES = 4
_MOST_ALPHA = 20.0
_SEEDS = 2
_HELDOUT_FRACTION = 0.2
_SLACK = 0.8
_START_SECONDS = 3.0


def pilot_alphas(
    alphas: Sequence[float], noise: NoisePattern, num_classes: int
) -> tuple[float, ...]:
    """Return the amounts of noise that a pilot tries: none, and two evenly spaced in noise.

    The highest is the highest of `alphas`, but at most 20: beyond that, small sets teach nothing.

    Errors: `LawError` if structured noise needs a higher alpha than that.
    """
    most = min(max(alphas), _MOST_ALPHA) or 5.0
    least = 0.0
    if isinstance(noise, Structured):
        least = num_classes * noise.delta
        if least > most:
            raise LawError(
                f"structured noise of delta {noise.delta:g} needs alpha ≥ {least:g}; "
                "ask for one of at least that"
            )
    return tuple(sorted({0.0, max(least, math.sqrt(1 + most) - 1), most}))


def ladder(num_images: int, num_classes: int) -> list[int]:
    """Return the numbers of images that a pilot may try, ascending: each is twice the one before.

    The smallest has a few images of each class, the largest is `num_images`.

    Errors: `LawError` if there are too few images for a curve.
    """
    smallest = max(_SMALLEST, _SMALLEST_PER_CLASS * num_classes)
    sizes = [num_images]
    while sizes[-1] / 2 >= smallest:
        sizes.append(sizes[-1] // 2)
    if len(sizes) < _FEWEST_SIZES:
        raise LawError(
            f"{num_images:,} images are too few for a pilot; with {num_classes} classes it takes "
            f"{smallest * 2 ** (_FEWEST_SIZES - 1):,}"
        )
    return sizes[::-1]


def pilot_specs(
    splits: Splits,
    model: str,
    alphas: Sequence[float],
    noise: NoisePattern,
    sizes: Sequence[int],
    *,
    is_replacement: bool = False,
    seed: int = 0,
) -> list[RunSpec]:
    """Return two runs, of different seeds, for each size and `alpha`; small sizes first.

    Without a test set, a fifth of the images is held out with clean labels, on which the last
    model is evaluated.
    """
    found = []
    for size in sizes:
        for alpha in alphas:
            training = pilot_recipe(size, alpha)
            if splits.test is None:
                training["heldout_fraction"] = _HELDOUT_FRACTION
            found += [
                RunSpec(
                    data=splits.name,
                    model=model,
                    noise=noise,
                    num_clean=size,
                    alpha=None if is_replacement else alpha,
                    rate=noise_rate(alpha) if is_replacement else None,
                    heldout_labels="clean" if splits.test is None else "noisy",
                    seed=seed + repeat,
                    **training,
                )
                for repeat in range(_SEEDS)
            ]
    return found


def run_pilot(
    data: str,
    model: str,
    alphas: Sequence[float],
    noise: NoisePattern | None = None,
    *,
    store: Store | Path | str,
    minutes: float,
    splits: Splits | None = None,
    is_replacement: bool = False,
    seed: int = 0,
    workers: int | None = None,
    cluster: Cluster | None = None,
    reading: Reading = AS_THEY_ARE,
    on_progress: Callable[[SweepProgress], object] = lambda progress: None,
    on_note: Callable[[str], object] = lambda text: None,
) -> list[RunRecord]:
    """Run the largest pilot that fits the time, and return its records, from which a law is fitted.

    A few steps are timed first. They choose the first sizes; each larger size is then run if the
    runs so far say that there is time for it. Runs that the store has are not run again. With
    several worker processes, a script must call this under `if __name__ == "__main__":`.

    Arguments:
        data: a name that `dilute.load` takes.
        model: a name or `module:callable`.
        alphas: the amounts of noise that are to be planned for, each ≥ 0: wrong labels drawn for
            each right one.
        noise: the pattern that wrong labels are drawn from; uniform if None.
        store: where records are kept: a store or its folder.
        minutes: time limit for all that the store lacks, > 0.
        splits: what `dilute.load` returned for `data`, if it was called before.
        is_replacement: whether noise replaces labels, rather than adding wrong ones.
        seed: of the first of the two runs of each size and `alpha`; the second has the next one.
        workers: runs at the same time; as many as this machine has cores (or GPUs) for if None.
        cluster: where Ray does the runs; None for this machine.
        reading: how to read the data.
        on_progress: called about once a second with how far the runs are.
        on_note: called with a line of text for each decision.

    Errors: `LawError` if the smallest pilot does not fit the time, or there are too few images;
        `Interrupted` if it was asked to stop: the same call goes on with what is left; those of
        `dilute.load` and `run_sweep`.
    """
    splits = splits or load(data, reading)
    noise = noise or Uniform()
    num_classes = splits.train.num_classes
    tried = pilot_alphas(alphas, noise, num_classes)
    most = len(splits.train)
    if splits.test is None:
        most = math.floor(most * (1 - _HELDOUT_FRACTION))
    pilot = _Pilot(
        specs=partial(
            pilot_specs, splits, model, tried, noise, is_replacement=is_replacement, seed=seed
        ),
        make_plan=partial(make_plan, reading=reading, sources={splits.name: data}),
        store=store if isinstance(store, Store) else Store(store),
        seconds=60 * minutes,
        workers=workers,
        cluster=cluster,
        on_progress=on_progress,
        on_note=on_note,
    )
    return pilot.run(ladder(most, num_classes), tried)


@dataclass(frozen=True)
class _Pilot:
    """What the steps of `run_pilot` share.

    Attributes:
        specs: gives the runs of some sizes.
        make_plan: gives the plan of some runs.
        seconds: time limit, from `began` on.
    """

    specs: Callable[[Sequence[int]], list[RunSpec]]
    make_plan: Callable[[Iterable[RunSpec]], Plan]
    store: Store
    seconds: float
    workers: int | None
    cluster: Cluster | None
    on_progress: Callable[[SweepProgress], object]
    on_note: Callable[[str], object]
    began: float = field(default_factory=time.monotonic)

    def run(self, sizes: list[int], alphas: Sequence[float]) -> list[RunRecord]:
        """Do the runs of as many sizes as there is time for, and return their records."""
        expected = self._expected_seconds(sizes)
        first = self._first_sizes(sizes, expected)
        self.on_note(
            f"pilot: alpha {', '.join(f'{a:.3g}' for a in alphas)}; "
            f"{first[0]:,} to {first[-1]:,} images"
        )
        started = time.monotonic()
        records = self._do(first)
        # The timed steps leave out the start of workers and the reading of data.
        slower = (time.monotonic() - started) / sum(expected[size] for size in first)
        slower = max(1.0, slower)
        for size in sizes[len(first) :]:
            seconds = slower * expected[size]
            if time.monotonic() + seconds > self.began + self.seconds:
                self.on_note(
                    f"{size:,} images would take {seconds / 60:.1f} minutes more and are left out"
                )
                break
            self.on_note(f"there is time for {size:,} images")
            records += self._do([size])
        return records

    def _expected_seconds(self, sizes: Sequence[int]) -> dict[int, float]:
        """Return by size how long its missing runs take, in wall time, from a few timed steps."""
        plan = self.make_plan(self.specs(sizes))
        num_workers = len(share(self.workers, None, None))
        timed = estimate_seconds(
            plan,
            stored_runs(plan, self.store).missing.values(),
            workers=num_workers,
            on_kind=lambda kind: self.on_note(f"timing {kind}"),
        )
        seconds = {}
        for size in sizes:
            runs = (timed.run_seconds.get(spec.key(), 0.0) for spec in self.specs([size]))
            seconds[size] = _START_SECONDS + sum(runs) / num_workers
        return seconds

    def _first_sizes(self, sizes: list[int], expected: dict[int, float]) -> list[int]:
        """Return the sizes to start with: four, or as many as take up to 40 % of the time."""
        number = _FEWEST_SIZES
        while number < len(sizes):
            if sum(expected[size] for size in sizes[: number + 1]) >= _SLACK / 2 * self.seconds:
                break
            number += 1
        total = sum(expected[size] for size in sizes[:number])
        if total > self.seconds:
            raise LawError(
                f"{self.seconds / 60:g} minutes are too few for a pilot; the smallest takes about "
                f"{math.ceil(total / 60)}"
            )
        return sizes[:number]

    def _do(self, sizes: Sequence[int]) -> list[RunRecord]:
        """Do the runs of these sizes that the store lacks, and return the records of all."""
        specs = self.specs(sizes)
        result = run_sweep(
            self.make_plan(specs),
            self.store,
            workers=self.workers,
            cluster=self.cluster,
            keep_weights=False,
            on_progress=self.on_progress,
        )
        if result.interrupted:
            raise Interrupted("the same command goes on with what is left of the pilot")
        return [record for spec in specs if (record := self.store.get(spec.key())) is not None]
