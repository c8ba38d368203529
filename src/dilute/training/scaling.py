"""Raw inputs to network inputs, on the device: uint8 stays uint8 until here."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Scaled(nn.Module):
    """A network behind standardisation: takes uint8 images (or float features) as they are stored.

    Arguments:
        network: maps float32 `[B, …]` to logits `[B, K]`.
        mean, deviation: of the training inputs: `[C]` per channel for images (in 0 … 255), or of
            the features' shape. A deviation of 0 counts as 1.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, mean: NDArray[Any], deviation: NDArray[Any]) -> None:
        super().__init__()
        self.network = network
        for name, values in (("mean", mean), ("deviation", deviation)):
            tensor = torch.tensor(values, dtype=torch.float32)
            self.register_buffer(name, tensor)
        self.deviation[self.deviation == 0] = 1.0

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits `[B, K]` for raw inputs `[B, …]`."""
        logits: Tensor = self.network(self.scaled(inputs))
        return logits

    def scaled(self, inputs: Tensor) -> Tensor:
        """Return raw inputs `[B, …]` as the network gets them: float32, of mean 0, deviation 1."""
        mean, deviation = self.mean, self.deviation
        if mean.ndim == 1 and inputs.ndim == 4:  # images: as stored, or mixed into float32
            mean, deviation = mean[:, None, None], deviation[:, None, None]
        if inputs.dtype == torch.uint8:
            values = inputs.to(torch.float32, memory_format=torch.channels_last)
        else:
            values = inputs.clone()
        return values.sub_(mean).div_(deviation)
