"""One step's gradient from the parts of a batch: the rows of one rank, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dilute.errors import SpecError
from dilute.methods import Method, Objective, TensorBatch
from dilute.models.dropout import PartOfBatch, as_part
from dilute.training.batches import Span, Tensors
from dilute.world import World


@dataclass(frozen=True)
class Division:
    """How a batch is divided, which changes results by float rounding alone.

    Arguments:
        world: the ranks that share it.
        micro_batch_size: most rows that a rank sends through the network at once, ≥ 1; all of its
            rows if None.
    """

    world: World
    micro_batch_size: int | None = None

    def parts(self, batch_size: int) -> list[Span]:
        """Return this rank's rows of a batch, in micro-batches."""
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
                "the model has batch normalisation, which looks at a batch as a whole, and "
                f"{how} would divide it; take one process and whole batches, or GPUs without "
                "micro-batches"
            )


def backward(
    objective: Objective,
    model: nn.Module,
    ahead: Iterator[Tensors],
    batch_size: int,
    *,
    division: Division,
    seed: int,
    device: torch.device,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Add the gradient of this rank's rows of a batch; return their share of the batch's mean loss.

    Summed over ranks, gradients and losses are those of the whole batch: sums over the rows that
    are there, divided by `batch_size`. Rows whose image does not decode are not there. Where no row
    is left, nothing is added.

    Arguments:
        objective, model: on `device`; the loss is the mean over rows, if the batch is divided.
        ahead: next yields the batch's parts of this rank.
        seed: of randomness inside the model in this step.
        label_smoothing: share of each row's target that is spread over all classes, 0 to 1.
    """
    total: Tensor | None = None
    for first, last in division.parts(batch_size):
        *fields, skipped = next(ahead)
        batch = TensorBatch(*(tensor.to(device) for tensor in fields))
        if label_smoothing:
            kept = (1 - label_smoothing) * batch.targets
            batch = batch._replace(targets=kept + label_smoothing / kept.shape[1])
        rows = _rows_that_are_there(first, last, skipped)
        if len(rows) == 0:
            _keep_in_step(model, batch)
            continue
        # For random layers other than our own: a seed for each part, apart from whole batches'.
        torch.manual_seed(seed if last - first == batch_size else seed ^ first ^ (1 << 62))
        if len(rows) == batch_size:
            loss = objective(model, batch)
        else:
            masks = torch.Generator(device).manual_seed(seed)
            part = PartOfBatch(rows.to(device), batch_size, masks)
            with as_part((model, objective), part):
                loss = objective(model, batch) * (len(rows) / batch_size)
        torch.autograd.backward(loss)
        total = loss.detach() if total is None else total + loss.detach()
    return torch.zeros((), device=device) if total is None else total


def _rows_that_are_there(first: int, last: int, skipped: Tensor) -> Tensor:
    """Return int64 `[B]`: the rows `first` to `last` − 1 without those that are skipped."""
    is_there = torch.ones(last - first, dtype=torch.bool)
    is_there[skipped] = False
    return first + torch.nonzero(is_there).flatten()


def _keep_in_step(model: nn.Module, batch: TensorBatch) -> None:
    """Let layers that talk to other ranks do so for a part without rows, or those would wait."""
    if any(isinstance(layer, nn.SyncBatchNorm) for layer in model.modules()):
        torch.autograd.backward(model(batch.inputs).sum())
