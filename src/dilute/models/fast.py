"""A small convolutional network that trains fast: whitened patches, batch normalisation, GELU."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from dilute.models.convolutional import image_shape
from dilute.models.output import output_layer

_WIDTHS = (64, 256, 256)
_PATCH_PIXELS = 2
_LEAST_VARIANCE = 5e-4


class Whitening(nn.Module):
    """A fixed convolution that takes the patches of an image along their principal directions.

    Each direction has a filter with either sign, scaled so that its values have variance 1 over the
    images that `fit` sees. Filters are then kept; only a bias for each is trained. Without `fit`,
    the filters are those of a random basis.

    Arguments:
        channels: C of the images.

    Source: Page 2019, *How to train your ResNet, part 8*; with either sign as in Jordan 2024,
        *94 % on CIFAR-10 in 3.29 seconds*, arXiv 2404.00498, section 3.2.
    """

    weight: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        size = channels * _PATCH_PIXELS**2
        basis = torch.linalg.qr(torch.randn(size, size)).Q
        self.register_buffer("weight", self._filters(basis, channels))
        self.bias = nn.Parameter(torch.zeros(2 * size))

    @property
    def num_filters(self) -> int:
        """The number of channels that come out."""
        return len(self.bias)

    @torch.no_grad()
    def fit(self, images: Tensor) -> None:
        """Compute the filters from images, float32 `[N, C, H, W]`, as the network gets them."""
        size, channels = len(self.bias) // 2, images.shape[1]
        patches = functional.unfold(images, _PATCH_PIXELS).transpose(1, 2).reshape(-1, size)
        covariance = torch.cov(patches.double().T)
        variance, directions = torch.linalg.eigh(covariance)
        # A direction's sign is arbitrary, and its filters have both; the order is told by size.
        basis = directions.T / (variance[:, None] + _LEAST_VARIANCE).sqrt()
        self.weight.copy_(self._filters(basis.flip(0).to(self.weight), channels))

    def forward(self, images: Tensor) -> Tensor:
        """Return float `[B, 8·C, H − 1, W − 1]` for images `[B, C, H, W]`."""
        return functional.conv2d(images, self.weight, self.bias)

    @staticmethod
    def _filters(basis: Tensor, channels: int) -> Tensor:
        filters = basis.reshape(-1, channels, _PATCH_PIXELS, _PATCH_PIXELS)
        return torch.cat([filters, -filters])


def fastnet(input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """Return seven 3×3 or 2×2 convolutions: a whitening one, and three blocks of two.

    Blocks have 64, 256 and 256 channels, and halve the image after their first convolution.

    Source: the line of networks that train fastest on CIFAR-10 (Page 2018 and 2019; Jordan 2024,
        arXiv 2404.00498), of which it has widths and order of layers; the output layer and the
        pooling before it, which takes images of any size, are ours.
    """
    channels, _, _ = image_shape("fastnet", input_shape, smallest=16)
    first = Whitening(channels)
    layers: list[nn.Module] = [first, nn.GELU()]
    for before, width in pairwise((first.num_filters, *_WIDTHS)):
        layers += [
            nn.Conv2d(before, width, 3, padding=1, bias=False),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(width),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.GELU(),
        ]
    last = output_layer(_WIDTHS[-1], num_classes)
    return nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten(), last)


MODELS = {"fastnet": fastnet}
