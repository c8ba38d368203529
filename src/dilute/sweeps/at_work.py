"""A sweep at work: its queue, and what is done about everything that workers say."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence

from dilute.errors import DiluteError, SpecError, StoreError
from dilute.files import is_local
from dilute.interruption import stop_requests
from dilute.runs import Execution, RunRecord, Store, failed_record
from dilute.sweeps.calibration import Outlook
from dilute.sweeps.crew import Crew, Lost, Member
from dilute.sweeps.planned import Plan, StoredRuns
from dilute.sweeps.progress import Running, SweepProgress, SweepResult
from dilute.sweeps.run_labels import label, varied_fields
from dilute.sweeps.workers import (
    Failed,
    Finished,
    Message,
    Ready,
    Step,
    Stopped,
    StoreFailed,
    Taken,
    Task,
    Unfit,
    WorkerSetting,
)

_LOOK_EVERY_SECONDS = 0.25
_REPORT_EVERY_SECONDS = 1.0
_ASK_AGAIN_SECONDS = 2.0
_GRACE_SECONDS = 30.0
_MOST_STOPS = 3
_MOST_FALSE_STARTS = 3


class Sweep:
    """A sweep at work: the queue, the counts, and what is done at each message of a worker."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        found: StoredRuns,
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
        self._reported_at = 0.0
        self._is_stopping = False
        self._was_asked_to_stop = False

    @property
    def is_complete(self) -> bool:
        """Whether every run has ended."""
        return not self._open

    def work(
        self,
        make_crew: Callable[[Sequence[WorkerSetting]], Crew],
        settings: Sequence[WorkerSetting],
    ) -> None:
        """Do all that is queued, or as much as there is time for.

        Arguments:
            settings: one for each run that may go on at the same time.
        """
        settings = settings[: len(self._open)]
        self._num_places = len(settings)
        to_do = {key: task.spec for key, task in self._open.items()}
        self._outlook = Outlook(self._plan, to_do, len(settings))
        with stop_requests() as should_stop:
            crew = make_crew(settings)
            try:
                self._report(crew)
                while self._open and not should_stop():
                    self._hand_out(crew)
                    for member, message in crew.events(_LOOK_EVERY_SECONDS):
                        self._handle(crew, member, message)
                    if time.monotonic() - self._reported_at > _REPORT_EVERY_SECONDS:
                        self._report(crew)
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
                self._handle_loss(crew, member, message)

    def _handle_loss(self, crew: Crew, member: Member, lost: Lost) -> None:
        """Settle the run of a worker that is gone, and put another worker in its place."""
        if member.task is not None:
            if self._has_ended(member.task):
                self._finish(crew, member.take_back(), was_there=False)
            elif lost.was_stopped:
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
        """Return whether the store has a record that this sweep or another has made meanwhile."""
        record = self._store.get(task.key)
        if record is None:
            return False
        if record.status == "failed":
            return record != self._failed_before.get(task.key)
        return record.answers(self._plan.sources[task.spec.data].has_test)

    def _put_back(self, crew: Crew, member: Member) -> None:
        """Queue a run that was stopped again, unless it is stopped every time."""
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
                f"the worker was asked to stop (SIGTERM) {_MOST_STOPS} times in one place",
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
                f"the record of run {task.key} is gone from {self._store.folder}; leave the store "
                "as it is while a sweep runs"
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
        self._report(crew, (label(task.spec, self._fields), record))

    def _report(self, crew: Crew, ended: tuple[str, RunRecord] | None = None) -> None:
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
        self._reported_at = time.monotonic()
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
