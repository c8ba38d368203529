"""`make full-scale`: what the paper's own scale takes on GPUs, figure by figure, from costs measured on this machine.

Counted: runs, steps and images from the figures' own specs; operations and multiplications of a step. Measured: a
step and the making of a batch, on one core; what is in results/loader.json and results/engines.json. Assumed, and to
be set by options: how fast a GPU is, what a launch takes, what an hour costs.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from loader import machine
from PIL import Image
from readme import ROOT, write_results, write_table
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

import dilute
from dilute.data import LabelledSet, Reading
from dilute.dilution import DilutedSet, Visits
from dilute.dilution.blocks import draw_labels, label_dtype
from dilute.models import build
from dilute.paper import FIGURES
from dilute.pilot import step_seconds
from dilute.runs import RunRecord, RunSpec, scaled_model
from dilute.sweeps.planned import Source, evaluated_images, planned_steps
from dilute.training.batches import batches

SOURCES = {
    "mnist": Source("mnist", Reading(), 60_000, 10_000),
    "cifar10": Source("cifar10", Reading(), 50_000, 10_000),
    "cifar100": Source("cifar100", Reading(), 50_000, 10_000),
    "imagenet": Source("imagenet", Reading(resize=224, stream=True), 1_281_167, 50_000),
}
SHAPES = {"mnist": (1, 28, 28), "cifar10": (3, 32, 32), "imagenet": (3, 224, 224)}
CLASSES = {"mnist": 10, "cifar10": 10, "imagenet": 1000}
CLUSTERS = (1, 8, 64)  # GPUs
SHARING = 4  # runs on a GPU at once, where launches and not arithmetic are the limit
TIMED_SECONDS = 3.0
TIMED_IMAGES = {"imagenet": 32}  # at most so many images a batch where a step is timed
JPEG_BYTES = (
    110e3  # an image of ImageNet's training set, on average: 1,281,167 take 138 GiB unpacked
)
BILLION, COPIES, SHARD = 10**9, 100, 10_000
TRAINING_OVER_JUDGING = 3  # a backward pass costs two forward passes

KIND = ("data", "model", "batch_size", "optimizer")
Kind = tuple[str, str, int, str]


@dataclass(frozen=True)
class Unit:
    """What a step of one kind of run costs.

    Attributes:
        flops: of forward and backward pass, a multiplication and an addition being two.
        operations: that the host sends to the device.
        batch_seconds: of making the batch, on one core here; 0 where workers make it ahead.
        core_seconds: of the whole step on one core here.
    """

    flops: float
    operations: int
    batch_seconds: float
    core_seconds: float


@dataclass(frozen=True)
class Assumed:
    """What was not measured here."""

    gpu_images_per_second: float
    launch_seconds: float
    dollars_per_gpu_hour: float


class CountOperations(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))


def kind_of(spec: RunSpec) -> Kind:
    return spec.data, spec.model, spec.batch_size, spec.optimizer


def specs_of(name: str) -> list[RunSpec]:
    """Return the figure's runs; where they follow from a reference's confusions, any will do for counting."""
    figure = FIGURES[name]
    references = figure.references("paper")
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
    return [*references, *figure.specs("paper", made_up)]


def images_of(data: str, count: int) -> LabelledSet:
    """Return random images in the shape of a data set's: what they show costs no time."""
    generator = np.random.default_rng(0)
    inputs = generator.integers(0, 256, (count, *SHAPES[data]), np.uint8)
    labels = np.arange(count) % min(CLASSES[data], count)
    names = tuple(f"{label}" for label in range(min(CLASSES[data], count)))
    return LabelledSet(inputs, labels.astype(np.int64), names, name=data)


def count_step(spec: RunSpec) -> tuple[float, int]:
    """Return flops per image, and operations per step, of a step with a batch of two."""
    model = build(spec.model, SHAPES[spec.data], CLASSES[spec.data])
    optimizer = spec.make_optimizer(model.parameters())
    for group in optimizer.param_groups:
        group["foreach"] = True  # as on a GPU
    images, labels = torch.randn(2, *SHAPES[spec.data]), torch.zeros(2, dtype=torch.long)

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    step()
    with FlopCounterMode(display=False) as flops:
        step()
    with CountOperations() as operations:
        step()
    return flops.get_total_flops() / 2, operations.count


