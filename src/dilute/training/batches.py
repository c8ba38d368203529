"""Batches in their order, made between steps or ahead of them by worker processes."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dilute.dilution import Visits
from dilute.errors import DataError, DiluteError, one_line

# A batch that takes longer than this will never come: storage hangs, or a worker does.
TIMEOUT_SECONDS = 300.0
_LOOK_EVERY_SECONDS = 2.0
_BATCHES_PER_WORKER = 2
# Workers that are forked share labels and images with the parent; others would get a copy each.
_FORK = "fork" if "fork" in multiprocessing.get_all_start_methods() else None
_LESS_MEMORY = "take fewer --loader-workers or smaller batches"

Tensors = tuple[Tensor, ...]
Span = tuple[int, int]
"""The first row or visit, and one past the last."""


def batches(
    visits: Visits,
    batch_size: int,
    first: int,
    last: int,
    workers: int = 0,
    timeout_seconds: float = TIMEOUT_SECONDS,
    parts: Sequence[Span] | None = None,
) -> Iterator[Tensors]:
    """Yield batches `first` to `last` − 1, the same ones for any number of workers.

    Each is the tensors of a `Batch`, in its order.

    Arguments:
        visits: the sequence that they cut.
        batch_size: visits per batch.
        first, last: numbers of batches; batch `k` holds the visits from `k · batch_size` on.
        workers: processes that make batches ahead, two each; 0 to make each when it is asked for.
        timeout_seconds: how long to wait for a worker's batch.
        parts: the rows of each batch that are yielded, one part after the other; the others are not
            read. Whole batches if None.

    Errors: what `Visits.batch` raises, as it raised it; `DataError` if a worker dies or a batch
        does not come in time.
    """
    made = _Batches(visits)
    in_batch = [(0, batch_size)] if parts is None else parts
    wanted = _Wanted(batch_size, range(first, last), in_batch)
    if not workers:
        for span in wanted:
            yield made.batch(span)
        return
    loader = _started(made, wanted, workers)
    try:
        for start, _ in wanted:
            found = _next(loader, timeout_seconds)
            if isinstance(found, DiluteError):
                raise found
            *_, skipped = found
            for place in skipped.tolist():  # the worker alone has noted it; here it is noted, too
                visits.batch(start + place, start + place + 1)
            yield found
    finally:
        del loader  # which ends the workers


def _started(made: _Batches, wanted: _Wanted, workers: int) -> Any:
    """Return an iterator over the visits that are wanted, with its workers at work."""
    # PyTorch would raise an error for the death of a worker wherever the main process is just then,
    # half way through a step or a file; the next request for a batch is soon enough.
    is_main = threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGCHLD")
    before = signal.getsignal(signal.SIGCHLD) if is_main else None
    with warnings.catch_warnings():
        # More workers than cores are the user's choice; they may wait for a network.
        warnings.filterwarnings("ignore", "This DataLoader will create")
        loader: Any = iter(
            DataLoader(
                made,
                batch_size=None,
                sampler=wanted,
                num_workers=workers,
                collate_fn=_as_it_is,
                prefetch_factor=_BATCHES_PER_WORKER,
                multiprocessing_context=_FORK,
                timeout=_LOOK_EVERY_SECONDS,
                # Without one of its own it would draw from the generator of training.
                generator=torch.Generator(),
                worker_init_fn=_leave_interrupts_to_the_parent,
            )
        )
    if is_main:
        signal.signal(signal.SIGCHLD, before)
    for worker in loader._workers:
        # PyTorch ends a worker that hangs after 5 s, or Python does at its end, by a SIGTERM;
        # workers ignore that.
        worker._popen.terminate = worker._popen.kill
    return loader


def _next(loader: Iterator[Any], timeout_seconds: float) -> Any:
    """Return the next batch; or an error: a worker's own, that it died, or that the time is up.

    It returns the error, since a traceback that holds the loader would keep its workers alive.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            return next(loader)
        # The last two where a worker dies while it hands over what it has.
        except (RuntimeError, EOFError, OSError) as error:
            reason = next(iter(str(error).splitlines()), "a worker process died")
        # Waiting in short turns, after each of which PyTorch looks whether its workers live.
        if "timed out" not in reason:
            return DataError(f"loading ahead failed: {reason}; if memory ran out, {_LESS_MEMORY}")
        if time.monotonic() > deadline:
            return DataError(
                f"loading ahead failed: no batch came within {timeout_seconds:g} s; see whether "
                "the disk or network that holds the data hangs"
            )


@dataclass(frozen=True)
class _Wanted:
    """The visits of some batches' parts, in order."""

    batch_size: int
    numbers: range
    parts: Sequence[Span]

    def __len__(self) -> int:
        return len(self.numbers) * len(self.parts)

    def __iter__(self) -> Iterator[Span]:
        for number in self.numbers:
            start = number * self.batch_size
            yield from ((start + first, start + last) for first, last in self.parts)


class _Batches(Dataset[Tensors | DiluteError]):
    """Batches by the visits that they hold, as `DataLoader` wants them."""

    def __init__(self, visits: Visits) -> None:
        self._visits = visits

    def batch(self, span: Span) -> Tensors:
        return tuple(torch.from_numpy(array) for array in self._visits.batch(*span))

    def __getitem__(self, span: Span) -> Tensors | DiluteError:
        try:
            return self.batch(span)
        # Raised in a worker, it would arrive as a traceback of many lines, or without its reason.
        except DiluteError as error:
            return error
        except MemoryError as error:
            return DataError(f"loading ahead failed: {one_line(error).rstrip(':')}; {_LESS_MEMORY}")
        except Exception as error:
            return DataError(f"loading ahead failed: {one_line(error)}")


def _as_it_is(found: Any) -> Any:
    return found


def _leave_interrupts_to_the_parent(_: int) -> None:
    """Ignore the signals that ask all processes of a terminal or a job to stop.

    Ctrl-C is one, and SIGTERM as torchrun, Slurm and systemd send it. The parent stops, and then
    ends its workers.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
