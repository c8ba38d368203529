"""The runs of a sweep as tasks on a Ray cluster, repeated elsewhere if a worker or node dies."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from dilute.environment import code_hash, source_hash, versions
from dilute.errors import DiluteError, one_line
from dilute.runs import Store
from dilute.sweeps.cluster import num_places
from dilute.sweeps.crew import Lost, Member
from dilute.sweeps.workers import HeldData, Message, Step, Task, Unfit, WorkerSetting, do

_MOST_REPEATS = 3  # by Ray, of a run whose worker or node died
_BEFORE_CANCEL_SECONDS = 30.0  # processes on other nodes may be starting still
_QUEUED_PER_PLACE = 2  # so that no place waits for the driver
_READ_EVERY_SECONDS = 1.0
_COUNT_EVERY_SECONDS = 10.0


@dataclass(frozen=True)
class NodeRequirements:
    """What a node must have as the machine that sends the runs has it.

    Attributes:
        versions: of Python, libraries and this package's code, by name.
        token: a file in the store that every node must see.
    """

    versions: Mapping[str, str]
    token: str

    @staticmethod
    def of_this_process(token: str) -> NodeRequirements:
        """Return what this process has."""
        sweeps = source_hash("sweeps")
        code = {"dilute's code": code_hash(), "dilute's code for sweeps": sweeps}
        return NodeRequirements({**versions(), **code}, token)


class _Slot(Member):
    """A run at a time on the cluster, queued or under way."""

    def __init__(self, setting: WorkerSetting) -> None:
        super().__init__(setting)
        self.reference: Any = None
        self.heard: float | None = None
        self.was_repeated = False
        self.reached = 0
        self.is_hung = False

    @property
    def is_idle(self) -> bool:
        return self.task is None

    @property
    def is_running(self) -> bool:
        return self.task is not None and self.heard is not None


class RayCrew:
    """A crew of tasks on a Ray cluster.

    Its members are places in Ray's queue and outlive the runs that they lose.

    Arguments:
        ray: the module, connected.
        settings: alike, one for each run that may go on at the same time.
        hang_seconds: a run that has begun and is silent for so long is ended and queued again,
            since it may have lost its node and wait for another; the second time, without having
            come further, it is given up.
        gpus_per_run: as for `Cluster`.
        token: as for `NodeRequirements`.
        grows: whether to take as many runs at once as there are places, also when nodes join; else
            as many as there are settings.
    """

    def __init__(
        self,
        ray: Any,
        settings: Sequence[WorkerSetting],
        hang_seconds: float,
        *,
        gpus_per_run: float,
        token: str,
        grows: bool,
    ) -> None:
        self._ray, self._hang_seconds, self._grows = ray, hang_seconds, grows
        self._setting, self._gpus_per_run = settings[0], gpus_per_run
        queued = _QUEUED_PER_PLACE * len(settings) if grows else len(settings)
        self.members = [_Slot(settings[0]) for _ in range(queued)]
        self._remote = ray.remote(_do_on_node).options(
            num_cpus=settings[0].cores,
            num_gpus=gpus_per_run,
            max_retries=_MOST_REPEATS,
            retry_exceptions=False,
        )
        self._board = ray.remote(_Board).options(**_beside_the_sender(ray)).remote()
        self._requirements = ray.put(NodeRequirements.of_this_process(token))
        self._shared_setting = ray.put(settings[0])
        self._read_at = self._counted_at = time.monotonic()
        self._is_unfit = False

    def enlist(self, setting: WorkerSetting) -> None:
        """Add a place in the queue."""
        self.members.append(_Slot(setting))

    def give(self, member: _Slot, task: Task) -> None:
        """Queue a run."""
        member.take(task)
        member.was_repeated, member.reached, member.is_hung = False, 0, False
        self._queue(member, task)

    def _queue(self, member: _Slot, task: Task) -> None:
        member.heard = None
        member.reference = self._remote.remote(
            task, self._shared_setting, self._requirements, self._board
        )

    def events(self, timeout_seconds: float) -> Iterator[tuple[_Slot, Message | Lost]]:
        """Wait at most `timeout_seconds`, and yield what came of runs that have ended."""
        yield from self._ended(self._busy(), timeout_seconds)
        now = time.monotonic()
        if now - self._read_at > _READ_EVERY_SECONDS:
            self._read_at = now
            self._listen(now)
        if self._grows and now - self._counted_at > _COUNT_EVERY_SECONDS:
            self._counted_at = now
            self._grow()

    def _busy(self) -> list[_Slot]:
        """Return the members whose run is queued or under way."""
        return [member for member in self.members if member.reference is not None]

    def _ended(
        self, members: Sequence[_Slot], timeout_seconds: float
    ) -> Iterator[tuple[_Slot, Message | Lost]]:
        """Wait at most `timeout_seconds` for runs of `members` to end; yield what came of them."""
        by_reference = {member.reference: member for member in members}
        if not by_reference:
            time.sleep(timeout_seconds)
            return
        ended, rest = self._ray.wait(list(by_reference), timeout=timeout_seconds)
        if ended and rest:
            more, _ = self._ray.wait(rest, num_returns=len(rest), timeout=0)
            ended += more
        for reference in ended:
            member = by_reference[reference]
            message = self._answer(member)
            # Ray ends this process if a task is cancelled at the moment when it returns.
            member.reference = None
            self._is_unfit |= isinstance(message, Unfit)
            yield member, message

    def _answer(self, member: _Slot) -> Message | Lost:
        """Return what a run that has ended says, or why it says nothing."""
        errors = self._ray.exceptions
        try:
            message: Message = self._ray.get(member.reference)
            return message
        except errors.RayError as error:
            was_stopped = isinstance(error, errors.TaskCancelledError)
            if isinstance(error, errors.RayTaskError) and not was_stopped:
                cause = one_line(error.cause or error)[:300]
                return Unfit(f"a node of the cluster cannot begin a run: {cause}")
            if member.is_hung:
                silence = f"no sign of life for {self._hang_seconds:g} s, twice"
                reason = f"{silence}; the run was ended (see --hang-seconds)"
                return Lost(reason, was_stopped=False)
            if was_stopped:
                return Lost("the run was stopped", was_stopped=True)
            first = " ".join(str(error).split())[:200]
            return Lost(
                f"the worker was lost {_MOST_REPEATS + 1} times ({type(error).__name__}: {first})",
                was_stopped=False,
            )

    def _listen(self, now: float) -> None:
        """Note what runs have reported since last time; end those that are silent for too long."""
        try:
            reported = self._ray.get(self._board.read.remote(), timeout=10)
        except self._ray.exceptions.RayError:
            return  # it only serves the display and the watch
        for member in self.members:
            if member.task is None:
                continue
            if member.task.key in reported:
                member.heard = now
                member.step = reported[member.task.key] or member.step
                if member.step is not None and member.step.step > member.reached:
                    member.reached, member.was_repeated = member.step.step, False
            elif member.heard is not None and now - member.heard > self._hang_seconds:
                self._ray.cancel(member.reference, force=True)
                if member.was_repeated:
                    member.is_hung = True
                else:
                    member.was_repeated = True
                    self._queue(member, member.task)

    def _grow(self) -> None:
        places = num_places(self._ray, self._setting.cores, self._gpus_per_run)
        for _ in range(_QUEUED_PER_PLACE * places - len(self.members)):
            self.enlist(self._setting)

    def stop(self, grace_seconds: float) -> Iterator[tuple[_Slot, Message | Lost]]:
        """Take back what is queued, ask runs to checkpoint and end, and yield what happens.

        Those that do not end within `grace_seconds` are killed.
        """
        left = self._busy()
        # On unfit nodes all runs return by themselves, as soon as there is a process for them. To
        # cancel them just then would end this process, too.
        if self._is_unfit:
            yield from self._ending(left, _BEFORE_CANCEL_SECONDS)
        for force in (False, True):
            self._cancel(force=force)
            yield from self._ending(left, grace_seconds)
        for member in left:  # of nodes that do not answer
            yield member, Lost("the run was stopped", was_stopped=True)

    def _ending(self, left: list[_Slot], seconds: float) -> Iterator[tuple[_Slot, Message | Lost]]:
        """Yield those of `left` that end within so many seconds, and take them out of it."""
        end = time.monotonic() + seconds
        while left and time.monotonic() < end:
            for member, message in self._ended(left, 0.1):
                left.remove(member)
                yield member, message

    def kill(self) -> None:
        """End all runs at once."""
        self._cancel(force=True)

    def _cancel(self, *, force: bool) -> None:
        for member in self._busy():
            with suppress(self._ray.exceptions.RayError, ValueError):
                self._ray.cancel(member.reference, force=force)


def _beside_the_sender(ray: Any) -> dict[str, Any]:
    """Return options of an actor that lives on the machine that sends the runs."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    return {"num_cpus": 0, "max_restarts": -1, "scheduling_strategy": here}


