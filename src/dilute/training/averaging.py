"""Moving averages of a network's weights over the steps of training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """Return a copy of `model` whose weights, and statistics of its norms, follow by averages.

    `update_parameters(model)` is called after each step; `.module` is the averaged network.

    Arguments:
        decay: share of the average that a step keeps, 0 to 1; after t steps (1 + t)/(10 + t) at
            most, so that the first steps are soon forgotten.
    """
    return AveragedModel(model, multi_avg_fn=_towards(decay), use_buffers=True)


def _towards(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    @torch.no_grad()
    def update(averages: Sequence[Tensor], now: Sequence[Tensor], steps: Tensor | int) -> None:
        weight = 1 - min(decay, (1 + int(steps)) / (10 + int(steps)))
        if averages[0].is_floating_point():
            torch._foreach_lerp_(list(averages), list(now), weight)
        else:  # as the number of batches that a norm has seen
            torch._foreach_copy_(list(averages), list(now))

    return update
