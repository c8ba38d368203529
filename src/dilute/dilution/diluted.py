"""A clean set diluted with noisy examples, or with a share of its labels replaced."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dilute import seeds
from dilute.data.labelled import LabelledSet
from dilute.dilution.blocks import (
    Block,
    ImageSource,
    Labels,
    check_memory,
    clean_block,
    draw_labels,
    label_dtype,
)
from dilute.dilution.noisy_set import NoisySet
from dilute.errors import DataError, NoiseError
from dilute.noise import NoisePattern, Uniform, alpha_from_rate, checked_matrix, label_laws


class DilutedSet(NoisySet):
    """A clean set to which `round(alpha · n)` noisy examples were added.

    Arguments:
        clean: the clean examples.
        alpha: noisy examples per clean one, a real number ≥ 0.
        noise: the pattern that labels of noisy examples are drawn from.
        seed: which realisation.
        images: where the noisy examples' images come from: None for copies of the clean ones, else
            another `LabelledSet` or `WhiteNoise` of the same input shape.
        rows: int64, ascending: which examples of `clean` to take; all if None.

    Errors: `NoiseError` for a negative, infinite or unaffordable `alpha`, or an impossible pattern;
        `DataError` for images of another shape.

    Source: section 3 of the paper. Every image gets as many noisy copies as every other; where
    `alpha · n` is no multiple of `n`, a random part of the images gets one more.
    """

    def __init__(
        self,
        clean: LabelledSet,
        alpha: float,
        noise: NoisePattern | None = None,
        seed: int = 0,
        *,
        images: ImageSource | None = None,
        rows: NDArray[np.int64] | None = None,
    ) -> None:
        noise = (noise or Uniform()).for_classes(clean.class_names)
        rows = np.arange(len(clean)) if rows is None else rows
        if not (math.isfinite(alpha) and alpha >= 0):
            raise NoiseError(f"alpha = {alpha:g} cannot be; it must be a finite number ≥ 0")
        # Images from elsewhere are dealt their labels through copies of the table.
        check_memory(len(rows), alpha, clean.num_classes, tables=1 if images is None else 4)
        num_noisy = round(alpha * len(rows))
        matrix = checked_matrix(noise, clean.num_classes, alpha)
        own = clean.labels[rows]
        full, rest = divmod(num_noisy, len(rows))
        table = np.empty((len(rows), 1 + full + (rest > 0)), dtype=label_dtype(len(matrix)))
        table[:, 0] = own
        draw_labels(table[:, 1:], own, rows, matrix, seed)
        extra = _chosen(len(rows), rest, seed, "extra copy")
        if images is None:
            laws, is_own = label_laws(alpha, matrix), np.ones(len(rows), dtype=bool)
            more = (extra,) if rest else ()
            blocks: tuple[Block, ...] = (Block(clean, rows, table, more, is_own, laws, own),)
        else:
            _check_shape(images, clean)
            blocks = (clean_block(clean, rows),)
            if num_noisy:
                first, last = table[:, 1 : 1 + full].T.ravel(), table[extra, 1 + full :].ravel()
                noisy = np.concatenate([first, last])
                blocks += (_pool_block(images, noisy, pool_law(own, matrix), seed),)
        super().__init__(clean, "dilution", alpha, noise, seed, blocks)


class ReplacedSet(NoisySet):
    """A set of fixed size, a share of whose labels was replaced by noisy ones.

    It is the literature's setting; `round(rate · n)` labels are replaced.

    Arguments:
        clean: the clean examples.
        rate: the share of examples whose label is drawn anew, 0 to 1 (the draw may give the true
            class where the pattern allows it).
        noise, seed, rows: as for `DilutedSet`.

    Errors: `NoiseError` for a rate outside 0 to 1 or an impossible pattern.
    """

    def __init__(
        self,
        clean: LabelledSet,
        rate: float,
        noise: NoisePattern | None = None,
        seed: int = 0,
        *,
        rows: NDArray[np.int64] | None = None,
    ) -> None:
        noise = (noise or Uniform()).for_classes(clean.class_names)
        rows = np.arange(len(clean)) if rows is None else rows
        alpha = alpha_from_rate(rate)
        num_noisy = round(rate * len(rows))
        matrix = checked_matrix(noise, clean.num_classes, alpha)
        own = clean.labels[rows]
        replaced = _chosen(len(rows), num_noisy, seed, "replaced")
        drawn: Labels = np.empty((num_noisy, 1), dtype=label_dtype(len(matrix)))
        draw_labels(drawn, own[replaced], rows[replaced], matrix, seed)
        block = replace(clean_block(clean, rows), laws=label_laws(alpha, matrix))
        block.labels[replaced] = drawn
        block.is_own[replaced] = False
        super().__init__(clean, "replacement", rate, noise, seed, (block,))


def pool_law(own: NDArray[np.int64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return float64 `[1, K]`: how labels on images from elsewhere are distributed.

    Arguments:
        own: int64 `[n]`, the clean labels.
        matrix: float64 `[K, K]`, the noise.
    """
    shares = np.bincount(own, minlength=len(matrix)) / len(own)
    return (shares @ matrix)[None, :]


def _chosen(size: int, count: int, seed: int, name: str) -> NDArray[np.int64]:
    """Return `count` of `0 … size−1`, ascending, drawn without replacement."""
    return np.sort(seeds.Permutation(size, seed, name)(np.arange(count)))


def _pool_block(images: ImageSource, labels: Labels, law: NDArray[np.float64], seed: int) -> Block:
    """Return noisy `labels` `[m]` dealt at random, in equal shares, to at most m of `images`."""
    size = min(len(images), len(labels))
    rows = seeds.Permutation(len(images), seed, "pool")(np.arange(size))
    dealt = np.empty_like(labels)
    deal = seeds.Permutation(len(labels), seed, "pool order")
    for start in range(0, len(labels), 2**18):
        positions = np.arange(start, min(start + 2**18, len(labels)))
        dealt[deal(positions)] = labels[positions]
    full, rest = divmod(len(labels), size)
    table = np.empty((size, full + (rest > 0)), dtype=labels.dtype)
    table[:, :full] = dealt[: full * size].reshape(full, size).T
    table[:rest, full:] = dealt[full * size :, None]
    more = (np.arange(rest),) if rest else ()
    nowhere = np.broadcast_to(np.bool_(False), size)
    return Block(images, rows, table, more, nowhere, law, np.broadcast_to(np.int64(0), size))


def _check_shape(images: ImageSource, clean: LabelledSet) -> None:
    if images.input_shape != clean.input_shape:
        raise DataError(
            f"images for the noisy examples have shape {images.input_shape}, the clean ones "
            f"{clean.input_shape}; they must agree"
        )
