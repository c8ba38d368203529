"""Dropout with cheap masks, the same whether a batch goes through a network whole or in parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class PartOfBatch:
    """Some rows of a larger batch.

    Arguments:
        rows: int64 `[B]`: where in the whole batch each row stands.
        batch_size: rows of the whole batch.
        generator: gives the masks of the whole batch, in the order of the network's layers.
    """

    rows: Tensor
    batch_size: int
    generator: torch.Generator


class ByteDropout(nn.Module):
    """Dropout with one random byte per value; exact for probabilities that are multiples of 1/256.

    The usual dropout draws one generator output per value, which on CPUs takes as long as a
    convolution; here eight values share one 64-bit draw.

    Arguments:
        probability: share of values set to 0 in training, 0 to 1, a multiple of 1/256.

    Attributes:
        part: which rows of a larger batch come next (`as_part` sets it): they get the bytes that
            they would get in the whole batch. None for whole batches.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.threshold = round(probability * 256)
        assert self.threshold == probability * 256, probability
        assert 0 <= self.threshold < 256, probability
        self.part: PartOfBatch | None = None

    def forward(self, values: Tensor) -> Tensor:
        """Return `values`, in training with some set to 0 and the rest scaled up."""
        if not self.training or not self.threshold:
            return values
        bytes_ = self._random_bytes(values)
        kept = torch.empty_like(values, dtype=torch.bool)  # in the values' own memory format
        torch.ge(bytes_.as_strided(values.shape, kept.stride()), self.threshold, out=kept)
        return values * kept * (256 / (256 - self.threshold))

    def extra_repr(self) -> str:
        """Return the probability, for printing."""
        return f"p={self.threshold / 256}"

    def _random_bytes(self, values: Tensor) -> Tensor:
        """Return a random byte for each of `values`, uint8 `[M]`, those of the first row first."""
        if self.part is None:
            return _bytes(values.numel(), values.device, None)
        per_row = values.numel() // len(self.part.rows)
        total = per_row * self.part.batch_size
        whole = _bytes(total, values.device, self.part.generator)
        return whole.view(self.part.batch_size, per_row)[self.part.rows].flatten()


@contextmanager
def as_part(networks: Iterable[nn.Module], part: PartOfBatch) -> Iterator[None]:
    """Let all `ByteDropout` layers of `networks` take what they see for that part of a batch."""
    layers = [
        layer
        for network in networks
        for layer in network.modules()
        if isinstance(layer, ByteDropout)
    ]
    for layer in layers:
        layer.part = part
    try:
        yield
    finally:
        for layer in layers:
            layer.part = None


def _bytes(count: int, device: torch.device, generator: torch.Generator | None) -> Tensor:
    words = torch.empty(-(-count // 8), dtype=torch.int64, device=device)
    words.random_(-(2**63), None, generator=generator)
    return words.view(torch.uint8)[:count]
