"""Ctrl-C and SIGTERM as a question that a loop asks, so that it can save before it stops."""

from __future__ import annotations

import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """Work was asked to stop and stopped, after it had saved what it needs to go on.

    It is the only exception for stopping.
    """


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether the process was asked to stop.

    A second Ctrl-C stops at once. Outside the main thread, where signals cannot be caught, the
    function always returns False.
    """
    requested = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        if requested.is_set() and number == signal.SIGINT:
            signal.default_int_handler(number, frame)
        requested.set()

    if threading.current_thread() is not threading.main_thread():
        yield requested.is_set
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield requested.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def begin_process(**handles: int) -> None:
    """Run as the process that `multiprocessing` spawns; end silently if its parent has died.

    Arguments:
        handles: what `multiprocessing.spawn.spawn_main` takes.
    """
    from multiprocessing.spawn import spawn_main

    try:
        spawn_main(**handles)
    except (EOFError, pickle.UnpicklingError):
        sys.exit(1)
