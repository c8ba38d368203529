"""Standard augmentation: another crop of the picture, perhaps mirrored, each time it is shown."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

_AREA, _ASPECT = [0.08, 1.0], [3 / 4, 4 / 3]  # torchvision's, and everyone's for ImageNet
_one_at_a_time = threading.Lock()


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
