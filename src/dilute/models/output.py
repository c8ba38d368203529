"""The last layer of every network here."""

from __future__ import annotations

from torch import nn


def output_layer(width: int, num_classes: int) -> nn.Linear:
    """Return the layer from `width` features to logits, all zero at first.

    The network then starts at the uniform distribution. Under massive noise the best logits are a
    tenth in size (a gap of `ln(1 + K/alpha)`), less than those of a randomly drawn layer, which
    would have to be unlearned first, at the pace that the noise allows.
    """
    layer = nn.Linear(width, num_classes)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
