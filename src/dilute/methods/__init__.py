"""What is minimised: each method gives a loss per visit from logits and target distributions."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from dilute.methods.cross_entropy import cross_entropy

Loss = Callable[[Tensor, Tensor], Tensor]

METHODS: dict[str, Loss] = {"cross_entropy": cross_entropy}
