"""How long runs take: measured by a few steps before a sweep, and by its runs during it."""

from __future__ import annotations

import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from dilute.dilution import DilutedSet, ReplacedSet
from dilute.environment import choose_device
from dilute.errors import DiluteError, one_line
from dilute.runs import RunRecord, RunSpec, fresh_model
from dilute.sweeps.planned import Plan, evaluated_images, planned_steps
from dilute.training import evaluate, step_seconds

_MOST_SECONDS = 1.0
_IMAGES = 2000
_EVALUATED_IMAGES = 500
_MOST_STEPS = 50


@dataclass(frozen=True)
class Rate:
    """How fast a model trains and is evaluated here, seconds."""

    per_step: float
    per_evaluated_image: float


@dataclass(frozen=True)
class TimeEstimate:
    """How long runs will take.

    Attributes:
        seconds: until the last is done, with all workers at work.
        run_seconds: of each run by key, on one worker; without those whose model raised.
    """

    seconds: float
    run_seconds: Mapping[str, float]


def estimate_seconds(
    plan: Plan,
    specs: Iterable[RunSpec],
    *,
    workers: int = 1,
    threads: int = 1,
    device: str | None = None,
    on_kind: Callable[[str], object] = lambda text: None,
) -> TimeEstimate:
    """Return how long `specs` will take, measured for each (data, model, batch size) by some steps.

    A measurement takes about two seconds. One process measures alone, so that workers which share
    the memory's bandwidth may be slower. Reading data, drawing labels and starting workers are not
    in it.

    Arguments:
        plan: that the specs are of.
        workers, threads, device: as for `run_sweep`.
        on_kind: called with what is measured next, and with what failed.

    Sets this process's number of threads.
    """
    specs = list(specs)
    torch.set_num_threads(threads)
    rates: dict[tuple[str, str, int], Rate | None] = {}
    seconds = {}
    for spec in sorted(specs, key=lambda spec: spec.data):
        kind = (spec.data, spec.model, spec.batch_size)
        if kind not in rates:
            on_kind(f"{spec.model} on {spec.data}, batches of {spec.batch_size}")
            try:
                rates[kind] = measure(plan, spec, choose_device(device))
            except DiluteError:
                raise
            except Exception as error:  # the model may be the user's, and raise whatever it likes
                reason = one_line(error)
                on_kind(f"{spec.model}, which failed and has no estimate ({reason})")
                rates[kind] = None
        rate = rates[kind]
        if rate is None:
            continue
        seconds[spec.key()] = (
            planned_steps(spec, plan.sources) * rate.per_step
            + evaluated_images(spec, plan.sources) * rate.per_evaluated_image
        )
    total = sum(seconds.values()) / max(1, min(workers, len(specs)))
    return TimeEstimate(max(total, max(seconds.values(), default=0.0)), seconds)


def measure(plan: Plan, spec: RunSpec, device: torch.device) -> Rate:
    """Return how fast a run like `spec` goes on `device`, measured on some of its data.

    The time of a step is the median, without the first one.
    """
    clean = plan.sources[spec.data].load().train
    rows = np.arange(min(_IMAGES, len(clean)))
    noisy = (
        DilutedSet(clean, spec.alpha, spec.noise, rows=rows)
        if spec.alpha is not None
        else ReplacedSet(clean, spec.rate or 0.0, spec.noise, rows=rows)
    )
    recipe = spec.model_copy(
        update={"budget_steps": _MOST_STEPS, "budget_epochs": None, "budget_examples": None}
        | {"curve_points": 1}
    )
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        model = fresh_model(spec.model, noisy, spec.seed, device)
        per_step = step_seconds(
            model, noisy, recipe, device, seed=spec.seed, most_seconds=_MOST_SECONDS
        )
        seen = DilutedSet(clean, 0.0, rows=rows[:_EVALUATED_IMAGES])
        started = time.perf_counter()
        evaluate(model, seen, device)
        evaluating = time.perf_counter() - started
    return Rate(per_step, evaluating / len(seen))


class Outlook:
    """What is left of a sweep in seconds, by the rates of the runs so far, for each model.

    Arguments:
        plan: the sweep.
        specs: the runs that are to be done, by key.
        workers: how many go on at once.
    """

    def __init__(self, plan: Plan, specs: Mapping[str, RunSpec], workers: int) -> None:
        self._workers = max(1, workers)
        self._kinds = {key: (spec.data, spec.model) for key, spec in specs.items()}
        self._images = {
            key: planned_steps(spec, plan.sources) * spec.batch_size for key, spec in specs.items()
        }
        self._left: Counter[tuple[str, str]] = Counter()
        for key, images in self._images.items():
            self._left[self._kinds[key]] += images
        self._done_seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._done_images: Counter[tuple[str, str]] = Counter()

    def end(self, key: str, record: RunRecord | None) -> None:
        """Note that a run is done or given up; its record, if it has one, says how fast it went."""
        kind = self._kinds[key]
        self._left[kind] -= self._images[key]
        if record is not None and record.images:
            self._done_images[kind] += record.images
            self._done_seconds[kind] += record.seconds

    def seconds(self, running: Mapping[str, tuple[float, float]]) -> float | None:
        """Return the seconds that are left, or None before anything is known.

        Arguments:
            running: by key, the share that is done (0 to 1) and images per second.
        """
        rates: dict[tuple[str, str], float] = {
            kind: self._done_seconds[kind] / images for kind, images in self._done_images.items()
        }
        for key, (_, images_per_second) in running.items():
            if images_per_second > 0:
                rates.setdefault(self._kinds[key], 1 / images_per_second)
        if not rates:
            return None
        other = statistics.fmean(rates.values())
        total = sum(images * rates.get(kind, other) for kind, images in self._left.items())
        longest = 0.0
        for key, (share, _) in running.items():
            whole = self._images[key] * rates.get(self._kinds[key], other)
            total -= share * whole
            longest = max(longest, (1 - share) * whole)
        return max(total / self._workers, longest)
