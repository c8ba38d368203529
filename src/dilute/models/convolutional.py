"""Conv4 and Conv6, arranged to run fast: pooling before ReLU, in place, cheap dropout masks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dilute.errors import ModelError
from dilute.models.output import output_layer


def conv4(input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """Return two 3×3 convolutions (32 and 64 filters), max pooling, a dense layer of 128, and the output.

    Source: section 3, *Conv4*; numbers of filters and dropout (0.25 and 0.5) are our reading. Pooling
    stands before the second ReLU, which gives the same function a quarter of the work.
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
    """Return two blocks of two 3×3 convolutions (32, 32, 64, 64 filters), a dense layer of 512, and the output.

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


class ByteDropout(nn.Module):
    """Dropout whose mask costs one random byte per value; exact for probabilities that are multiples of 1/256.

    The usual dropout draws one generator output per value, which on CPUs takes as long as a
    convolution; here eight values share one 64-bit draw.

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
        words = torch.empty(-(-values.numel() // 8), dtype=torch.int64, device=values.device)
        words.random_(-(2**63), None)
        bytes_ = words.view(torch.uint8)[: values.numel()]
        kept = torch.empty_like(values, dtype=torch.bool)  # in the values' own memory format
        torch.ge(bytes_.as_strided(values.shape, kept.stride()), self.threshold, out=kept)
        return values * kept * (256 / (256 - self.threshold))

    def extra_repr(self) -> str:
        """Return the probability, for printing."""
        return f"p={self.threshold / 256}"


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
            f"model '{model}' needs images of at least {smallest}×{smallest} pixels, not {height}×{width}"
        )
    return channels, height, width
