"""What one step costs: counted, and timed on one core of this machine."""

from __future__ import annotations

import io
import statistics
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

import dilute.data
from dilute.data import LabelledSet, Reading
from dilute.dilution import DilutedSet, Visits
from dilute.dilution.blocks import draw_labels, label_dtype
from dilute.models import build
from dilute.runs import RunSpec, scaled_model
from dilute.sweeps.planned import Source
from dilute.training import step_seconds
from dilute.training.batches import batches

SOURCES = {
    "mnist": Source("mnist", Reading(), 60_000, 10_000),
    "cifar10": Source("cifar10", Reading(), 50_000, 10_000),
    "cifar100": Source("cifar100", Reading(), 50_000, 10_000),
    "imagenet": Source("imagenet", Reading(resize=224, stream=True), 1_281_167, 50_000),
}
SHAPES = {"mnist": (1, 28, 28), "cifar10": (3, 32, 32), "imagenet": (3, 224, 224)}
CLASSES = {"mnist": 10, "cifar10": 10, "imagenet": 1000}
TIMED_IMAGES = {"imagenet": 32}  # at most so many images a batch where a step is timed
COPIES, SHARD = 100, 10_000
_PHOTOGRAPH, _SIDE = (500, 375), 224

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


class CountOperations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Count the operations that are sent to a device, inside this context."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count an operation that is no mere view, and do it."""
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))


def kind_of(spec: RunSpec) -> Kind:
    """Return what the cost of a step depends on."""
    return spec.data, spec.model, spec.batch_size, spec.optimizer


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
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    step()
    with FlopCounterMode(display=False) as flops:
        step()
    with CountOperations() as operations:
        step()
    return flops.get_total_flops() / 2, operations.count


def measure_unit(kind: Kind, spec: RunSpec, most_seconds: float) -> Unit:
    """Return what a step of a kind of run costs.

    Arguments:
        spec: a run of the kind.
        most_seconds: how long to time steps.
    """
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
    seconds = step_seconds(model, noisy, recipe, device, most_seconds=most_seconds)
    made = 0.0
    if not is_streamed:
        made = statistics.median(_times(batches(Visits(noisy, spec.copies, 0), batch_size, 0, 100)))
    return Unit(batch_size * flops, operations, made, seconds * batch_size / timed)


def _times(made: Iterable[Any]) -> list[float]:
    """Return how many seconds each of the batches took to make."""
    clock = [time.perf_counter()]
    for _ in made:
        clock.append(time.perf_counter())
    return [after - before for before, after in pairwise(clock)]


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
    """Return what index and own labels of a streamed set take in memory, per image."""
    content = _jpeg(Image.new("RGB", (8, 8)))
    with _streamed([content] * 4000, side=8) as train:
        noisy = DilutedSet(train, 0)
        places = train.inputs.places  # type: ignore[union-attr]
        arrays: list[Any] = [places.file_of, places.offsets, places.sizes, places.members]
        block = noisy.blocks[0]
        arrays += [train.labels, block.rows, block.is_own, block.law_of]
        return float(sum(array.nbytes for array in arrays) / len(train))


def photographs_per_second(count: int) -> float:
    """Return how many photographs a core decodes and crops for training, median of batches.

    Arguments:
        count: how many batches of 64 are timed.
    """
    generator = np.random.default_rng(0)
    blots = Image.fromarray(generator.integers(0, 256, (6, 8, 3), np.uint8)).resize(_PHOTOGRAPH)
    grain = generator.normal(0, 12, (_PHOTOGRAPH[1], _PHOTOGRAPH[0], 1))
    pixels = np.clip(np.asarray(blots) + grain, 0, 255).astype(np.uint8)
    with _streamed([_jpeg(Image.fromarray(pixels))] * 200, side=_SIDE) as train:
        visits = Visits(DilutedSet(train, 5), 1, 0, "crop_flip")
        times = _times(islice(batches(visits, 64, 0, 10**6), count))
    return 64 / statistics.median(times)


def _jpeg(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=85)
    return content.getvalue()


@contextmanager
def _streamed(images: Sequence[bytes], side: int) -> Iterator[LabelledSet]:
    """Yield the images as a streamed set of ten classes, a thousand a tar file."""
    with tempfile.TemporaryDirectory() as folder:
        for first in range(0, len(images), 1000):
            with tarfile.open(Path(folder) / f"train-{first:05}.tar", "w") as archive:
                for number, image in enumerate(images[first : first + 1000], first):
                    for kind, data in (("jpg", image), ("cls", b"%d" % (number % 10))):
                        member = tarfile.TarInfo(f"{number:09}.{kind}")
                        member.size = len(data)
                        archive.addfile(member, io.BytesIO(data))
        yield dilute.data.load(f"shards:{folder}", Reading(resize=side)).train
