"""Batches in their order, made between steps or ahead of them by worker processes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dilute.dilution import Visits
from dilute.errors import DataError, DiluteError

# A batch that takes longer than this will never come: storage hangs, or a worker does.
TIMEOUT_SECONDS = 300.0
_BATCHES_PER_WORKER = 2

Tensors = tuple[Tensor, ...]


def batches(
    visits: Visits,
    batch_size: int,
    first: int,
    last: int,
    workers: int = 0,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Iterator[Tensors]:
    """Yield batches `first` to `last` − 1, each the tensors of a `Batch`: the same ones for any number of workers.

    Arguments:
        visits: the sequence that they cut.
        batch_size: visits per batch.
        first, last: numbers of batches; batch `k` holds the visits from `k · batch_size` on.
        workers: processes that make batches ahead, two each; 0 to make each when it is asked for.
        timeout_seconds: how long to wait for a worker's batch.

    Errors: what `Visits.batch` raises, as it raised it; `DataError` if a worker dies or a batch does not come
        in time.
    """
    made = _Batches(visits, batch_size)
    if not workers:
        for number in range(first, last):
            yield made.batch(number)
        return
    loader = iter(
        DataLoader(
            made,
            batch_size=None,
            sampler=range(first, last),
            num_workers=workers,
            collate_fn=_as_it_is,
            prefetch_factor=_BATCHES_PER_WORKER,
            timeout=timeout_seconds,
            generator=torch.Generator(),  # or it would draw from the one that training draws from
            worker_init_fn=_leave_interrupts_to_the_parent,
        )
    )
    while True:
        try:
            found = next(loader)
        except StopIteration:
            return
        except RuntimeError as error:  # PyTorch's for a worker that was killed, or a timeout
            raise DataError(
                f"loading images ahead failed: {str(error).splitlines()[0]}; try fewer --loader-workers "
                "(or 0), or see whether memory runs out or storage hangs"
            ) from error
        if isinstance(found, DiluteError):
            raise found
        _, _, weights, images = found
        # What a worker could not read, it alone has noted so far.
        visits.noisy.note_unreadable(images[weights == 0].numpy())
        yield found


class _Batches(Dataset[Tensors | DiluteError]):
    """Batches by number, as `DataLoader` wants them."""

    def __init__(self, visits: Visits, batch_size: int) -> None:
        self._visits = visits
        self._batch_size = batch_size

    def batch(self, number: int) -> Tensors:
        first = number * self._batch_size
        arrays = self._visits.batch(first, first + self._batch_size)
        return tuple(torch.from_numpy(array) for array in arrays)

    def __getitem__(self, number: int) -> Tensors | DiluteError:
        try:
            return self.batch(number)
        except DiluteError as error:
            return error  # raised in a worker, it would arrive as a traceback of many lines


def _as_it_is(found: Any) -> Any:
    return found


def _leave_interrupts_to_the_parent(_: int) -> None:
    """Let Ctrl-C, which reaches all processes of a terminal, stop the parent alone; it then ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
