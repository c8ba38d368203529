"""One step's gradient from the parts of a batch: a rank's rows, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dilute.errors import SpecError
from dilute.methods import Method, Objective, TensorBatch
from dilute.models.dropout import part_of_batch
from dilute.world import World


@dataclass(frozen=True)
class Division:
    """How a batch is divided, which changes results by float rounding alone.

    Arguments:
        world: the ranks that share it.
        micro_batch_size: most rows that a rank sends through the network at once, ≥ 1; all of its rows if None.
    """

    world: World
    micro_batch_size: int | None = None

    def parts(self, batch_size: int) -> list[tuple[int, int]]:
        """Return this rank's rows of a batch, first and behind the last, in micro-batches."""
        first, last = self.world.rows(batch_size)
        size = self.micro_batch_size or batch_size
        return [(start, min(start + size, last)) for start in range(first, last, size)]

    def check(
        self, method: Method, model: nn.Module, batch_size: int, device: torch.device
    ) -> None:
        """Refuse what divided batches would change by more than rounding.

        Errors: `SpecError`.
        """
        ranks, micro = self.world.size, self.micro_batch_size
        if micro is not None and micro < 1:
            raise SpecError(f"micro_batch_size = {micro} cannot be; it must be a whole number ≥ 1")
        if batch_size < ranks:
            raise SpecError(
                f"batch_size = {batch_size} leaves some of {ranks} ranks without an image; "
                f"take a batch of {ranks} or more, or fewer ranks"
            )
        is_micro = micro is not None and micro < -(-batch_size // ranks)
        if ranks == 1 and not is_micro:
            return
        how = f"micro-batches of {micro}" if is_micro else f"{ranks} ranks"
        if not method.is_sum_over_rows:
            raise SpecError(
                f"{method.title} looks at a batch as a whole, which {how} would divide; "
                "take another method, or one process and whole batches"
            )
        normalises = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())
        if normalises and (is_micro or device.type != "cuda"):
            raise SpecError(
                f"the model has batch normalisation, which looks at a batch as a whole, and {how} would divide it; "
                "take one process and whole batches, or GPUs without micro-batches"
            )


def backward(
    objective: Objective,
    model: nn.Module,
    ahead: Iterator[tuple[Tensor, ...]],
    batch_size: int,
    *,
    division: Division,
    seed: int,
    device: torch.device,
) -> Tensor:
    """Add to the gradients what this rank's rows of a batch give, and return what they give to its mean loss.

    Arguments:
        objective, model: on `device`; the loss is the mean over rows, if the batch is divided.
        ahead: next yields the batch's parts of this rank, each the tensors of a `Batch`.
        seed: of randomness inside the model in this step.

    Summed over ranks, gradients and losses are those of the whole batch.
    """
    total: Tensor | None = None
    for first, last in division.parts(batch_size):
        batch = TensorBatch(*(tensor.to(device) for tensor in next(ahead)))
        with part_of_batch(first, last, batch_size, seed, device):
            loss = objective(model, batch)
        if last - first < batch_size:
            loss = loss * ((last - first) / batch_size)
        torch.autograd.backward(loss)
        total = loss.detach() if total is None else total + loss.detach()
    assert total is not None, "a rank without a row"
    return total
