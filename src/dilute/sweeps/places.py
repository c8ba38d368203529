"""What each worker of a sweep may use of this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from dilute.environment import choose_device
from dilute.errors import SpecError


@dataclass(frozen=True)
class Place:
    """What a worker may use."""

    device: str | None
    threads: int


def share(
    workers: int | None, threads: int | None, device: str | None, loader_workers: int = 0
) -> list[Place]:
    """Return a place for each worker: threads, and GPUs in turn; defaults as `run_sweep` says.

    Errors: `SpecError` for numbers below 1 (of loader workers: 0) or a device that cannot be used.
    """
    if loader_workers < 0:
        raise SpecError(f"loader_workers = {loader_workers} cannot be; it must be at least 0")
    for name, value in (("workers", workers), ("threads", threads)):
        if value is not None and value < 1:
            raise SpecError(f"{name} = {value} cannot be; it must be at least 1")
    kind = choose_device(device)
    gpus = torch.cuda.device_count() if kind.type == "cuda" and kind.index is None else 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = cores or 1
    if threads is None:
        at_once = workers or (1 if kind.type != "cpu" else max(1, cores // (1 + loader_workers)))
        cores_each = cores // max(at_once, gpus)
        threads = max(1, cores_each - loader_workers)
    if workers is None:
        workers = gpus or (1 if kind.type != "cpu" else max(1, cores // (threads + loader_workers)))
    devices: list[str | None] = [f"cuda:{index}" for index in range(gpus)] or [device]
    return [Place(devices[number % len(devices)], threads) for number in range(workers)]
