"""Features learnt from images alone: what small patches look like, pooled over quarters."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor
from torch.nn import functional

from dilute import seeds
from dilute.methods.observed import Observed

_PATCH, _FILTERS, _POOLS = 6, 256, 2
_PATCHES, _PATCHES_PER_IMAGE = 20_000, 4
_CONTRAST_FLOOR, _WHITENING_FLOOR = 10.0, 0.1  # of variances, in grey levels squared and in none
_THRESHOLD = 0.5
_IMAGES_AT_ONCE = 100


def patch_features(observed: Observed, seed: int) -> NDArray[np.float32]:
    """Return float32 `[N, D]`, standardised: responses of filters learnt from the images' patches.

    The filters are clusters of patches. No label enters.

    Arguments:
        observed: images uint8 `[N, C, H, W]`; of other inputs, the inputs themselves are returned.
        seed: of the patches that the filters are learnt from.

    Source: Coates, Lee and Ng 2011, *An Analysis of Single-Layer Networks in Unsupervised Feature
        Learning*, with a soft threshold.
    """
    batches = list(observed.inputs())
    first = batches[0]
    if first.ndim != 4 or first.dtype != np.uint8 or min(first.shape[2:]) < 2:
        return standardised(np.concatenate([batch.reshape(len(batch), -1) for batch in batches]))
    inputs = np.concatenate(batches)
    size = min(_PATCH, *inputs.shape[2:])
    with torch.inference_mode():
        filters, offsets = _learn_filters(_patches(inputs, size, seed), seed)
        kernels = filters.reshape(-1, inputs.shape[1], size, size)
        parts = [
            _respond(
                torch.from_numpy(inputs[start : start + _IMAGES_AT_ONCE]).float(), kernels, offsets
            )
            for start in range(0, len(inputs), _IMAGES_AT_ONCE)
        ]
    return standardised(torch.cat(parts).numpy())


def standardised(features: NDArray[Any]) -> NDArray[np.float32]:
    """Return float32 `[N, D]` with mean 0 and variance near 1; what hardly varies stays small."""
    values = features.astype(np.float32)
    variance = values.var(axis=0)
    floor = 0.01 * float(variance.mean()) + 1e-12
    return np.asarray((values - values.mean(axis=0)) / np.sqrt(variance + floor))


def _patches(inputs: NDArray[np.uint8], size: int, seed: int) -> Tensor:
    """Return float32 `[P, C·size²]`: patches at random places of random images."""
    images = seeds.Permutation(len(inputs), seed, "patches")
    chosen = images(np.arange(min(len(inputs), _PATCHES // _PATCHES_PER_IMAGE)))
    shape = (len(chosen), _PATCHES_PER_IMAGE, 2)
    words = seeds.raw(seed, "patch places", count=int(np.prod(shape))).reshape(shape)
    rows = (words[..., 0] % np.uint64(inputs.shape[2] - size + 1)).astype(np.int64)
    columns = (words[..., 1] % np.uint64(inputs.shape[3] - size + 1)).astype(np.int64)
    cut = [
        inputs[image, :, row : row + size, column : column + size].ravel()
        for image, places in zip(chosen, zip(rows, columns, strict=True), strict=True)
        for row, column in zip(*places, strict=True)
    ]
    return torch.from_numpy(np.stack(cut)).float()


def _learn_filters(patches: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Return filters float32 `[F, C·size²]` and offsets `[F]`.

    Filter less offset, on a patch of unit contrast, is the whitened cosine with a cluster.
    """
    centred = patches - patches.mean(dim=1, keepdim=True)
    scale = (centred.square().mean(dim=1, keepdim=True) + _CONTRAST_FLOOR).rsqrt()
    unit = centred * scale
    mean = unit.mean(dim=0)
    values, vectors = torch.linalg.eigh(torch.cov(unit.T))
    whiten = vectors @ torch.diag((values.clamp_min(0) + _WHITENING_FLOOR).rsqrt()) @ vectors.T
    white = (unit - mean) @ whiten
    clusters = MiniBatchKMeans(
        min(_FILTERS, len(white)), random_state=seed % 2**32, n_init=1, max_iter=20, batch_size=2048
    ).fit(white.numpy())
    centres = torch.from_numpy(clusters.cluster_centers_).float()
    centres = centres / centres.norm(dim=1, keepdim=True).clamp_min(1e-6)
    filters = centres @ whiten
    return filters - filters.mean(dim=1, keepdim=True), filters @ mean


def _respond(inputs: Tensor, kernels: Tensor, offsets: Tensor) -> Tensor:
    """Return float32 `[B, F·pools²]`: responses over a threshold, by parts of the image."""
    size = kernels.shape[-1]
    mean = functional.avg_pool2d(inputs, size, 1).mean(dim=1, keepdim=True)
    square = functional.avg_pool2d(inputs.square(), size, 1).mean(dim=1, keepdim=True)
    scale = ((square - mean.square()).clamp_min(0) + _CONTRAST_FLOOR).rsqrt()
    responses = functional.conv2d(inputs, kernels).mul_(scale).sub_(offsets[:, None, None])
    active = responses.sub_(_THRESHOLD).relu_()
    pools = min(_POOLS, *active.shape[2:])
    return functional.adaptive_avg_pool2d(active, pools).flatten(1)
