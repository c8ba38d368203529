"""Models that fail in every way that a worker may, or tell of it, for the tests of sweeps.

Each is a perceptron with a fault.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import torch
from torch import nn

from dilute.errors import NoiseError


class Faulty(nn.Module):
    def __init__(self, shape: tuple[int, ...], num_classes: int, fault: Callable[[], None]):
        super().__init__()
        self.layer = nn.Linear(int(torch.tensor(shape).prod()), num_classes)
        self.fault = fault

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.fault()
        return self.layer(inputs.flatten(1))


def crashes(shape, num_classes):
    return Faulty(shape, num_classes, lambda: os._exit(3))


def is_killed(shape, num_classes):
    return Faulty(shape, num_classes, lambda: os.kill(os.getpid(), signal.SIGKILL))


def hangs(shape, num_classes):
    return Faulty(shape, num_classes, lambda: time.sleep(3600))


def leaves(shape, num_classes):
    def leave() -> None:
        raise SystemExit(7)

    return Faulty(shape, num_classes, leave)


def fails(shape, num_classes):
    def fail() -> None:
        if not os.environ.get("FAULTY_IS_WELL"):
            raise RuntimeError("no luck")

    return Faulty(shape, num_classes, fail)


def cannot_be(shape, num_classes):
    def refuse() -> None:
        raise NoiseError("this cannot be; take another")

    return Faulty(shape, num_classes, refuse)


def fills_the_disk(shape, num_classes):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    def fill() -> None:
        os.fsync = full

    return Faulty(shape, num_classes, fill)


def is_slow(shape, num_classes):
    """Say by a file that it trains, and take its time."""

    def wait() -> None:
        marks = os.environ.get("FAULTY_MARKS")
        if marks:
            (Path(marks) / str(os.getpid())).touch()
        time.sleep(0.005)

    return Faulty(shape, num_classes, wait)


def tells_of_loaders(shape, num_classes):
    """Say by a file's name how many processes were forked off this one, as loaders are."""

    def tell() -> None:
        own = psutil.Process()
        forked = [child for child in own.children() if child.cmdline() == own.cmdline()]
        (Path(os.environ["FAULTY_MARKS"]) / f"{len(forked)}").touch()

    return Faulty(shape, num_classes, tell)
