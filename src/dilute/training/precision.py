"""A network whose matrix products and convolutions are done in fewer bits than its weights have."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Autocast(nn.Module):
    """`model` in PyTorch's automatic mixed precision with bfloat16.

    Weights, logits and losses stay float32.

    It needs no scaling of the loss, since bfloat16 has the range of float32. Run on CPUs only; not
    yet on a GPU.

    Arguments:
        model: maps raw inputs to logits.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits float32 `[B, K]` for raw inputs `[B, …]`."""
        with torch.autocast(inputs.device.type, torch.bfloat16):
            logits: Tensor = self.model(inputs)
        return logits.float()
