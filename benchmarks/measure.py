"""One measurement in a process of its own: `python benchmarks/measure.py NAME` prints JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import plain
import torch
from torch import nn
from torch.nn import functional

import dilute
from dilute.environment import peak_memory_bytes
from dilute.runs import RunSpec, run_one, scaled_model
from dilute.training import Recipe, evaluate, train

CPU = torch.device("cpu")
TARGET = 0.90
CHECK_EVERY_STEPS = 10
CHECK_PLAIN_EVERY_STEPS = 50  # it takes so many more that the checks would outlast the training


class Reached(Exception):
    """The target was reached, or the time is up."""


def mnist() -> dilute.Splits:
    return dilute.load("mnist")


def run_training(noisy: dilute.NoisySet, recipe: Recipe, on_step: Callable[..., None]) -> None:
    torch.manual_seed(0)
    model = scaled_model("conv4", noisy.clean).to(memory_format=torch.channels_last)
    train(model, noisy, recipe, seed=0, device=CPU, on_step=on_step)


def speed_ours() -> dict[str, float]:
    times = [time.perf_counter()]
    noisy = dilute.DilutedSet(mnist().train, 20)
    recipe = Recipe(
        copies=1,
        batch_size=128,
        optimizer="adadelta",
        schedule="constant",
        budget_steps=24,
        curve_points=1,
    )
    run_training(noisy, recipe, lambda *_: times.append(time.perf_counter()))
    return {"images_per_second": 128 / float(np.median(np.diff(times)[4:]))}


def speed_plain() -> dict[str, float]:
    return {"images_per_second": plain.images_per_second(mnist().train, 128, steps=20, warmup=4)}


def overhead() -> dict[str, float]:
    """A step of the loop, a bare step on a fixed batch, and the convolutions alone, in turn."""
    batch_size, steps, warmup = 128, 60, 6
    images = torch.randn(batch_size, 1, 28, 28).to(memory_format=torch.channels_last)
    targets = torch.full((batch_size, 10), 0.1)
    noisy = dilute.DilutedSet(mnist().train, 20)
    model = scaled_model("conv4", noisy.clean).network.to(memory_format=torch.channels_last).train()
    recipe = Recipe(
        copies="all", batch_size=batch_size, budget_steps=steps + warmup, curve_points=1
    )
    optimizer = recipe.make_optimizer(model.parameters())
    convolutions = nn.Sequential(model[0], model[2])
    with torch.no_grad():
        gradient = torch.randn_like(convolutions(images))

    def bare_step() -> None:
        optimizer.zero_grad()
        functional.cross_entropy(model(images), targets).backward()
        optimizer.step()

    times: dict[str, list[float]] = {"loop": [], "bare": [], "convolutions": []}
    clock = time.perf_counter()

    def on_step(*_: Any) -> None:
        nonlocal clock
        marks = [clock, time.perf_counter()]
        bare_step()
        marks.append(time.perf_counter())
        convolutions(images).backward(gradient)
        marks.append(time.perf_counter())
        for name, seconds in zip(times, np.diff(marks), strict=True):
            times[name].append(float(seconds))
        clock = time.perf_counter()

    run_training(noisy, recipe, on_step)
    loop, bare, convolution = (np.array(times[name][warmup:]) for name in times)
    return {
        "loop_over_bare": float(np.median(loop) / np.median(bare)),
        "loop_images_per_second": batch_size / float(np.median(loop)),
        "bare_images_per_second": batch_size / float(np.median(bare)),
        "convolutions_images_per_second": batch_size / float(np.median(convolution)),
    }


def time_to_target_ours(seed: float) -> dict[str, float]:
    splits = mnist()
    recipe = Recipe(copies="all", batch_size=128, budget_steps=600)
    stopwatch = Stopwatch(splits)
    noisy = dilute.DilutedSet(splits.train, 20, seed=int(seed))
    torch.manual_seed(int(seed))
    model = scaled_model("conv4", noisy.clean).to(memory_format=torch.channels_last)
    stopwatch.start()

    def on_step(*_: Any) -> None:
        if stopwatch.is_over(model):
            raise Reached

    with suppress(Reached):
        train(model, noisy, recipe, seed=int(seed), device=CPU, on_step=on_step)
    return stopwatch.result()


def time_to_target_plain(limit_seconds: float) -> dict[str, float]:
    """Train the plain script for at most `limit_seconds`.

    If it is not there by then, that is a lower bound.
    """
    splits = mnist()
    data = plain.materialised(splits.train, 20)
    stopwatch = Stopwatch(splits, limit_seconds, scale=1 / 255)
    stopwatch.start()
    plain.train(
        data,
        128,
        lambda parameters: torch.optim.AdamW(parameters, lr=1e-3),
        lambda step, model: stopwatch.is_over(model),
    )
    return stopwatch.result()


class Stopwatch:
    """Training time until the test accuracy first reaches the target.

    The time to evaluate does not count.
    """

    def __init__(
        self, splits: dilute.Splits, limit_seconds: float = 3600.0, scale: float | None = None
    ) -> None:
        self.test = dilute.DilutedSet(splits.test, 0.0)
        self.limit_seconds = limit_seconds
        self.scale = scale
        self.check_every_steps = CHECK_EVERY_STEPS if scale is None else CHECK_PLAIN_EVERY_STEPS
        self.seconds = 0.0
        self.accuracy = 0.0
        self.steps = 0

    def start(self) -> None:
        self.clock = time.perf_counter()

    def is_over(self, model: nn.Module) -> bool:
        now = time.perf_counter()
        self.seconds += now - self.clock
        self.steps += 1
        if self.steps % self.check_every_steps == 0:
            self.accuracy = evaluate(self._scaled(model), self.test, CPU).accuracy
        self.clock = time.perf_counter()
        return self.accuracy >= TARGET or self.seconds > self.limit_seconds

    def _scaled(self, model: nn.Module) -> nn.Module:
        if self.scale is None:
            return model
        scale = self.scale

        class ScaledTo1(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.model = model

            def forward(self, inputs: torch.Tensor) -> torch.Tensor:
                logits: torch.Tensor = self.model(inputs.float() * scale)
                return logits

        return ScaledTo1()

    def result(self) -> dict[str, float]:
        return {"seconds": self.seconds, "accuracy": self.accuracy, "steps": self.steps}


def labels() -> dict[str, float]:
    clean = mnist().train
    times = []
    for seed in range(5):
        started = time.perf_counter()
        noisy = dilute.DilutedSet(clean, 100, seed=seed)
        times.append(time.perf_counter() - started)
    return {"seconds": float(np.median(times)), "labels": float(noisy.num_noisy)}


def memory_ours(alpha: float) -> dict[str, float]:
    spec = RunSpec(
        data="mnist", model="conv4", alpha=alpha, batch_size=128, budget_steps=4, curve_points=1
    )
    return {"peak_bytes": float(run_one(spec).record.peak_memory_bytes or 0)}


def memory_plain(alpha: int) -> dict[str, float]:
    data = plain.materialised(mnist().train, int(alpha))
    plain.train(data, 128, torch.optim.Adadelta, lambda step, model: step == 4)
    return {"peak_bytes": float(peak_memory_bytes() or 0)}


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    print(json.dumps(globals()[name](*[float(argument) for argument in arguments])))
