"""Gradients of a model's loss, batch by batch, at weights that stay as they are."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dilute import seeds
from dilute.dilution import Batch, Visits
from dilute.errors import ModelError
from dilute.methods import Loss

WHOLE = ""
"""The name under which the whole model stands beside its layers."""
_SMALLEST_BATCH_OF_BATCH_NORM = 32


class Layer(NamedTuple):
    """A module with parameters of its own: its place among all, and how many tensors."""

    name: str
    start: int
    stop: int
    num_tensors: int


class Probe:
    """A copy of a model in training mode, from which gradients of its loss are taken.

    Arguments:
        model: maps raw inputs to logits; it is copied, and nothing in it changes.
        loss_of: from logits and targets to losses, as in `METHODS`.
        device: where the model is.
        seed: of randomness inside the model, as dropout.

    Errors: `ModelError` if no parameter takes gradients.
    """

    def __init__(self, model: nn.Module, loss_of: Loss, device: torch.device, seed: int) -> None:
        self._model = copy.deepcopy(model).train()
        self._loss_of = loss_of
        self._device = device
        self._seed = seed
        named = [(name, p) for name, p in self._model.named_parameters() if p.requires_grad]
        if not named:
            raise ModelError(
                "the model has no parameter that takes gradients; give one with requires_grad"
            )
        self._parameters = [parameter for _, parameter in named]
        self.layers = _layers(named)

    @property
    def num_parameters(self) -> int:
        """How many numbers a gradient has."""
        return sum(parameter.numel() for parameter in self._parameters)

    @property
    def smallest_batch(self) -> int:
        """The smallest batch for a usual training step: 1, or 32 with batch normalisation."""
        normalises = any(
            isinstance(module, nn.modules.batchnorm._BatchNorm) for module in self._model.modules()
        )
        return _SMALLEST_BATCH_OF_BATCH_NORM if normalises else 1

    def gradients(self, batches: Iterable[Batch]) -> Tensor:
        """Return the gradient of the loss of each batch, float32 `[C, D]` on the CPU.

        Examples are weighted as in training.

        Errors: `ModelError` if one is not finite.
        """
        rows = [
            torch.cat([part.flatten() for part in parts]).cpu() for parts in self._each(batches)
        ]
        answer = torch.stack(rows)
        _check_finite(answer.sum())
        return answer

    def squared_lengths(self, batches: Iterable[Batch]) -> dict[str, NDArray[np.float64]]:
        """Return the squared length of each batch's gradient, float64 `[N]`.

        By layer, and for the whole model.

        Errors: `ModelError` if one is not finite.
        """
        squares = torch.stack(
            [
                torch.stack([part.square().sum() for part in parts]).cpu()
                for parts in self._each(batches)
            ]
        ).double()
        _check_finite(squares.sum())
        of_layers = {}
        first = 0
        for layer in self.layers:
            last = first + layer.num_tensors
            of_layers[layer.name] = squares[:, first:last].sum(dim=1).numpy()
            first = last
        return {WHOLE: squares.sum(dim=1).numpy(), **of_layers}

    def trace(self, batches: Iterable[Batch], batch_size: int) -> tuple[float, float]:
        """Return `tr(S)` of the gradient of one visit, and the variance of that estimate.

        It is taken from batches of `batch_size`.

        Errors: `ModelError` if a gradient is not finite.
        """
        squares: list[float] = []
        total = [torch.zeros_like(parameter) for parameter in self._parameters]
        for parts in self._each(batches):
            squares.append(sum(float(part.square().sum()) for part in parts))
            torch._foreach_add_(total, parts)
        of_total = sum(float(part.double().square().sum()) for part in total)
        _check_finite(torch.tensor(of_total))
        number = len(squares)
        of_mean = (of_total - sum(squares)) / (number * (number - 1))
        trace = batch_size * (float(np.mean(squares)) - of_mean)
        return trace, batch_size**2 * float(np.var(squares, ddof=1)) / number

    def _each(self, batches: Iterable[Batch]) -> Iterable[list[Tensor]]:
        cuda = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices=cuda):
            torch.manual_seed(seeds.word(self._seed, "gradients", "inside the model"))
            for batch in batches:
                yield self._gradient(batch)

    def _gradient(self, batch: Batch) -> list[Tensor]:
        if not len(batch.images):  # none of them decodes
            return [torch.zeros_like(parameter) for parameter in self._parameters]
        inputs, targets, weights = (torch.from_numpy(array).to(self._device) for array in batch[:3])
        loss = (self._loss_of(self._model(inputs), targets) * weights).mean()
        if len(batch.skipped):
            loss = loss * (len(batch.images) / (len(batch.images) + len(batch.skipped)))
        if not loss.requires_grad:
            raise ModelError("the model's output does not depend on its parameters; no gradient")
        parts = torch.autograd.grad(loss, self._parameters, allow_unused=True)
        return [
            torch.zeros_like(parameter) if part is None else part
            for part, parameter in zip(parts, self._parameters, strict=True)
        ]


def _check_finite(total: Tensor) -> None:
    if not torch.isfinite(total):
        raise ModelError("the gradient at these weights is not finite; take other weights")


def drawn(visits: Visits, number: int, size: int, *names: str | int) -> Iterable[Batch]:
    """Yield `number` batches of `size` visits each, drawn with replacement.

    Arguments:
        names: of the stream, under the visits' own seed, that says which.
    """
    for start in range(0, number * size, size):
        words = seeds.raw(visits.seed, "gradients", *names, start=start, count=size)
        yield visits.read((words % np.uint64(visits.visits_per_epoch)).astype(np.int64))


def _layers(named: list[tuple[str, nn.Parameter]]) -> list[Layer]:
    layers: list[Layer] = []
    stop = 0
    for path, parameter in named:
        name = path.rpartition(".")[0].removeprefix("network.") or path
        start, stop, num_tensors = stop, stop + parameter.numel(), 1
        if layers and layers[-1].name == name:
            before = layers.pop()
            start, num_tensors = before.start, before.num_tensors + 1
        layers.append(Layer(name, start, stop, num_tensors))
    return layers
