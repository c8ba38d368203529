"""A sweep: every run that the store lacks, by processes here or tasks on a cluster, come what may."""

from __future__ import annotations

import os
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from dilute.data import AS_THEY_ARE, Reading
from dilute.errors import DiluteError, SpecError, StoreError
from dilute.files import is_local, write_file
from dilute.interruption import stop_requests
from dilute.runs import Execution, RunRecord, RunSpec, Store, failed_record
from dilute.sweeps.calibration import Outlook
from dilute.sweeps.crew import Crew, Lost, Member
from dilute.sweeps.grid import label, varied_fields
from dilute.sweeps.local_crew import LocalCrew
from dilute.sweeps.places import share
from dilute.sweeps.plan import Plan, Standing, answers, make_plan, standing
from dilute.sweeps.progress import Running, SweepProgress, SweepResult
from dilute.sweeps.ray_crew import Cluster, RayCrew, connected, num_places
from dilute.sweeps.workers import (
    Failed,
    Finished,
    Message,
    Ready,
    Setting,
    Step,
    Stopped,
    StoreFailed,
    Taken,
    Task,
    Unfit,
)

_LOOK_EVERY_SECONDS = 0.25
_TELL_EVERY_SECONDS = 1.0
_ASK_AGAIN_SECONDS = 2.0
_GRACE_SECONDS = 30.0
_MOST_STOPS = 3
_MOST_FALSE_STARTS = 3


def run_sweep(
    specs: Iterable[RunSpec] | Plan,
    store: Store | Path | str,
    *,
    workers: int | None = None,
    threads: int | None = None,
    device: str | None = None,
    reading: Reading = AS_THEY_ARE,
    sources: Mapping[str, str] | None = None,
    retry_failed: bool = False,
    keep_weights: bool = True,
    loader_workers: int = 0,
    hang_seconds: float = 900.0,
    cluster: Cluster | None = None,
    on_progress: Callable[[SweepProgress], object] = lambda progress: None,
) -> SweepResult:
    """Do every run that the store lacks, and return what came of all.

    A worker that crashes, is killed or falls silent costs the run that it had in hand, which is recorded
    as failed with the reason. Ctrl-C and SIGTERM let the workers write their checkpoints first. The same
    call again goes on with what is left. Call it under `if __name__ == "__main__":` in a script, which
    the worker processes import.

    Arguments:
        specs: the runs, as of `read_sweep`; or a `Plan` of them, which has reading and sources.
        store: the store, or its folder.
        workers: runs at the same time; if not given, as many as there are cores (or GPUs) for.
        threads: CPU threads of each worker; its share of the cores if workers are given, else 1.
        device: `cpu`, `cuda:1`, …; if not given, the GPUs in turn if there are some.
        reading, sources: as for `make_plan`.
        retry_failed: do runs again that the store has as failed.
        keep_weights: also keep the weights of the last and the selected models.
        loader_workers: processes of each run that load images ahead, beside its threads.
        hang_seconds: kill a worker that is silent for so long; its run has failed. It must be longer
            than reading the data, or an evaluation: a worker speaks with every step.
        cluster: where Ray does the runs; None for processes on this machine.
        on_progress: told whenever a run ends, and about once a second.

    Errors: `DiluteError`s for what the user can mend, before anything is run; `StoreError` if the store
        cannot be written, after the other workers have stopped.
    """
    if not hang_seconds > 0:
        raise SpecError(f"hang_seconds = {hang_seconds:g} cannot be; it must be above 0")
    places = share(workers, threads, device, loader_workers)
    if not isinstance(specs, Plan):
        specs = make_plan(specs, reading=reading, sources=sources)
    store = store if isinstance(store, Store) else Store(store)
    found = standing(specs, store)
    sweep = _Sweep(specs, store, found, retry_failed, on_progress)
    if sweep.is_complete:
        return sweep.result()
    check_space(store)
    # From the root on, since nodes of a cluster work in folders of their own.
    folder = store.folder.absolute() if is_local(store.folder) else store.folder
    common = (specs.sources, keep_weights, loader_workers)
    if cluster is None:
        settings = [Setting(folder, p.threads, p.device, *common) for p in places]
        sweep.work(lambda chosen: LocalCrew(chosen, hang_seconds), settings)
    else:
        device = device or ("cuda" if cluster.gpus_per_run else "cpu")
        one = Setting(folder, threads or 1, device, *common)
        _work_on_cluster(sweep, cluster, one, workers, hang_seconds)
    return sweep.result()


