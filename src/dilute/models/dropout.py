"""Dropout with cheap masks, which are the same whether a batch goes through a network in one piece or in parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class _Part:
    first: int
    last: int
    total: int
    generator: torch.Generator


_part: _Part | None = None


@contextmanager
def part_of_batch(
    first: int, last: int, total: int, seed: int, device: torch.device
) -> Iterator[None]:
    """Seed the randomness inside a network for rows `first` to `last` of a batch of `total`.

    `ByteDropout` drops what it would drop in the whole batch with that seed. Other random layers draw from
    PyTorch's own generator, which is seeded by `seed` for the whole batch, and by a seed of its own for each part.
    """
    global _part
    if last - first == total:
        torch.manual_seed(seed)
        yield
        return
    torch.manual_seed(seed ^ first ^ (1 << 62))  # 62: apart from the seeds of whole batches
    _part = _Part(first, last, total, torch.Generator(device).manual_seed(seed))
    try:
        yield
    finally:
        _part = None


class ByteDropout(nn.Module):
    """Dropout whose mask costs one random byte per value; exact for probabilities that are multiples of 1/256.

    The usual dropout draws one generator output per value, which on CPUs takes as long as a
    convolution; here eight values share one 64-bit draw. Rows of a batch that is divided (`part_of_batch`)
    get the bytes that they would get in the whole.

    Arguments:
        probability: share of values set to 0 in training, 0 to 1, a multiple of 1/256.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.threshold = round(probability * 256)
        assert self.threshold == probability * 256, probability
        assert 0 <= self.threshold < 256, probability

    def forward(self, values: Tensor) -> Tensor:
        """Return `values` with some set to 0 and the rest scaled up, in training; unchanged otherwise."""
        if not self.training or not self.threshold:
            return values
        bytes_ = _random_bytes(values)
        kept = torch.empty_like(values, dtype=torch.bool)  # in the values' own memory format
        torch.ge(bytes_.as_strided(values.shape, kept.stride()), self.threshold, out=kept)
        return values * kept * (256 / (256 - self.threshold))

    def extra_repr(self) -> str:
        """Return the probability, for printing."""
        return f"p={self.threshold / 256}"


def _random_bytes(values: Tensor) -> Tensor:
    """Return a random byte for each of `values`, uint8 `[M]`, those of the first row first."""
    rows, total, first, generator = 1, 1, 0, None
    if _part is not None:
        rows, total, first = _part.last - _part.first, _part.total, _part.first
        generator = _part.generator
    per_row = values.numel() // rows
    words = torch.empty(-(-per_row * total // 8), dtype=torch.int64, device=values.device)
    words.random_(-(2**63), None, generator=generator)
    return words.view(torch.uint8)[first * per_row :][: values.numel()]
