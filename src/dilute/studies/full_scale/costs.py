"""What the runs of the paper's own scale cost, figure by figure, from what a step costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dilute.runs import RunRecord, RunSpec
from dilute.studies import noise_scale
from dilute.studies.full_scale.step_costs import SOURCES, Kind, Unit, kind_of
from dilute.studies.paper import FIGURES
from dilute.study import Study
from dilute.sweeps.planned import evaluated_images, planned_steps

COUNTED = (*FIGURES.values(), noise_scale.STUDY)
CLUSTERS = (1, 8, 64)  # GPUs
SHARING = 4  # runs on a GPU at once, where launches and not arithmetic are the limit
TRAINING_OVER_EVALUATION = 3  # a backward pass costs two forward passes


@dataclass(frozen=True)
class Assumed:
    """What is not measured here.

    Attributes:
        gpu_images_per_second: at which a GPU trains ResNet-18 at 224 pixels.
        launch_seconds: to send an operation to a GPU.
        dollars_per_gpu_hour: the price.
    """

    gpu_images_per_second: float = 3000.0
    launch_seconds: float = 10 / 1e6
    dollars_per_gpu_hour: float = 2.0


def specs_of(study: Study) -> list[RunSpec]:
    """Return the study's runs at the paper's scale.

    Where they follow from a reference's confusions, any confusions will do for counting.
    """
    references = study.references("paper")
    made_up = [
        RunRecord(
            key=spec.key(),
            status="done",
            spec=spec.canonical(),
            heldout_confusion=(np.eye(10, dtype=int) * 90 + 10 - np.eye(10, dtype=int)).tolist(),
            seconds=1.0,
            code="made up",
            started="2000-01-01T00:00:00+00:00",
        )
        for spec in references
    ]
    return [*references, *study.runs("paper", made_up)]


@dataclass(frozen=True)
class Cost:
    """What one run costs, seconds.

    Attributes:
        images: that it trains on, copies counted.
        core: on one core here.
        host: of the process that feeds a GPU.
        gpu: of the GPU's arithmetic.
    """

    images: int
    core: float
    host: float
    gpu: float

    def wall(self, sharing: int) -> float:
        """Return how long it takes on a GPU that `sharing` runs like it are on."""
        return max(self.host, sharing * self.gpu)

    def share(self, sharing: int) -> float:
        """Return its part of that GPU's time."""
        return self.wall(sharing) / sharing

    def waits_for_host(self, sharing: int) -> bool:
        """Return whether feeding the GPU decides."""
        return self.host > sharing * self.gpu


def cost_of(spec: RunSpec, unit: Unit, flops_per_second: float, launch: float) -> Cost:
    """Return what a run costs.

    Arguments:
        unit: what one of its steps costs.
        flops_per_second: of a GPU.
        launch: seconds to send an operation to it.
    """
    steps = planned_steps(spec, SOURCES)
    # A step that evaluates sends a forward pass alone.
    evaluated = evaluated_images(spec, SOURCES) / spec.batch_size / TRAINING_OVER_EVALUATION
    in_all = steps + evaluated
    return Cost(
        steps * spec.batch_size,
        in_all * unit.core_seconds,
        in_all * (unit.batch_seconds + unit.operations * launch),
        in_all * unit.flops / flops_per_second,
    )


def figures(
    units: Mapping[Kind, Unit], assumed: Assumed, studies: Sequence[Study] = COUNTED
) -> list[dict[str, Any]]:
    """Return a row per figure, each run counted with the first figure that it is in."""
    reference = next(unit for kind, unit in units.items() if kind[:2] == ("imagenet", "resnet18"))
    batch_size = next(kind[2] for kind in units if kind[0] == "imagenet")
    flops_per_second = reference.flops / batch_size * assumed.gpu_images_per_second
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    for study in studies:
        specs = {spec.key(): spec for spec in specs_of(study)}
        new = [spec for key, spec in specs.items() if key not in seen]
        seen |= set(specs)
        costs = [
            cost_of(spec, units[kind_of(spec)], flops_per_second, assumed.launch_seconds)
            for spec in new
        ]
        if costs:
            is_streamed = any(SOURCES[spec.data].reading.stream for spec in new)
            rows.append(_row(study.name, costs, is_streamed, assumed))
    return rows


def _row(name: str, costs: Sequence[Cost], is_streamed: bool, assumed: Assumed) -> dict[str, Any]:
    """Return what the runs of one figure cost in all."""
    ways = [1, SHARING]
    totals = {way: sum(cost.share(way) for cost in costs) for way in ways}
    longest = {way: max(cost.wall(way) for cost in costs) for way in ways}
    hours = {
        hours_on(size): min(max(totals[way] / size, longest[way]) for way in ways) / 3600
        for size in CLUSTERS
    }
    return {
        "figure": name,
        "runs": len(costs),
        "images": sum(cost.images for cost in costs),
        "core_hours_here": sum(cost.core for cost in costs) / 3600,
        "alone_gpu_hours": totals[1] / 3600,
        "alone_limit": "decoding" if is_streamed else limit(costs, 1),
        "shared_gpu_hours": totals[SHARING] / 3600,
        "shared_limit": "decoding" if is_streamed else limit(costs, SHARING),
        "longest_run_hours": longest[1] / 3600,
        **hours,
        "dollars": min(totals.values()) / 3600 * assumed.dollars_per_gpu_hour,
    }


def limit(costs: Sequence[Cost], sharing: int) -> str:
    """Return what most of the runs' time is for."""
    host = sum(cost.share(sharing) for cost in costs if cost.waits_for_host(sharing))
    return "host" if host > sum(cost.share(sharing) for cost in costs) / 2 else "arithmetic"


def hours_on(gpus: int) -> str:
    """Return the column's name of the hours on so many GPUs."""
    return f"hours_on_{gpus}"


def kinds_of(studies: Sequence[Study]) -> dict[Kind, RunSpec]:
    """Return the kinds of runs in the studies, sorted, with a run of each."""
    found: dict[Kind, RunSpec] = {}
    for study in studies:
        for spec in specs_of(study):
            found.setdefault(kind_of(spec), spec)
    return dict(sorted(found.items()))