def _work_on_cluster(
    sweep: _Sweep,
    cluster: Cluster,
    setting: Setting,
    workers: int | None,
    hang_seconds: float,
) -> None:
    gpus = cluster.gpus_per_run
    token = f".{uuid.uuid4().hex[:12]}.seen"
    with connected(cluster) as ray:
        places = num_places(ray, setting.cores, gpus)
        if not places and workers is None:
            raise SpecError(
                f"no node of the cluster has the {setting.cores} CPUs and {gpus:g} GPUs of a run; take fewer, or "
                "say with workers how many runs to queue for nodes that are yet to come"
            )
        write_file(setting.store / token, b"\0")
        try:
            sweep.work(
                lambda settings: RayCrew(
                    ray,
                    settings,
                    hang_seconds,
                    gpus_per_run=gpus,
                    token=token,
                    grows=workers is None,
                ),
                [setting] * (workers or places),
            )
        finally:
            (setting.store / token).unlink(missing_ok=True)


def check_space(store: Store) -> None:
    """Write and remove a small file, so that a full disk is found before a run is done in vain.

    Errors: `StoreError` if it cannot be written.
    """
    path = store.folder / f".{os.getpid()}.probe"
    write_file(path, b"\0" * 2**16)
    path.unlink(missing_ok=True)


