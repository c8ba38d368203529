"""ResNet-18 and ResNet-50: torchvision's, with the usual stem for small images."""

from __future__ import annotations

from torch import nn

from dilute.models.convolutional import image_shape
from dilute.models.output import output_layer

_SMALL_PIXELS = 64


def resnet18(input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """Return ResNet-18; up to 64 pixels a side the stem is one 3×3 convolution without pooling.

    Source: section 3, *ResNet-18*; the stem for CIFAR is the one usual in the field.
    """
    return _resnet("resnet18", input_shape, num_classes)


def resnet50(input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """Return ResNet-50, with the stem of `resnet18` for small images.

    Source: He et al. 2016, *Deep Residual Learning for Image Recognition*, as torchvision has it.
    """
    return _resnet("resnet50", input_shape, num_classes)


def _resnet(name: str, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    from torchvision import models  # slow to import

    channels, height, width = image_shape(name, input_shape, smallest=8)
    model = getattr(models, name)(num_classes=num_classes)
    assert isinstance(model, nn.Module)
    if max(height, width) <= _SMALL_PIXELS:
        model.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
        model.maxpool = nn.Identity()
    elif channels != 3:
        model.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    assert isinstance(model.fc, nn.Linear)
    model.fc = output_layer(model.fc.in_features, num_classes)
    return model


MODELS = {"resnet18": resnet18, "resnet50": resnet50}
