"""Who does the runs of a sweep, whether processes here or tasks on a cluster."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dilute.sweeps.workers import Message, Step, Task, WorkerSetting


@dataclass(frozen=True)
class Lost:
    """The worker is gone: why, and whether it was asked to stop (SIGTERM)."""

    reason: str
    was_stopped: bool


class Member(ABC):
    """One that does runs, and the run that it has in hand.

    Attributes:
        setting: what it was started with.
        task: the run in hand, or None.
        has_started: whether it has been heard of.
        began: `time.monotonic()` when it was given the run.
        step: what it last said of the run.
    """

    def __init__(self, setting: WorkerSetting) -> None:
        self.setting = setting
        self.task: Task | None = None
        self.has_started = True
        self.began = 0.0
        self.step: Step | None = None

    @property
    @abstractmethod
    def is_idle(self) -> bool:
        """Whether it can be given a run."""

    @property
    @abstractmethod
    def is_running(self) -> bool:
        """Whether the run in hand has begun."""

    def take(self, task: Task) -> None:
        """Note that it has a run in hand."""
        self.task, self.step = task, None
        self.began = time.monotonic()

    def take_back(self) -> Task:
        """Return the run in hand, which is in hand no more."""
        assert self.task is not None
        task, self.task = self.task, None
        return task


class Crew(Protocol):
    """All that do runs of a sweep at the same time."""

    @property
    def members(self) -> Sequence[Member]:
        """Those that are there."""

    def enlist(self, setting: WorkerSetting) -> None:
        """Add a member."""

    def give(self, member: Any, task: Task) -> None:
        """Give a member that is idle a run."""

    def events(self, timeout_seconds: float) -> Iterator[tuple[Member, Message | Lost]]:
        """Wait at most `timeout_seconds`, and yield what members say and which are lost.

        Those that are lost are members no more.
        """

    def stop(self, grace_seconds: float) -> Iterator[tuple[Member, Message | Lost]]:
        """Ask all to checkpoint and end, and yield what happens.

        Those that do not end within `grace_seconds` are killed.
        """

    def kill(self) -> None:
        """End all at once."""
