"""A pilot: runs on small parts of the data, designed for a time limit, from which a law can be fitted."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dilute.data import AS_THEY_ARE, Reading, Splits
from dilute.errors import LawError
from dilute.interruption import Interrupted
from dilute.noise import NoisePattern, Structured, noise_rate
from dilute.planning.recipe import recipe
from dilute.runs import RunRecord, RunSpec, Store
from dilute.sweeps import Cluster, SweepProgress, estimate, make_plan, run_sweep, share, standing

_SMALLEST_PER_CLASS = 5
_SMALLEST = 50
_FEWEST_SIZES = 4
_MOST_ALPHA = 20.0
_SEEDS = 2
_JUDGES_FRACTION = 0.2
_SLACK = 0.8
_START_SECONDS = 3.0


def pilot_alphas(
    alphas: Sequence[float], noise: NoisePattern, num_classes: int
) -> tuple[float, ...]:
    """Return the amounts of noise that a pilot for `alphas` tries: none, and two that are evenly spaced in noise.

    They go up to the largest asked for, and not beyond 20, where small sets teach nothing.
    """
    most = min(max(alphas), _MOST_ALPHA) or 5.0
    least = num_classes * noise.delta if isinstance(noise, Structured) else 0.0
    if least > most:
        raise LawError(
            f"structured noise of delta {noise.delta:g} needs alpha ≥ {least:g}; ask for one of at least that"  # type: ignore[union-attr]
        )
    return tuple(sorted({0.0, max(least, math.sqrt(1 + most) - 1), most}))


def ladder(num_images: int, num_classes: int) -> list[int]:
    """Return the numbers of images that a pilot may try, ascending: from a few of each class to all, by factors of 2.

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
    noise: NoisePattern,
    alphas: Sequence[float],
    sizes: Sequence[int],
    *,
    is_replacement: bool = False,
    seed: int = 0,
) -> list[RunSpec]:
    """Return a run for each size and `alpha`, small ones first; two seeds of each.

    Without a test set a fifth of the images is held out, whose clean labels judge the last model.
    """
    judged: dict[str, Any] = {}
    if splits.test is None:
        judged = {"heldout_fraction": _JUDGES_FRACTION, "heldout_labels": "clean"}
    found = []
    for size in sizes:
        for alpha in alphas:
            amount = {"rate": noise_rate(alpha)} if is_replacement else {"alpha": alpha}
            found += [
                RunSpec(
                    data=splits.name,
                    model=model,
                    noise=noise,
                    num_clean=size,
                    seed=seed + repeat,
                    **amount,
                    **{**recipe(size, alpha), **judged},
                )
                for repeat in range(_SEEDS)
            ]
    return found


def run_pilot(
    data: str,
    splits: Splits,
    model: str,
    noise: NoisePattern,
    alphas: Sequence[float],
    store: Store,
    *,
    minutes: float,
    is_replacement: bool = False,
    workers: int | None = None,
    cluster: Cluster | None = None,
    seed: int = 0,
    reading: Reading = AS_THEY_ARE,
    on_progress: Callable[[SweepProgress], object] = lambda progress: None,
    on_note: Callable[[str], object] = lambda text: None,
) -> list[RunRecord]:
    """Do as large a pilot as fits the time, and return its records. What the store has is not run again.

    Arguments:
        data: what `dilute.data.load` read `splits` from, and reading: how.
        alphas: amounts of noise that a plan is wanted for.
        workers, cluster: as for `run_sweep`; the time is reckoned for so many workers, else for this machine's.
        minutes: for all of it that the store lacks; the sizes are chosen by it, from a few timed steps and then from the runs themselves.
        on_progress: told about once a second; on_note: told what was decided.

    Errors: `LawError` if the smallest pilot does not fit, or there are too few images; those of `run_sweep`.
    """
    ends = time.monotonic() + 60 * minutes
    tried = pilot_alphas(alphas, noise, splits.train.num_classes)
    most = len(splits.train)
    if splits.test is None:
        most = math.floor(most * (1 - _JUDGES_FRACTION))
    sizes = ladder(most, splits.train.num_classes)

    def specs_of(chosen: Sequence[int]) -> list[RunSpec]:
        return pilot_specs(
            splits, model, noise, tried, chosen, is_replacement=is_replacement, seed=seed
        )

    plan_options: dict[str, Any] = {
        "reading": reading,
        "sources": {splits.name: data},
    }
    num_workers = len(share(workers, None, None))

    def do(chosen: Sequence[int]) -> list[RunRecord]:
        specs = specs_of(chosen)
        result = run_sweep(
            specs,
            store,
            workers=workers,
            cluster=cluster,
            keep_weights=False,
            on_progress=on_progress,
            **plan_options,
        )
        if result.interrupted:
            raise Interrupted("the same command goes on with what is left of the pilot")
        return [record for spec in specs if (record := store.get(spec.key())) is not None]

    plan = make_plan(specs_of(sizes), **plan_options)
    timed = estimate(
        plan,
        standing(plan, store).missing.values(),
        workers=num_workers,
        on_kind=lambda kind: on_note(f"timing {kind}"),
    )
    seconds = {
        size: _wall_seconds(timed.run_seconds, specs_of([size]), num_workers) for size in sizes
    }
    first = sizes[:_FEWEST_SIZES]
    while (
        len(first) < len(sizes)
        and sum(seconds[s] for s in sizes[: len(first) + 1]) < _SLACK / 2 * 60 * minutes
    ):
        first = sizes[: len(first) + 1]
    if sum(seconds[size] for size in first) > 60 * minutes:
        raise LawError(
            f"{minutes:g} minutes are too few for a pilot; the smallest takes about "
            f"{math.ceil(sum(seconds[size] for size in first) / 60)}"
        )
    on_note(
        f"pilot: alpha {', '.join(f'{a:.3g}' for a in tried)}; {first[0]:,} to {first[-1]:,} images"
    )
    began = time.monotonic()
    records = do(first)
    # How much slower than the timed steps it went, workers' start and reading of data included.
    slower = max(1.0, (time.monotonic() - began) / sum(seconds[size] for size in first))
    for size in sizes[len(first) :]:
        if time.monotonic() + slower * seconds[size] > ends:
            on_note(
                f"{size:,} images would take {slower * seconds[size] / 60:.1f} minutes more and are left out"
            )
            break
        on_note(f"there is time for {size:,} images")
        records += do([size])
    return records


def _wall_seconds(
    run_seconds: Mapping[str, float], specs: Sequence[RunSpec], workers: int
) -> float:
    """Return how long these runs take, in wall time."""
    return _START_SECONDS + sum(run_seconds.get(spec.key(), 0.0) for spec in specs) / workers
