"""Looking at all training images between steps: what the network predicts, and its features."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from dilute.methods.observed import Observed


def probabilities(model: nn.Module, observed: Observed) -> Tensor:
    """Return float32 `[M, K]` on the CPU: class probabilities of the inputs, without dropout."""
    with _looking(model):
        return torch.cat([logits.softmax(dim=1) for logits in _logits(model, observed)])


def features(model: nn.Module, observed: Observed) -> Tensor:
    """Return float32 `[M, D]` on the CPU: what the network's last linear layer takes in.

    Of a network without a linear layer they are the logits.
    """
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not linear:
        with _looking(model):
            return torch.cat(list(_logits(model, observed)))
    seen: list[Tensor] = []
    handle = linear[-1].register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0].flatten(1).float().cpu())
    )
    try:
        with _looking(model):
            for _ in _logits(model, observed):
                pass
    finally:
        handle.remove()
    return torch.cat(seen)


def look_steps(num_steps: int, looks: int) -> list[int]:
    """Return the steps before which to look so often, evenly spaced within training."""
    return [round(num_steps * number / (looks + 1)) for number in range(1, looks + 1)]


def _logits(model: nn.Module, observed: Observed) -> Iterator[Tensor]:
    device = next(model.parameters()).device
    for inputs in observed.inputs():
        yield model(torch.from_numpy(inputs).to(device)).float().cpu()


@contextmanager
def _looking(model: nn.Module) -> Iterator[None]:
    """Leave no trace: evaluation mode, no gradients, and the mode restored."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(was_training)
