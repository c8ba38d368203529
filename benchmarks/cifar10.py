"""`make cifar10`: fastnet on CIFAR-10, beside a plain script of the same network and recipe.

Writes results/cifar10-speed.md. Every measurement in a process of its own, ours and theirs in turn.
Images are random, as speed does not depend on them. `--rounds 1` tries it out.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from report import ROOT, Rows, answer, measured_apart, measured_table, spread

from dilute.files import write_file

NUM_IMAGES, BATCH_SIZE = 5000, 250
SHAPE, NUM_CLASSES = (3, 32, 32), 10
PRECISIONS = ("float32", "bfloat16")
_MATRIX = 4096


def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (NUM_IMAGES, *SHAPE), np.uint8)


def usual_changes() -> Any:
    """Return torchvision's transforms of an image that `shift_flip` stands for."""
    from torchvision.transforms import v2

    crop = v2.RandomCrop(SHAPE[1:], padding=4, padding_mode="reflect")
    return v2.Compose([crop, v2.RandomHorizontalFlip()])


def seconds_of(action: Callable[[], object], repeats: int) -> float:
    """Return the least time of some repeats, after one that does not count."""
    action()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return min(times)


def augmentation() -> dict[str, float]:
    """Microseconds per image: ours on whole batches, torchvision's image by image."""
    import torch

    from dilute.data.augmentation import shift_flip_all

    images = pictures()[:BATCH_SIZE]
    words = np.random.default_rng(1).integers(0, 2**64, BATCH_SIZE, np.uint64)
    change, tensors = usual_changes(), torch.from_numpy(images)
    return {
        "ours": 1e6 / BATCH_SIZE * seconds_of(lambda: shift_flip_all(images, words), 10),
        "theirs": 1e6 / BATCH_SIZE * seconds_of(lambda: [change(one) for one in tensors], 3),
    }


def ours(precision: str, steps: int) -> dict[str, float]:
    """Images per second of `dilute`'s loop with the preset's recipe."""
    import torch

    import dilute
    from dilute.runs import PRESETS, fresh_model
    from dilute.training import train

    fields = {**PRESETS["cifar10-fast"].fields, "budget_epochs": None}
    fields |= {"precision": precision, "batch_size": BATCH_SIZE}
    model = str(fields.pop("model"))
    recipe = dilute.Recipe(**fields, budget_steps=steps, curve_points=1)
    images = dilute.LabelledSet(pictures(), np.arange(NUM_IMAGES) % NUM_CLASSES)
    noisy = dilute.DilutedSet(images, alpha=10)
    times: list[float] = []
    device = torch.device("cpu")
    train(
        fresh_model(model, noisy, 0, device),
        noisy,
        recipe,
        seed=0,
        device=device,
        on_step=lambda *_: times.append(time.perf_counter()),
    )
    return {"images_per_second": BATCH_SIZE / float(np.median(np.diff(times[1:])))}


def theirs(precision: str, steps: int) -> dict[str, float]:
    """Images per second of a plain script: the same network, a data loader, the same precision."""
    import torch
    from torch.nn import functional
    from torch.utils.data import DataLoader, Dataset

    from dilute.models import build

    class Pictures(Dataset):
        def __init__(self) -> None:
            self.images = torch.from_numpy(pictures())
            self.change = usual_changes()

        def __len__(self) -> int:
            return NUM_IMAGES

        def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
            return self.change(self.images[row]).float() / 255, row % NUM_CLASSES

    model = build("fastnet", SHAPE, NUM_CLASSES).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    times = [time.perf_counter()]
    loader = DataLoader(Pictures(), BATCH_SIZE, shuffle=True)
    while len(times) <= steps:
        for images, labels in loader:
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                logits = model(images.to(memory_format=torch.channels_last))
            loss = functional.cross_entropy(logits.float(), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            times.append(time.perf_counter())
    return {"images_per_second": BATCH_SIZE / float(np.median(np.diff(times[1:])))}


def peak(precision: str) -> dict[str, float]:
    """Billions of operations per second of a large matrix product, and per image of training."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from dilute.models import build

    matrix = torch.randn(_MATRIX, _MATRIX, dtype=getattr(torch, precision))
    seconds = seconds_of(lambda: matrix @ matrix, 5)
    model, images = build("fastnet", SHAPE, NUM_CLASSES), torch.randn(2, *SHAPE)
    with FlopCounterMode(display=False) as counter:
        model(images).sum().backward()
    return {
        "product": 2 * _MATRIX**3 / seconds / 1e9,
        "per_image": counter.get_total_flops() / len(images) / 1e9,
    }


MEASUREMENTS = {"augmentation": augmentation, "ours": ours, "theirs": theirs, "peak": peak}


def measure(name: str, *arguments: Any) -> dict[str, float]:
    return measured_apart(__file__, "--measure", json.dumps([name, *arguments]))


def of_augmentation(rounds: int) -> Rows:
    found = [measure("augmentation") for _ in range(rounds)]
    ratios = [one["theirs"] / one["ours"] for one in found]
    return [
        (
            "Shifts and flips: torchvision's time, image by image, over ours",
            spread(ratios, "{:.1f}"),
            "",
        ),
        ("  ours, µs an image", spread((one["ours"] for one in found), "{:.1f}"), ""),
    ]


def of_training(precision: str, rounds: int, steps: int) -> Rows:
    pairs = [
        (measure("ours", precision, steps), measure("theirs", precision, steps))
        for _ in range(rounds)
    ]
    rates = [[pair[k]["images_per_second"] for pair in pairs] for k in (0, 1)]
    limits = [measure("peak", precision) for _ in range(rounds)]
    shares = [
        rate * one["per_image"] / one["product"] for rate, one in zip(rates[0], limits, strict=True)
    ]
    augmenting = [measure("augmentation")["ours"] for _ in range(rounds)]
    parts = [100 * cost * rate / 1e6 for cost, rate in zip(augmenting, rates[0], strict=True)]
    ratios = [a / b for a, b in zip(*rates, strict=True)]
    return [
        (f"fastnet, {precision}, images/s: dilute over plain script", spread(ratios), ""),
        ("  dilute, images/s", spread(rates[0], "{:,.0f}"), ""),
        ("  plain script, images/s", spread(rates[1], "{:,.0f}"), ""),
        ("  dilute, operations as a share of a large matrix product's", spread(shares), ""),
        ("  shifts and flips, % of the time of training", spread(parts, "{:.1f}"), "< 3"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12, help="steps of a measurement")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        answer(MEASUREMENTS, given.measure)
        return
    sections = [lambda: of_augmentation(given.rounds)]
    sections += [lambda p=p: of_training(p, given.rounds, given.steps) for p in PRECISIONS]
    text = measured_table(sections)
    write_file(ROOT / "results" / "cifar10-speed.md", text.encode())
    print(text)


if __name__ == "__main__":
    main()
