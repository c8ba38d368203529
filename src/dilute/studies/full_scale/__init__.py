"""What the paper's own scale takes on GPUs, figure by figure, from costs measured on this machine.

Counted: runs, steps and images from the figures' own specs; operations and multiplications of a
step. Measured: a step and the making of a batch, on one core; decoding. Assumed: how fast a GPU is,
what a launch takes, what an hour costs (`Assumed`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import torch

from dilute.data import Reading
from dilute.environment import hardware, versions
from dilute.studies.full_scale import tables
from dilute.studies.full_scale.costs import COUNTED, Assumed, figures, kinds_of
from dilute.studies.full_scale.step_costs import (
    KIND,
    SHARD,
    Kind,
    Unit,
    bytes_per_image,
    labels_per_second,
    measure_unit,
    photographs_per_second,
)
from dilute.study import Scale, Study

_TIMED_SECONDS = 3.0
_OF_SMOKE = ("fig1", "fig3")


def measure(scale: Scale, reading: Reading) -> dict[str, Any]:
    """Return what steps cost on one core of this machine, and what follows for the figures."""
    is_smoke = scale == "smoke"
    studies = [one for one in COUNTED if not is_smoke or one.name in _OF_SMOKE]
    seconds = 0.0 if is_smoke else _TIMED_SECONDS
    with _one_thread():
        units = {
            kind: measure_unit(kind, spec, seconds) for kind, spec in kinds_of(studies).items()
        }
        photographs = photographs_per_second(1 if is_smoke else 10)
        billion = {
            "labels_per_second": labels_per_second(1000, tables.BILLION - SHARD),
            "bytes_per_image": bytes_per_image(),
        }
    rates = {"photographs_per_second": photographs, "billion": billion, "machine": _machine()}
    return {**_priced(units, Assumed(), photographs, studies), **rates}


def with_assumed(measured: Mapping[str, Any], assumed: Assumed) -> dict[str, Any]:
    """Return what was measured, with other assumptions on the GPU."""
    units = {
        (row["data"], row["model"], row["batch_size"], row["optimizer"]): Unit(**row["unit"])
        for row in measured["units"]
    }
    photographs = measured["assumed"]["gpu_images_per_second"] / measured["cores_per_gpu"]
    return {**measured, **_priced(units, assumed, photographs, COUNTED)}


def _priced(
    units: Mapping[Kind, Unit], assumed: Assumed, photographs: float, studies: Any
) -> dict[str, Any]:
    imagenet = next(kind for kind in units if kind[:2] == ("imagenet", "resnet18"))
    flops = units[imagenet].flops / imagenet[2]
    return {
        "assumed": asdict(assumed),
        "gpu_teraflops": flops * assumed.gpu_images_per_second / 1e12,
        "cores_per_gpu": assumed.gpu_images_per_second / photographs,
        "units": [
            {**dict(zip(KIND, kind, strict=True)), "unit": asdict(unit)}
            for kind, unit in units.items()
        ],
        "figures": figures(units, assumed, studies),
    }


def _machine() -> str:
    found = hardware(torch.device("cpu"))
    return f"{found['processor']}, {found['cores']} cores; PyTorch {versions()['torch']}"


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def page_tables(measured: Mapping[str, Any]) -> dict[str, str]:
    """Return the tables in Markdown: of figures, of steps, of a billion images."""
    return {
        "figures": tables.figure_table(measured),
        "units": tables.unit_table(measured),
        "billion": tables.billion_table(measured),
    }


def summary(measured: Any, scale: Scale) -> str:
    """Return all three tables."""
    return "\n\n".join(page_tables(measured).values())


STUDY = Study(
    name="full-scale",
    title="What the paper's own scale takes on GPUs",
    source="Ours.",
    notes={
        "smoke": "Two figures, and steps timed once.",
        "laptop": "All figures; steps timed on one core.",
        "paper": "As on a laptop.",
    },
    measure=measure,
    summary=summary,
)
