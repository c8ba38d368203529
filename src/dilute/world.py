"""The processes of one data-parallel run, as `torchrun` starts them, and what they agree on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from dilute import launcher
from dilute.environment import choose_device
from dilute.errors import DiluteError, RankError, WorldError

SILENCE_SECONDS = 600.0
T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """One of `size` processes (ranks) that train one model.

    With one process, its methods change nothing and cost nothing.

    What is reduced has the same bits on every rank, so that decisions taken by it are taken alike.
    Every method but `rows` and `speaks_first` is called by all ranks, in the same order.

    Arguments:
        rank: number of this process, 0 to size − 1; rank 0 writes records, checkpoints and
            messages.
        size: how many processes there are, ≥ 1.
        silence_seconds: how long a rank waits for the others before it gives up.

    Errors: methods raise `WorldError` if another rank has ended or is silent for too long.
    """

    rank: int = 0
    size: int = 1
    silence_seconds: float = SILENCE_SECONDS

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def rows(self, total: int) -> tuple[int, int]:
        """Return the first of this rank's rows, and one past the last, of `total` rows.

        Rows of a rank are contiguous; ranks have equally many, or one more or less.
        """
        return self.rank * total // self.size, (self.rank + 1) * total // self.size

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum of the ranks' tensors, in the place of this one's."""
        if self.size > 1:
            with self._waiting():
                dist.all_reduce(tensor)
        return tensor

    def any(self, answer: bool) -> bool:
        """Return whether `answer` is true on any rank.

        It takes 0.1 ms on one machine, and no GPU waits for it.
        """
        if self.size == 1:
            return answer
        return bool(self.sum(torch.tensor(int(answer))))

    def from_first(self, make: Callable[[], T]) -> T:
        """Return what `make` returns on rank 0, on every rank; it is called on rank 0 alone.

        If it raises a `DiluteError`, every rank raises it.
        """
        if self.size == 1:
            return make()
        made: list[T | DiluteError | None] = [None]
        if self.is_first:
            try:
                made[0] = make()
            except DiluteError as error:
                made[0] = error
        with self._waiting():
            dist.broadcast_object_list(made, src=0, device=torch.device("cpu"))
        answer = made[0]
        if isinstance(answer, DiluteError):
            raise answer
        return answer  # type: ignore[return-value]

    def check_same(self, what: str, value: object) -> None:
        """Check that all ranks have the `value` of rank 0.

        Errors: `WorldError`, on each rank that has another.
        """
        if self.from_first(lambda: value) != value:
            raise WorldError(
                f"rank {self.rank} has other {what} than rank 0; "
                "give all ranks the same command and data"
            )

    def copy_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Bring `tensors` to rank 0's values."""
        if self.size > 1:
            with self._waiting(), torch.no_grad():
                for tensor in tensors:
                    dense = tensor.contiguous()
                    dist.broadcast(dense, src=0)
                    tensor.copy_(dense)

    def sum_gradients(self, parameters: Sequence[Tensor], loss: Tensor) -> Tensor:
        """Put the sum of the ranks' gradients in `parameters`, and return the sum of their losses.

        All go through one buffer in one order, so that the sum has the same bits in every repeat,
        and after a resumption. A parameter that has no gradient on any rank keeps none.
        """
        if self.size == 1:
            return loss
        has = loss.new_tensor([float(p.grad is not None) for p in parameters])
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = self.sum(torch.cat([part.flatten() for part in [*parts, has, loss]]))
        sizes = [*(p.numel() for p in parameters), len(has), 1]
        *sums, has, loss = torch.split(flat, sizes)
        for parameter, total, number in zip(parameters, sums, has, strict=True):
            if parameter.grad is not None:
                parameter.grad.copy_(total.view_as(parameter))
            elif number > 0:
                parameter.grad = torch.empty_like(parameter).copy_(total.view_as(parameter))
        return loss.reshape(())

    def speaks_first(self) -> bool:
        """Return whether no rank has asked this before: of several that fail, one says why."""
        if self.size == 1:
            return True
        try:
            return int(dist.distributed_c10d._get_default_store().add("dilute/spoken", 1)) == 1
        except (RuntimeError, ValueError):  # whoever kept the count has gone
            return True

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise WorldError(
                f"rank {self.rank} of {self.size} lost the others: one has ended, or was silent "
                f"for {self.silence_seconds:g} s; the same command goes on from the last "
                "checkpoint, if there is one"
            ) from error


ALONE = World()


@contextmanager
def joined(device: str | None, silence_seconds: float = SILENCE_SECONDS) -> Iterator[World]:
    """Yield the world that `torchrun` put this process in; `ALONE` if it did not.

    Arguments:
        device: as for `dilute.environment.choose_device`; GPUs talk by NCCL, CPUs by Gloo.
        silence_seconds: as for `World`.

    Errors: `WorldError` if the ranks do not find each other, or for other devices; `RankError` if
        there is no GPU for this rank.
    """
    size = launcher.number("WORLD_SIZE", 1)
    if size <= 1:
        yield ALONE
        return
    kind = own_device(device, size) or "cpu"
    if kind == "cpu":
        backend = "gloo"
    elif kind.startswith("cuda"):
        _check_has_own_gpu(device)
        torch.cuda.set_device(choose_device(kind))
        backend = "cpu:gloo,cuda:nccl"  # what is agreed on stays on CPUs, and stops no GPU
    else:
        raise WorldError(f"device '{device}' cannot be used by several ranks; take cpu or cuda")
    limit = timedelta(seconds=silence_seconds)
    try:
        dist.init_process_group(backend, timeout=limit)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise WorldError(
            f"the {size} ranks did not find each other within {silence_seconds:g} s ({reason}); "
            "start them with torchrun, or unset WORLD_SIZE"
        ) from None
    yield World(dist.get_rank(), size, silence_seconds)
    # After an error this would wait for ranks that may be gone; the process ends then.
    dist.destroy_process_group()


def _check_has_own_gpu(device: str | None) -> None:
    """Check that this machine has a GPU for each of its ranks, unless all were given the same one.

    Errors: `RankError`.
    """
    number, gpus = launcher.number("LOCAL_RANK", 0), torch.cuda.device_count()
    if device in (None, "cuda") and number >= gpus:
        raise RankError(
            f"rank {launcher.number('RANK', 0)} is number {number} on its machine, counted from 0, "
            f"which has {gpus} GPUs; "
            f"take --nproc-per-node {gpus} or fewer, or --device cpu"
        )


def own_device(device: str | None, size: int) -> str | None:
    """Return the device of one of `size` ranks: its own GPU if GPUs are meant, else `device`."""
    if size > 1 and device in (None, "cuda") and torch.cuda.is_available():
        return f"cuda:{launcher.number('LOCAL_RANK', 0)}"
    return device