def measure_unit(kind: Kind, spec: RunSpec) -> Unit:
    data, model_name, batch_size, _ = kind
    flops, operations = count_step(spec)
    is_streamed = SOURCES[data].reading.stream
    timed = min(batch_size, TIMED_IMAGES.get(data, batch_size))
    noisy = DilutedSet(images_of(data, max(2000 if not is_streamed else 64, 2 * timed)), 10)
    recipe = spec.model_copy(
        update={
            "budget_steps": 500,
            "budget_epochs": None,
            "curve_points": 1,
            "batch_size": timed,
            "augment": None,
        }
    )
    model = scaled_model(model_name, noisy.clean)
    model = model.to(memory_format=torch.channels_last)
    device = torch.device("cpu")
    seconds = step_seconds(model, noisy, recipe, device, most_seconds=TIMED_SECONDS)
    made = 0.0
    if not is_streamed:
        clock = [time.perf_counter()]
        for _ in batches(Visits(noisy, spec.copies, 0), batch_size, 0, 100):
            clock.append(time.perf_counter())
        made = statistics.median(b - a for a, b in pairwise(clock))
    return Unit(batch_size * flops, operations, made, seconds * batch_size / timed)


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
    steps = planned_steps(spec, SOURCES)
    # A step that judges sends a forward pass alone.
    judged = evaluated_images(spec, SOURCES) / spec.batch_size / TRAINING_OVER_JUDGING
    worth = steps + judged
    return Cost(
        steps * spec.batch_size,
        worth * unit.core_seconds,
        worth * (unit.batch_seconds + unit.operations * launch),
        worth * unit.flops / flops_per_second,
    )