class _Sweep:
    """A sweep at work: the queue, the counts, and what is done about everything that workers say."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        found: Standing,
        retry_failed: bool,
        on_progress: Callable[[SweepProgress], object],
    ) -> None:
        self._plan, self._store, self._on_progress = plan, store, on_progress
        self._failed_before = found.failed if retry_failed else {}
        self._open = {
            key: Task(key, spec, key in self._failed_before)
            for key, spec in plan.specs.items()
            if key in found.missing or key in self._failed_before
        }
        self._queue = deque(self._open.values())
        self._waiting: deque[tuple[float, Task]] = deque()
        self._num_places = 0
        self._fields = varied_fields(plan.specs.values())
        self._counts = Counter(
            "diverged" if record.status == "diverged" else "known"
            for record in found.known.values()
        )
        self._failures = {
            key: record.message or "no reason given"
            for key, record in found.failed.items()
            if key not in self._failed_before
        }
        self._stops: Counter[str] = Counter()  # of a run since it last came further
        self._reached: Counter[str] = Counter()
        self._false_starts = 0
        self._told = 0.0
        self._is_stopping = False
        self._was_asked_to_stop = False

    @property
    def is_complete(self) -> bool:
        """Whether every run has ended."""
        return not self._open

    def work(
        self, make_crew: Callable[[Sequence[Setting]], Crew], settings: Sequence[Setting]
    ) -> None:
        """Do all that is queued, or as much as there is time for, with at most as many at once as there are settings."""
        settings = settings[: len(self._open)]
        self._num_places = len(settings)
        to_do = {key: task.spec for key, task in self._open.items()}
        self._outlook = Outlook(self._plan, to_do, len(settings))
        with stop_requests() as should_stop:
            crew = make_crew(settings)
            try:
                self._tell(crew)
                while self._open and not should_stop():
                    self._hand_out(crew)
                    for member, message in crew.events(_LOOK_EVERY_SECONDS):
                        self._handle(crew, member, message)
                    if time.monotonic() - self._told > _TELL_EVERY_SECONDS:
                        self._tell(crew)
                self._is_stopping = True
                self._was_asked_to_stop = should_stop()
                for member, message in crew.stop(_GRACE_SECONDS):
                    self._handle(crew, member, message)
            except DiluteError:
                for _ in crew.stop(_GRACE_SECONDS):
                    pass
                raise
            finally:
                crew.kill()
        if not is_local(self._store.folder):
            return
        for path in self._store.folder.glob(".*.claim"):  # of processes that were killed
            with self._store.claim(path.name[1 : -len(".claim")]):
                pass

    def result(self) -> SweepResult:
        """Return what came of it."""
        has_checkpoint = [
            (self._store.folder / f"{key}.checkpoint.safetensors").exists() for key in self._open
        ]
        return SweepResult(
            specs=self._plan.specs,
            done=self._counts["done"],
            known=self._counts["known"],
            failed=len(self._failures),
            diverged=self._counts["diverged"],
            left=len(self._open),
            checkpointed=sum(has_checkpoint),
            failures=dict(self._failures),
            interrupted=self._was_asked_to_stop or not self.is_complete,
        )

    def _hand_out(self, crew: Crew) -> None:
        while self._waiting and self._waiting[0][0] <= time.monotonic():
            self._queue.append(self._waiting.popleft()[1])
        for member in crew.members:
            if self._queue and member.is_idle:
                crew.give(member, self._queue.popleft())

    def _handle(self, crew: Crew, member: Member, message: Message | Lost) -> None:
        match message:
            case Ready():
                self._false_starts = 0
            case Step():
                pass
            case Finished():
                self._finish(crew, member.take_back(), message.was_there)
            case Failed():
                self._fail(crew, member, message.message)
            case Taken():
                self._waiting.append((time.monotonic() + _ASK_AGAIN_SECONDS, member.take_back()))
            case Stopped():
                self._put_back(crew, member)
            case StoreFailed():
                raise StoreError(message.message)
            case Unfit():
                raise SpecError(message.message)
            case Lost():
                self._mourn(crew, member, message)

    def _mourn(self, crew: Crew, member: Member, lost: Lost) -> None:
        """See to the run of a worker that is gone, and put another worker in its place."""
        if member.task is not None:
            if self._has_ended(member.task):
                self._finish(crew, member.take_back(), was_there=False)
            elif lost.was_told:
                self._put_back(crew, member)
            else:
                self._fail(crew, member, lost.reason)
        if self._is_stopping:
            return
        if not member.has_started:
            self._false_starts += 1
            if self._false_starts >= _MOST_FALSE_STARTS:
                raise SpecError(
                    f"workers do not start: {lost.reason}; in a script, call run_sweep under "
                    'if __name__ == "__main__":'
                )
        if len(crew.members) < min(self._num_places, len(self._open)):
            crew.enlist(member.setting)

    def _has_ended(self, task: Task) -> bool:
        """Return whether the store has a record that this sweep, or another meanwhile, made of the run."""
        record = self._store.get(task.key)
        if record is None:
            return False
        if record.status == "failed":
            return record != self._failed_before.get(task.key)
        return answers(record, self._plan.sources[task.spec.data])

    def _put_back(self, crew: Crew, member: Member) -> None:
        """Queue a run that was stopped, unless that is its fate."""
        assert member.task is not None
        key = member.task.key
        if member.step is not None and member.step.step > self._reached[key]:
            self._reached[key], self._stops[key] = member.step.step, 0
        self._stops[key] += 1
        if self._is_stopping or self._stops[key] < _MOST_STOPS:
            self._queue.appendleft(member.take_back())
        else:
            self._fail(
                crew,
                member,
                f"the worker was told to stop (SIGTERM) {_MOST_STOPS} times in one place",
            )

    def _fail(self, crew: Crew, member: Member, message: str) -> None:
        """Record the run in hand as failed, unless that would replace a result."""
        task = member.take_back()
        setting = member.setting
        record = failed_record(
            task.spec,
            message,
            time.monotonic() - member.began,
            Execution(device=setting.device, threads=setting.threads),
        )
        found = self._store.get(task.key)
        if found is None or found.status == "failed":
            self._store.put(record)
        self._end(crew, task, record, "failed")

    def _finish(self, crew: Crew, task: Task, was_there: bool) -> None:
        record = self._store.get(task.key)
        if record is None:
            raise StoreError(
                f"the record of run {task.key} is gone from {self._store.folder}; leave the store as it "
                "is while a sweep runs"
            )
        status = "known" if was_there and record.status == "done" else record.status
        self._end(crew, task, record, status)

    def _end(self, crew: Crew, task: Task, record: RunRecord, status: str) -> None:
        del self._open[task.key]
        if status == "failed":
            self._failures[task.key] = record.message or "no reason given"
        else:
            self._counts[status] += 1
        self._outlook.end(task.key, None if status == "known" else record)
        self._tell(crew, (label(task.spec, self._fields), record))

    def _tell(self, crew: Crew, ended: tuple[str, RunRecord] | None = None) -> None:
        busy = [(m.task, m.step) for m in crew.members if m.task is not None and m.is_running]
        running = tuple(
            Running(
                label(task.spec, self._fields),
                step.step if step else 0,
                step.num_steps if step else None,
                step.images_per_second if step else None,
                step.accuracy if step else None,
            )
            for task, step in busy
        )
        shares = {
            task.key: (step.step / step.num_steps, step.images_per_second)
            for task, step in busy
            if step is not None
        }
        self._told = time.monotonic()
        self._on_progress(
            SweepProgress(
                total=len(self._plan.specs),
                known=self._counts["known"],
                done=self._counts["done"],
                diverged=self._counts["diverged"],
                failed=len(self._failures),
                waiting=len(self._waiting),
                running=running,
                images_per_second=sum(rate for _, rate in shares.values()),
                remaining_seconds=self._outlook.seconds(shares),
                ended=ended,
            )
        )
