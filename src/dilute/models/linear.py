"""The perceptron and multilayer perceptrons: for images and for feature vectors."""

from __future__ import annotations

import math

from torch import nn

from dilute.models.output import output_layer

_HIDDEN_UNITS = 512


def perceptron(input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """Return one linear layer. Source: section 3, *perceptron*."""
    return _multilayer(input_shape, num_classes, hidden_layers=0)


def mlp1(input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """Return a perceptron with one hidden layer of 512 units. Source: section 3, *MLP1*."""
    return _multilayer(input_shape, num_classes, hidden_layers=1)


def mlp2(input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """Return a perceptron with two hidden layers of 512 units. Source: section 3, *MLP2*."""
    return _multilayer(input_shape, num_classes, hidden_layers=2)


def mlp4(input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """Return a perceptron with four hidden layers of 512 units. Source: section 3, *MLP4*."""
    return _multilayer(input_shape, num_classes, hidden_layers=4)


def _multilayer(input_shape: tuple[int, ...], num_classes: int, hidden_layers: int) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()]
    width = math.prod(input_shape)
    for _ in range(hidden_layers):
        layers += [nn.Linear(width, _HIDDEN_UNITS), nn.ReLU(inplace=True)]
        width = _HIDDEN_UNITS
    return nn.Sequential(*layers, output_layer(width, num_classes))


MODELS = {"perceptron": perceptron, "mlp1": mlp1, "mlp2": mlp2, "mlp4": mlp4}