def figures(units: dict[Kind, Unit], assumed: Assumed) -> list[dict[str, Any]]:
    """Return a row per figure, each run counted with the first figure that it is in."""
    reference = next(unit for kind, unit in units.items() if kind[:2] == ("imagenet", "resnet18"))
    batch_size = next(kind[2] for kind in units if kind[0] == "imagenet")
    flops_per_second = reference.flops / batch_size * assumed.gpu_images_per_second
    rows, seen = [], set()
    for name, figure in FIGURES.items():
        if not figure.in_all:
            continue
        new = {spec.key(): spec for spec in specs_of(name)}
        new = {key: spec for key, spec in new.items() if key not in seen}
        seen |= set(new)
        costs = [
            cost_of(spec, units[kind_of(spec)], flops_per_second, assumed.launch_seconds)
            for spec in new.values()
        ]
        if not costs:
            continue
        is_streamed = any(SOURCES[spec.data].reading.stream for spec in new.values())
        ways = [1, SHARING]
        totals = {way: sum(cost.share(way) for cost in costs) for way in ways}
        longest = {way: max(cost.wall(way) for cost in costs) for way in ways}
        hours = {
            hours_on(size): min(max(totals[way] / size, longest[way]) for way in ways) / 3600
            for size in CLUSTERS
        }
        rows.append(
            {
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
        )
    return rows


def limit(costs: Sequence[Cost], sharing: int) -> str:
    """Return what most of the runs' time is for."""
    host = sum(cost.share(sharing) for cost in costs if cost.waits_for_host(sharing))
    return "host" if host > sum(cost.share(sharing) for cost in costs) / 2 else "arithmetic"


def hours_on(gpus: int) -> str:
    return f"hours_on_{gpus}"


def labels_per_second(num_classes: int, start: int) -> float:
    """Return how many labels a core draws for a shard of images that begins at number `start`."""
    images = np.arange(start, start + SHARD)
    out = np.empty((SHARD, COPIES), label_dtype(num_classes))
    matrix = np.full((num_classes, num_classes), 1 / num_classes)
    started = time.perf_counter()
    draw_labels(out, images % num_classes, images, matrix, seed=0)
    seconds = time.perf_counter() - started
    part = np.empty((10, COPIES), out.dtype)
    draw_labels(part, images[-10:] % num_classes, images[-10:], matrix, seed=0)
    assert np.array_equal(part, out[-10:]), "labels depend on which others are drawn"
    return out.size / seconds


def bytes_per_image() -> float:
    """Return what the index of shards and the own labels take in memory, per image of a streamed set."""
    count = 4000
    with tempfile.TemporaryDirectory() as folder:
        for first in range(0, count, 1000):
            _write_shard(Path(folder) / f"train-{first:05}.tar", range(first, first + 1000))
        train = dilute.load(f"shards:{folder}", Reading(resize=8)).train
        noisy = DilutedSet(train, 0)
        places = train.inputs.places  # type: ignore[union-attr]
        arrays: list[Any] = [places.file_of, places.offsets, places.sizes, places.members]
        block = noisy.blocks[0]
        arrays += [train.labels, block.rows, block.is_own, block.law_of]
        return sum(array.nbytes for array in arrays) / len(train)


def _write_shard(path: Path, numbers: range) -> None:
    content = io.BytesIO()
    Image.new("RGB", (8, 8)).save(content, "JPEG")
    with tarfile.open(path, "w") as archive:
        for number in numbers:
            for kind, data in (("jpg", content.getvalue()), ("cls", b"%d" % (number % 10))):
                member = tarfile.TarInfo(f"{number:09}.{kind}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))


def cores_per_gpu(images_per_second: float) -> float:
    loader = json.loads((ROOT / "results" / "loader.json").read_text())
    one_worker = [row for row in loader["speed"]["photographs"]["rows"] if row["workers"] == 1]
    return images_per_second / statistics.median(one_worker[0]["ours"])


def figure_table(results: dict[str, Any]) -> str:
    assumed, rows = results["assumed"], results["figures"]
    larger = [size for size in CLUSTERS if size > 1]
    names = ["images", "core_hours_here", "alone_gpu_hours", "shared_gpu_hours"]
    names += ["longest_run_hours", *map(hours_on, larger), "dollars"]
    sums = {name: sum(row[name] for row in rows) for name in names}
    sums["longest_run_hours"] = max(row["longest_run_hours"] for row in rows)
    for size in larger:
        total = sum(min(row["alone_gpu_hours"], row["shared_gpu_hours"]) for row in rows)
        sums[hours_on(size)] = max(total / size, sums["longest_run_hours"])
    whole = {"figure": "all", "runs": sum(row["runs"] for row in rows), **sums}
    lines = [
        "| figure | runs | images, millions | core hours here | GPU hours, a run at a time | limit | "
        f"GPU hours, {SHARING} at a time | limit | longest run, hours | "
        f"{' | '.join(f'{size} GPUs, hours' for size in larger)} | cost, $ |",
        "|" + " --- |" * (10 + len(larger)),
    ]
    for row in [*rows, whole]:
        hours = [row[hours_on(size)] for size in larger]
        cells = [
            row["figure"],
            f"{row['runs']:,}",
            amount(row["images"] / 1e6),
            amount(row["core_hours_here"]),
            amount(row["alone_gpu_hours"]),
            row.get("alone_limit", ""),
            amount(row["shared_gpu_hours"]),
            row.get("shared_limit", ""),
            *map(amount, [row["longest_run_hours"], *hours, row["dollars"]]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        f"Assumed: a GPU trains ResNet-18 at 224 pixels at {assumed['gpu_images_per_second']:,.0f} images/s, which is "
        f"{results['gpu_teraflops']:.0f} teraflop/s, and does everything else at as many; an operation takes "
        f"{1e6 * assumed['launch_seconds']:.0f} µs to launch; a GPU hour costs {assumed['dollars_per_gpu_hour']:g} $. "
        f"At that rate a GPU that streams photographs keeps {results['cores_per_gpu']:.1f} cores decoding. Counted, and "
        f"measured on one core of {results['machine']}.",
    ]
    return "\n".join(lines)


def unit_table(results: dict[str, Any]) -> str:
    lines = [
        "| data, model | batch | gigaflop | operations | ms to make the batch | images/s of a core here |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in results["units"]:
        unit = row["unit"]
        made = f"{1000 * unit['batch_seconds']:.2f}" if unit["batch_seconds"] else "by workers"
        lines.append(
            f"| {row['data']}, {row['model']}, {row['optimizer']} | {row['batch_size']} | {rounded(unit['flops'] / 1e9)} | "
            f"{unit['operations']} | {made} | {row['batch_size'] / unit['core_seconds']:,.0f} |"
        )
    return "\n".join(lines)


def billion_table(results: dict[str, Any]) -> str:
    found, rate = results["billion"], results["assumed"]["gpu_images_per_second"]
    labels = BILLION * (1 + COPIES)
    width = label_dtype(1000).itemsize
    hours = BILLION / rate / 3600
    drawing = BILLION * COPIES / found["labels_per_second"] / 3600
    rows: Sequence[tuple[str, str]] = [
        ("labels", f"{labels / 1e9:,.0f} billion"),
        ("a table of them, 1,000 classes", f"{labels * width / 2**30:,.0f} GiB"),
        (
            f"the table of one shard of {SHARD:,} images",
            f"{SHARD * (1 + COPIES) * width / 2**20:.1f} MiB",
        ),
        ("drawing labels, per core", f"{found['labels_per_second'] / 1e6:,.0f} million/s"),
        (
            "drawing one shard's labels anew",
            f"{SHARD * COPIES / found['labels_per_second']:.2f} s of a core",
        ),
        ("drawing all of them", f"{drawing:.1f} core hours"),
        (
            "index and own labels in memory, as they are now",
            f"{found['bytes_per_image']:.0f} bytes an image: {found['bytes_per_image'] * BILLION / 2**30:,.0f} GiB",
        ),
        ("images, at ImageNet's size", f"{JPEG_BYTES * BILLION / 1e12:,.0f} TB"),
        ("reading, per GPU", f"{JPEG_BYTES * rate / 1e6:,.0f} MB/s"),
        ("decoding, per GPU", f"{results['cores_per_gpu']:.1f} cores"),
        ("one pass, all labels of an image in one visit", f"{hours:,.0f} GPU hours"),
        ("one pass, single labels", f"{hours * (1 + COPIES):,.0f} GPU hours"),
    ]
    return "\n".join(
        ["| alpha = 100, a billion images | |", "| --- | --- |"]
        + [f"| {name} | {value} |" for name, value in rows]
    )


def amount(value: float) -> str:
    return rounded(value) if value >= 0.01 else "< 0.01"


def rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def needed_kinds() -> Iterator[tuple[Kind, RunSpec]]:
    found: dict[Kind, RunSpec] = {}
    for name, figure in FIGURES.items():
        if figure.in_all:
            for spec in specs_of(name):
                found.setdefault(kind_of(spec), spec)
    yield from sorted(found.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpu-images-per-second", type=float, default=3000)
    parser.add_argument("--launch-microseconds", type=float, default=10)
    parser.add_argument("--dollars-per-gpu-hour", type=float, default=2)
    parser.add_argument("--dry", action="store_true", help="print the tables and write no file")
    given = parser.parse_args()
    torch.set_num_threads(1)
    assumed = Assumed(
        given.gpu_images_per_second, given.launch_microseconds / 1e6, given.dollars_per_gpu_hour
    )
    units = {kind: measure_unit(kind, spec) for kind, spec in needed_kinds()}
    imagenet = next(kind for kind in units if kind[:2] == ("imagenet", "resnet18"))
    results = {
        "assumed": asdict(assumed),
        "gpu_teraflops": units[imagenet].flops / imagenet[2] * assumed.gpu_images_per_second / 1e12,
        "cores_per_gpu": cores_per_gpu(assumed.gpu_images_per_second),
        "units": [
            {**dict(zip(KIND, kind, strict=True)), "unit": asdict(unit)}
            for kind, unit in units.items()
        ],
        "figures": figures(units, assumed),
        "billion": {
            "labels_per_second": labels_per_second(1000, BILLION - SHARD),
            "bytes_per_image": bytes_per_image(),
        },
        "machine": machine(),
    }
    tables = {
        "figures": figure_table(results),
        "units": unit_table(results),
        "billion": billion_table(results),
    }
    print("\n\n".join(tables.values()))
    if given.dry:
        return
    write_results("full-scale", results)
    for name, text in tables.items():
        write_table(name, text, command="make full-scale", path=ROOT / "docs" / "full-scale.md")


if __name__ == "__main__":
    main()
