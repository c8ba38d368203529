"""The worker processes of this machine: started, given runs, read from, and stopped."""

from __future__ import annotations

import math
import multiprocessing
import multiprocessing.connection
import pickle
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing import resource_tracker, spawn
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from dilute.errors import SpecError
from dilute.sweeps.crew import Lost, Member
from dilute.sweeps.workers import Message, Ready, Step, Stopped, Task, WorkerSetting, work

_MOST_SECONDS_BETWEEN_LOOKS = 2.0
_MOST_SECONDS_TO_START = 300.0  # importing PyTorch from a busy network disk
_SPAWN = multiprocessing.get_context("spawn")
_STANDARD_COMMAND = spawn.get_command_line


class _Process(Member):
    """A worker process, and the run that it has in hand."""

    def __init__(self, setting: WorkerSetting, now: float) -> None:
        super().__init__(setting)
        self.has_started = False
        self.is_leaving = False
        self.heard = now
        self.is_hung = False
        self.is_closed = False
        self.connection, theirs = _SPAWN.Pipe()
        self.process: SpawnProcess = _SPAWN.Process(target=work, args=(theirs, setting))
        _start(self.process)
        theirs.close()

    @property
    def is_idle(self) -> bool:
        return self.has_started and not self.is_leaving and self.task is None

    @property
    def is_running(self) -> bool:
        return self.task is not None


class LocalCrew:
    """A crew of processes on this machine.

    Arguments:
        settings: one per worker.
        hang_seconds: a worker that is silent for so long is killed.
    """

    def __init__(self, settings: Sequence[WorkerSetting], hang_seconds: float) -> None:
        self._hang_seconds = hang_seconds
        # Time in which this process did not look (it was suspended, perhaps with workers) does not
        # count as a worker's silence; so the clock for that is our own.
        self._clock = 0.0
        self._looked = time.monotonic()
        self.members: list[_Process] = []
        try:
            for setting in settings:
                self.enlist(setting)
        except BaseException:
            self.kill()
            raise

    def enlist(self, setting: WorkerSetting) -> None:
        """Start a worker."""
        self.members.append(_Process(setting, self._clock))

    def give(self, member: _Process, task: Task) -> None:
        """Give a worker that is idle a run."""
        member.take(task)
        member.heard = self._clock
        with suppress(OSError):  # it has died: the next look finds that
            member.connection.send(task)

    def events(self, timeout_seconds: float) -> Iterator[tuple[_Process, Message | Lost]]:
        """Wait at most `timeout_seconds`, and yield what workers say and which are lost.

        Those that are lost are members no more.
        """
        waited_for: list[Connection | int] = [m.process.sentinel for m in self.members]
        waited_for += [m.connection for m in self.members if not m.is_closed]
        heard_of = multiprocessing.connection.wait(waited_for, timeout_seconds)
        now = time.monotonic()
        self._clock += min(now - self._looked, timeout_seconds + _MOST_SECONDS_BETWEEN_LOOKS)
        self._looked = now
        for member in list(self.members):
            if member.connection in heard_of or member.process.sentinel in heard_of:
                for message in _messages(member):
                    member.heard = self._clock
                    member.has_started |= isinstance(message, Ready)
                    member.is_leaving |= isinstance(message, Stopped)
                    if isinstance(message, Step):
                        member.step = message
                    yield member, message
            if member.process.sentinel in heard_of:
                yield member, self._end_of(member)
            elif self._clock - member.heard > self._most_silence(member):
                member.is_hung = True
                member.process.kill()

    def stop(self, grace_seconds: float) -> Iterator[tuple[_Process, Message | Lost]]:
        """Ask all workers to checkpoint and end, and yield what happens.

        Those that do not end within `grace_seconds` are killed.
        """
        for member in self.members:
            member.process.terminate()
        end = time.monotonic() + grace_seconds
        while self.members and time.monotonic() < end:
            yield from self.events(0.1)
        self.kill()
        while self.members:
            yield from self.events(1.0)

    def kill(self) -> None:
        """End all workers at once."""
        for member in self.members:
            member.process.kill()

    def _most_silence(self, member: _Process) -> float:
        if member.is_idle:
            return math.inf
        started = member.has_started
        return self._hang_seconds if started else max(self._hang_seconds, _MOST_SECONDS_TO_START)

    def _end_of(self, member: _Process) -> Lost:
        member.process.join()
        code = member.process.exitcode or 0
        member.connection.close()
        member.process.close()
        self.members.remove(member)
        if member.is_hung:
            silence = f"no sign of life for {self._hang_seconds:g} s"
            reason = f"{silence}; the worker was killed (see --hang-seconds)"
            return Lost(reason, was_stopped=False)
        return Lost(_reason(code), was_stopped=code == -signal.SIGTERM)


def _start(process: SpawnProcess) -> None:
    """Start the process with Ctrl-C held back until it ignores it.

    So it prints no traceback while it imports.

    Errors: `SpecError` if the system allows no more processes.
    """
    can_hold = hasattr(signal, "pthread_sigmask")
    try:
        if can_hold:
            # Started later, it would release the signals.
            resource_tracker.ensure_running()
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        spawn.get_command_line = _command_line
        process.start()
    except OSError as error:
        raise SpecError(
            f"a worker process cannot be started: {error.strerror}; take fewer workers"
        ) from error
    finally:
        spawn.get_command_line = _STANDARD_COMMAND
        if can_hold:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


def _command_line(**handles: int) -> list[str]:
    """Return the standard library's command for a process, changed in one thing.

    The process ends quietly if its parent dies meanwhile.
    """
    theirs = "from multiprocessing.spawn import spawn_main; spawn_main("
    ours = "from dilute.interruption import begin_process; begin_process("
    words = _STANDARD_COMMAND(**handles)
    return [word.replace(theirs, ours) if isinstance(word, str) else word for word in words]


def _messages(member: _Process) -> Iterator[Message]:
    """Yield all that lies in the member's pipe."""
    try:
        while not member.is_closed and member.connection.poll():
            yield member.connection.recv()
    except (EOFError, OSError, pickle.UnpicklingError):  # closed, perhaps in mid-message
        member.is_closed = True


def _reason(code: int) -> str:
    if code >= 0:
        return f"the worker ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    memory = ", as the system does when memory runs out" if -code == signal.SIGKILL else ""
    return f"the worker was killed by signal {-code} ({name}){memory}"
