"""Conv4 and Conv6, arranged to run fast: pooling before ReLU, in place, cheap dropout masks."""

from __future__ import annotations

from torch import nn

from dilute.errors import ModelError
from dilute.models.dropout import ByteDropout
from dilute.models.output import output_layer


def conv4(input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """Return Conv4: two 3×3 convolutions (32, 64 filters), max pooling, a dense layer of 128.

    Source: section 3, *Conv4*; numbers of filters and dropout (0.25 and 0.5) are our reading.
        Pooling stands before the second ReLU: the same function for a quarter of the work.
    """
    channels, height, width = image_shape("conv4", input_shape, smallest=6)
    pooled = 64 * ((height - 4) // 2) * ((width - 4) // 2)
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3),
        nn.ReLU(inplace=True),
        nn.Conv2d(32, 64, 3),
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
        ByteDropout(0.25),
        nn.Flatten(),
        nn.Linear(pooled, 128),
        nn.ReLU(inplace=True),
        ByteDropout(0.5),
        output_layer(128, num_classes),
    )


def conv6(input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """Return Conv6: two blocks of two 3×3 convolutions (32, 32; 64, 64), a dense layer of 512.

    Source: section 4, *Conv6*; numbers of filters and dropout (0.25, 0.25 and 0.5) are our reading.
    """
    channels, height, width = image_shape("conv6", input_shape, smallest=10)
    pooled = 64 * (((height - 2) // 2 - 2) // 2) * (((width - 2) // 2 - 2) // 2)
    layers: list[nn.Module] = []
    for inputs, filters in ((channels, 32), (32, 64)):
        layers += [
            nn.Conv2d(inputs, filters, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(filters, filters, 3),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            ByteDropout(0.25),
        ]
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(pooled, 512),
        nn.ReLU(inplace=True),
        ByteDropout(0.5),
        output_layer(512, num_classes),
    )


def image_shape(model: str, input_shape: tuple[int, ...], smallest: int) -> tuple[int, int, int]:
    """Return `input_shape` as `(C, H, W)`.

    Errors: `ModelError` if it is no image shape, or smaller than `smallest` pixels on a side.
    """
    if len(input_shape) != 3:
        raise ModelError(
            f"model '{model}' needs images [C, H, W], but the inputs are features of shape "
            f"{input_shape}; take perceptron, mlp1, mlp2 or mlp4"
        )
    channels, height, width = input_shape
    if min(height, width) < smallest:
        raise ModelError(
            f"model '{model}' needs images of at least {smallest}×{smallest} pixels, "
            f"not {height}×{width}"
        )
    return channels, height, width


MODELS = {"conv4": conv4, "conv6": conv6}
