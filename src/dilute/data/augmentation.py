"""Standard augmentation: each image changed a little, otherwise each time it is shown."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Augment = Literal["crop_flip", "shift_flip"]
_AREA, _ASPECT = [0.08, 1.0], [3 / 4, 4 / 3]  # torchvision's, and everyone's for ImageNet
_SHIFT = 1 / 8  # of a side: the 4 pixels that are usual for CIFAR
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Augmentation:
    """How images are changed.

    Arguments:
        kind: `crop_flip`, a random crop brought to size; or `shift_flip`, a shift of up to an
            eighth of a side, what comes in at an edge being the image's reflection. Half of the
            images are mirrored, either way.
        words: uint64 `[B]`, all of the randomness, for each image.
    """

    kind: Augment
    words: NDArray[np.uint64]

    def take(self, rows: NDArray[np.int64]) -> Augmentation:
        """Return the same for some of the images."""
        return Augmentation(self.kind, self.words[rows])

    def of_arrays(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return `images`, uint8 `[B, C, H, W]`, each changed by its word."""
        if self.kind == "shift_flip":
            return shift_flip_all(images, self.words)
        return crop_flip_all(images, self.words)


def crop_flip(image: Any, height: int, width: int, word: int) -> Any:
    """Return a random resized crop of the picture, mirrored half the time.

    Arguments:
        image: a Pillow image, or a uint8 tensor `[C, H, W]`.
        height, width: of the result, in pixels.
        word: 0 to 2⁶⁴−1: all of the randomness.
    """
    import torch
    from torchvision.transforms import v2  # slow to import

    # torchvision draws from PyTorch's global generator. It is seeded with the word and then
    # restored, so that crops do not depend on threads, processes or what training draws.
    with _one_at_a_time, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(word >> 1)
        box = v2.RandomResizedCrop.get_params(image, _AREA, _ASPECT)
        is_mirrored = bool(torch.rand(()) < 0.5)
    cropped = v2.functional.resized_crop(image, *box, [height, width], antialias=True)
    return v2.functional.horizontal_flip(cropped) if is_mirrored else cropped


def crop_flip_all(images: NDArray[np.uint8], words: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return `images`, uint8 `[B, C, H, W]`, each cropped and flipped by its word, uint64 `[B]`."""
    import torch

    changed = np.empty_like(images)
    for into, image, word in zip(changed, images, words, strict=True):
        tensor = torch.from_numpy(np.ascontiguousarray(image))
        height, width = image.shape[1:]
        into[...] = crop_flip(tensor, height, width, int(word)).numpy()
    return changed


def shift_flip_all(images: NDArray[np.uint8], words: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return `images`, uint8 `[B, C, H, W]`, each shifted and flipped by its word, uint64 `[B]`."""
    height, width = images.shape[2:]
    down, across = round(_SHIFT * height), round(_SHIFT * width)
    padded = np.pad(images, ((0, 0), (0, 0), (down, down), (across, across)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))
    top, left = (
        # Sixteen bits of the word, multiplied into the range.
        ((words >> np.uint64(start) & np.uint64(0xFFFF)) * np.uint64(2 * most + 1)) >> np.uint64(16)
        for start, most in ((1, down), (17, across))
    )
    shifted = windows[np.arange(len(images)), :, top.astype(np.int64), left.astype(np.int64)]
    is_mirrored = (words & np.uint64(1)).astype(bool)
    shifted[is_mirrored] = shifted[is_mirrored, ..., ::-1]
    return np.ascontiguousarray(shifted)
