"""A graph of nearest neighbours, and values that spread on it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.metrics import mutual_info_score
from sklearn.neighbors import NearestNeighbors

from dilute import seeds
from dilute.methods.observed import Observed
from dilute.methods.patches import patch_features

Walk: TypeAlias = "sparse.csr_matrix"
"""float32 `[N, N]`, row-stochastic: where a step along an edge leads from each image."""
HOPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
FOLDS = 5


def principal(features: NDArray[np.float32], dimensions: int) -> NDArray[np.float32]:
    """Return float32 `[N, D]`: at most so many principal components."""
    if not np.ptp(features, axis=0).any():  # a single image, or equal ones
        return np.zeros((len(features), 1), dtype=np.float32)
    fewer = min(dimensions, *features.shape)
    projected = PCA(fewer, svd_solver="covariance_eigh").fit_transform(features)
    return np.asarray(projected, dtype=np.float32)


def walk_between(features: NDArray[np.float32], neighbours: int) -> Walk:
    """Return the walk on the graph that joins each image to itself and its nearest neighbours.

    Arguments:
        features: float32 `[N, D]`, compared by Euclidean distance.
        neighbours: how many, ≥ 1; fewer of fewer images.

    An edge has weight 2 if each is among the other's nearest, else 1. Exact search, whose time
    goes as N².
    """
    size = len(features)
    found = min(neighbours, size - 1)
    if found == 0:
        return sparse.csr_matrix(np.ones((1, 1), dtype=np.float32))
    search = NearestNeighbors(n_neighbors=found, algorithm="brute").fit(features)
    nearest = search.kneighbors(return_distance=False)  # of each of them, itself left out
    ones = np.ones(size * found, dtype=np.float32)
    edges = sparse.csr_matrix(
        (ones, nearest.ravel(), np.arange(0, size * found + 1, found)), shape=(size, size)
    )
    edges = edges + edges.T + 2 * sparse.identity(size, dtype=np.float32, format="csr")
    degrees = np.asarray(edges.sum(axis=1)).ravel()
    return sparse.csr_matrix(sparse.diags((1 / degrees).astype(np.float32)) @ edges)


@dataclass(frozen=True)
class Basis:
    """What images are like, whatever their labels.

    Attributes:
        walk: between the images.
        features: float32 `[N, D]` to predict classes from; None for the walk alone.
    """

    walk: Walk
    features: NDArray[np.float32] | None


_MOST_KEPT = 2
_KEPT: OrderedDict[tuple[str, str, int, int, int], Basis] = OrderedDict()


def basis_of(observed: Observed, kind: str, dimensions: int, neighbours: int, seed: int) -> Basis:
    """Return the basis by `"pixels"` or by `"patches"`.

    The last two are kept for the next runs on the same images, as they depend on no label: it saves
    minutes. The images themselves are not kept. With patches a basis holds up to 4 KiB an image
    (240 MiB for 60,000), with pixels up to 170 bytes at ten neighbours.
    """
    place = (observed.images_key, kind, dimensions, neighbours, seed)
    if place not in _KEPT:
        _KEPT[place] = _make_basis(observed, kind, dimensions, neighbours, seed)
    _KEPT.move_to_end(place)
    while len(_KEPT) > _MOST_KEPT:
        _KEPT.popitem(last=False)
    return _KEPT[place]


def _make_basis(
    observed: Observed, kind: str, dimensions: int, neighbours: int, seed: int
) -> Basis:
    observed.check_in_memory(f"pooling by {kind}")
    if kind == "patches":
        features = patch_features(observed, seed)
    else:
        batches = (inputs.reshape(len(inputs), -1) for inputs in observed.inputs())
        features = np.concatenate([batch.astype(np.float32) for batch in batches])
    walk = walk_between(principal(features, dimensions), neighbours)
    return Basis(walk, features if kind == "patches" else None)


def pooled_classes(walk: Walk, counts: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return int64 `[N]`: each image's class, by the most frequent label around it.

    What is frequent everywhere is subtracted. The number of hops is the one at which classes that
    are predicted from other folds say most of an image's labels.
    """
    totals = counts.sum(axis=1, keepdims=True)
    centred = (counts - totals * counts.sum(axis=0) / counts.sum()).astype(np.float32)
    information = {}
    for hops, predicted in from_other_folds(walk, centred, seed):
        joint = np.eye(counts.shape[1])[predicted.argmax(axis=1)].T @ counts
        information[hops] = mutual_info_score(None, None, contingency=joint)
    hops = max(information, key=lambda number: information[number])
    return np.asarray(spread(walk, centred, hops).argmax(axis=1))


def spread(walk: Walk, values: NDArray[np.float32], hops: int) -> NDArray[np.float32]:
    """Return float32 `[N, …]`: `values` averaged over where a walk of so many hops leads."""
    for _ in range(hops):
        values = walk @ values
    return values


def folds(size: int, seed: int) -> NDArray[np.int64]:
    """Return int64 `[N]`: which of five folds each image is in."""
    return seeds.Permutation(size, seed, "folds")(np.arange(size)) % FOLDS


def from_other_folds(
    walk: Walk, values: NDArray[np.float32], seed: int
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield for each number of hops what reaches each image from images of other folds.

    It is the mean `[N, K]` of their values.
    """
    size, columns = values.shape
    fold = folds(size, seed)
    reached = [np.empty_like(values) for _ in HOPS]
    for number in range(FOLDS):
        here = fold == number
        moving = np.concatenate([values, np.ones((size, 1), dtype=np.float32)], axis=1)
        moving[here] = 0
        done = 0
        for hops, into in zip(HOPS, reached, strict=True):
            moving = spread(walk, moving, hops - done)
            done = hops
            into[here] = moving[here, :columns] / np.maximum(moving[here, columns:], 1e-6)
    yield from zip(HOPS, reached, strict=True)
