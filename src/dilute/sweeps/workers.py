"""A worker: a process that does the runs that come through a pipe, and reports how they go."""

from __future__ import annotations

import os
import signal
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from dilute.data import Splits
from dilute.errors import DataError, DiluteError, StoreError, one_line
from dilute.runs import Execution, Material, RunSpec, Store
from dilute.sweeps.planned import Source
from dilute.training import Trained

_REPORT_EVERY_SECONDS = 0.5
_SETS_HELD = 2


@dataclass(frozen=True)
class WorkerSetting:
    """What a worker gets once: where records go, what it may use, and how to load the data.

    `loader_workers` processes of each run load images ahead, beside its threads.
    """

    store: Path
    threads: int
    device: str | None
    sources: Mapping[str, Source]
    keep_weights: bool
    loader_workers: int = 0

    def __hash__(self) -> int:
        return hash((self.store, frozenset(self.sources.items())))

    @property
    def cores(self) -> int:
        """What a run keeps busy."""
        return self.threads + self.loader_workers


@dataclass(frozen=True)
class Task:
    """A run to do; `may_repeat` says whether it is done again if it has failed before."""

    key: str
    spec: RunSpec
    may_repeat: bool


@dataclass(frozen=True)
class Ready:
    """The worker has started and can be given a run."""


@dataclass(frozen=True)
class Step:
    """How far the run is; `accuracy` is the last one measured on the test set."""

    step: int
    num_steps: int
    images_per_second: float
    accuracy: float | None


@dataclass(frozen=True)
class Finished:
    """The store has the run's record; `was_there` says whether it was known before."""

    was_there: bool


@dataclass(frozen=True)
class Failed:
    """The run cannot be done, for a reason that is its own."""

    message: str


@dataclass(frozen=True)
class Taken:
    """Another process has claimed the run."""


@dataclass(frozen=True)
class Stopped:
    """The run was asked to stop, and has its checkpoint."""


@dataclass(frozen=True)
class StoreFailed:
    """The store cannot be read or written: no run can be kept."""

    message: str


@dataclass(frozen=True)
class Unfit:
    """No run can be done where this comes from."""

    message: str


Message = Ready | Step | Finished | Failed | Taken | Stopped | StoreFailed | Unfit


def work(connection: Connection, setting: WorkerSetting) -> None:
    """Do the runs that come through `connection` until it closes; the body of a worker process.

    Ctrl-C is left to the parent, which sends SIGTERM: within a run that means a checkpoint first,
    outside it ends the process at once. If the parent is gone, the run in hand is checkpointed too.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    with suppress(OSError):
        os.dup2(2, 1)  # standard output is the parent's, for its one document
    data = HeldData(setting)

    def report(step: Step) -> None:
        try:
            connection.send(step)
        except (BrokenPipeError, ConnectionResetError):  # no parent: the run is to stop
            os.kill(os.getpid(), signal.SIGTERM)

    try:
        connection.send(Ready())
        while True:
            task: Task = connection.recv()
            message = do(task, setting, data, report)
            connection.send(message)
            if isinstance(message, Stopped):
                return
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent has no more to do, or is gone


def do(
    task: Task, setting: WorkerSetting, data: HeldData, report: Callable[[Step], None]
) -> Finished | Failed | Taken | Stopped | StoreFailed:
    """Do a run, unless another process has it, and return what came of it.

    Arguments:
        report: called with the run's steps, at most twice a second.
    """
    try:
        store = Store(setting.store)
        with store.claim(task.key) as is_ours:
            if not is_ours:
                return Taken()
            found = store.get(task.key)
            if found is not None and found.status == "failed" and not task.may_repeat:
                return Finished(was_there=True)
            return _run(task, store, setting, data, report)
    except StoreError as error:
        return StoreFailed(str(error))
    except DiluteError as error:
        return Failed(str(error))
    except Exception as error:
        # Out of memory while reading data, or a fault of ours: it costs this run.
        return Failed(one_line(error))


def _run(
    task: Task, store: Store, setting: WorkerSetting, data: HeldData, report: Callable[[Step], None]
) -> Finished | Stopped:
    spec = task.spec
    splits = data.splits(spec.data)
    pool = data.splits(spec.noisy_images).train if spec.names_other_images else None
    execution = Execution(
        device=setting.device,
        threads=setting.threads,
        loader_workers=setting.loader_workers,
        on_step=_StepReporter(spec.batch_size, report),
    )
    material = Material.of(spec, splits=splits, pool=pool)
    try:
        fit = store.run(material, execution, keep_weights=setting.keep_weights)
    except KeyboardInterrupt:  # Interrupted, or a second Ctrl-C
        record = store.get(task.key)
        if record is None or not record.answers(splits.test is not None):
            return Stopped()
        return Finished(was_there=False)
    return Finished(fit.was_known)


class _StepReporter:
    """An `on_step` that reports some steps."""

    def __init__(self, batch_size: int, report: Callable[[Step], None]) -> None:
        self._batch_size = batch_size
        self._report = report
        self._reported_at = -_REPORT_EVERY_SECONDS

    def __call__(self, step: int, num_steps: int, trained: Trained) -> None:
        now = time.monotonic()
        if now - self._reported_at < _REPORT_EVERY_SECONDS:
            return
        self._reported_at = now
        rate = step * self._batch_size / max(trained.training_seconds, 1e-9)
        accuracy = trained.curve[-1].test_accuracy if trained.curve else None
        self._report(Step(step, num_steps, rate, accuracy))


class HeldData:
    """The data sets of a sweep by their own names, the last few of them held."""

    def __init__(self, setting: WorkerSetting) -> None:
        self.setting = setting
        self._held: OrderedDict[str, Splits] = OrderedDict()

    def splits(self, name: str) -> Splits:
        """Return the data set `name` of the sweep.

        Errors: those of `load`; `DataError` if what is found is another one.
        """
        if name not in self._held:
            source = self.setting.sources[name]
            found = source.load()
            if found.name != name:
                raise DataError(
                    f"{source.load_name} was {name} when the sweep began and is {found.name} now; "
                    "leave the data as they are while a sweep runs"
                )
            self._held[name] = found
            while len(self._held) > _SETS_HELD:
                self._held.popitem(last=False)
        self._held.move_to_end(name)
        return self._held[name]
