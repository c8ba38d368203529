"""What a sweep reports: how far it is, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dilute.runs import RunRecord, RunSpec


@dataclass(frozen=True)
class Running:
    """A run under way: its label, the step it is at (0 before the first), and images per second."""

    label: str
    step: int
    num_steps: int | None
    images_per_second: float | None
    accuracy: float | None


@dataclass(frozen=True)
class SweepProgress:
    """How far a sweep is.

    Attributes:
        total: all its runs, of which `known` were in the store, and `done`, `diverged`, `failed`
            and `waiting` (for another sweep, which has claimed them) are as they say.
        running: what the workers do.
        images_per_second: of all workers together.
        remaining_seconds: None before anything is known.
        ended: label and record of the run that has just ended, if that is the news.
    """

    total: int
    known: int
    done: int
    diverged: int
    failed: int
    waiting: int
    running: tuple[Running, ...]
    images_per_second: float
    remaining_seconds: float | None
    ended: tuple[str, RunRecord] | None = None


@dataclass(frozen=True)
class SweepResult:
    """What came of a sweep; every run is counted once.

    Attributes:
        specs: all runs by key, under the own names of their data.
        done: runs that were done now.
        known: runs that were done before, or by another sweep meanwhile.
        failed: runs that failed, now or before; failures has their reasons by key.
        diverged: runs whose loss left the finite numbers, now or before.
        left: runs that were not done because the sweep was interrupted, of which
            checkpointed have a checkpoint.
        interrupted: whether it was.
    """

    specs: Mapping[str, RunSpec]
    done: int
    known: int
    failed: int
    diverged: int
    left: int
    checkpointed: int
    failures: Mapping[str, str]
    interrupted: bool