class _Board:
    """An actor to which runs report how far they are, and which the driver asks once a second."""

    def __init__(self) -> None:
        self._reported: dict[str, Step | None] = {}

    def begin(self, key: str) -> None:
        self._reported.setdefault(key, None)

    def note(self, key: str, step: Step) -> None:
        self._reported[key] = step

    def read(self) -> dict[str, Step | None]:
        reported, self._reported = self._reported, {}
        return reported


# Ray keeps a worker's process for later runs, and offers no place for what they share: it has to be
# a cache of the process. Its key is all that the data depend on.
@lru_cache(maxsize=1)
def _held_data(setting: WorkerSetting) -> HeldData:
    return HeldData(setting)


def _do_on_node(
    task: Task, setting: WorkerSetting, requirements: NodeRequirements, board: Any
) -> Message:
    """Do a run in a worker process of the cluster; the body of a task, which may be repeated."""
    data = _held_data(setting)
    problem = _unfitness(task, setting, requirements, data)
    if problem:
        return Unfit(f"node {socket.gethostname()} {problem}")
    board.begin.remote(task.key)
    return do(task, setting, data, lambda step: board.note.remote(task.key, step))


def _unfitness(
    task: Task, setting: WorkerSetting, requirements: NodeRequirements, data: HeldData
) -> str | None:
    """Return why runs here would fail, or give other results than elsewhere; else None."""
    here = NodeRequirements.of_this_process(requirements.token).versions
    for name, wanted in requirements.versions.items():
        if here.get(name) != wanted:
            return (
                f"has {name} {here.get(name)}, but the sweep was sent with {wanted}; results could "
                "differ: install the same on all"
            )
    try:
        if not (Store(setting.store).folder / requirements.token).exists():
            return (
                f"does not see the store {setting.store}; give a folder that all nodes share, or "
                "an address in object storage (s3://…, gs://…)"
            )
        data.splits(task.spec.data)
    except DiluteError as error:
        return f"cannot do the run: {error}"
    return None
