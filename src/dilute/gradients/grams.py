"""Inner products of the gradients of independent batches, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from dilute.gradients.moments import Array
from dilute.gradients.probe import WHOLE, Layer


@dataclass(frozen=True)
class Grams:
    """Inner products of gradients of independent batches, `[C, C]` each.

    They are of clean with clean, clean with noise, and noise with noise.
    """

    clean: Array
    cross: Array
    noise: Array

    def mixed(self, share: float) -> Array:
        """Return the products of gradients that are `share` clean and the rest noise."""
        return (
            share**2 * self.clean
            + share * (1 - share) * (self.cross + self.cross.T)
            + (1 - share) ** 2 * self.noise
        )

    def with_clean(self, share: float) -> Array:
        """Return the products of clean gradients with mixed ones."""
        return share * self.clean + (1 - share) * self.cross


def products(layers: Sequence[Layer], first: Tensor, second: Tensor) -> dict[str, Array]:
    """Return the inner products `[C, C]` of gradients `[C, D]` of two kinds.

    They are by layer, those of the whole model first.
    """
    found = {}
    for layer in layers:
        a, b = (part[:, layer.start : layer.stop].double() for part in (first, second))
        # By PyTorch, which keeps to the number of threads that the user gave, unlike NumPy.
        found[layer.name] = (a @ b.T).numpy()
    return {WHOLE: np.sum(list(found.values()), axis=0), **found}


def grams_of(layers: Sequence[Layer], clean: Tensor, noise: Tensor) -> dict[str, Grams]:
    """Return the products by layer, those of the whole model first."""
    kinds = [products(layers, *pair) for pair in ((clean, clean), (clean, noise), (noise, noise))]
    return {name: Grams(*(kind[name] for kind in kinds)) for name in kinds[0]}
