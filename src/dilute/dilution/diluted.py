"""A clean set diluted with noisy examples, or with a share of its labels replaced."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dilute import seeds
from dilute.data.labelled import LabelledSet
from dilute.dilution.blocks import (
    Block,
    ImageSource,
    Labels,
    check_memory,
    draw_labels,
    label_dtype,
)
from dilute.errors import DataError, NoiseError
from dilute.noise import (
    NoisePattern,
    Uniform,
    alpha_from_rate,
    checked_matrix,
    label_laws,
    majority_is_true,
    noise_rate,
)

Kind = Literal["dilution", "replacement"]
_IMAGES_AT_ONCE = 4096


class NoisySet:
    """A training set whose labels are partly noise, by dilution or by replacement.

    It holds labels and where their images are, never copies of images. As a sequence of
    `(image, label)` pairs it is a map-style `torch.utils.data.Dataset`.

    Attributes:
        clean: the set that it was made from.
        kind: `"dilution"` or `"replacement"`.
        amount: as given: noisy examples per clean one for dilution, the share replaced for
            replacement.
        alpha: noisy examples per clean one; for replacement, the equivalent `rate / (1 − rate)`.
        rate: share of noisy examples; for dilution, the equivalent `alpha / (1 + alpha)`.
        noise: the pattern; `matrix` is its float64 `[K, K]`.
        seed: what the realisation was drawn from.
        blocks: the images with their labels, by source: first the clean images, then others if any.
        is_redrawable: whether seed and pattern give these labels again; not so if read from a file.
    """

    def __init__(
        self,
        clean: LabelledSet,
        kind: Kind,
        amount: float,
        noise: NoisePattern,
        seed: int,
        blocks: tuple[Block, ...],
        *,
        is_redrawable: bool = True,
    ) -> None:
        self.clean = clean
        self.kind: Kind = kind
        self.is_redrawable = is_redrawable
        self.amount = amount
        self.alpha = amount if kind == "dilution" else alpha_from_rate(amount)
        self.rate = amount if kind == "replacement" else noise_rate(amount)
        self.noise = noise
        self.seed = seed
        self.blocks = blocks
        self._starts = np.cumsum([0, *(block.num_examples for block in blocks)])

    @property
    def n(self) -> int:
        """The number of clean images."""
        return len(self.blocks[0])

    @property
    def num_clean(self) -> int:
        """The number of examples that carry their image's own label."""
        return sum(block.num_own for block in self.blocks)

    @property
    def num_noisy(self) -> int:
        """The number of examples whose label was drawn (it may be the true one by chance)."""
        return len(self) - self.num_clean

    @property
    def num_classes(self) -> int:
        """The number of classes K."""
        return self.clean.num_classes

    @property
    def num_images(self) -> int:
        """The number of distinct images."""
        return sum(len(block) for block in self.blocks)

    @property
    def true_labels(self) -> NDArray[np.int64]:
        """int64 `[n]`: the true labels of the clean images; for evaluation, never for training."""
        return self.clean.labels[self.blocks[0].rows]

    def __len__(self) -> int:
        return int(self._starts[-1])

    def example(self, index: int) -> tuple[NDArray[Any], int]:
        """Return input and label of example `index`, `0 ≤ index < len(self)`.

        The first `n` are the clean images' own.

        Errors: `IndexError` outside the range.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"example {index} is out of range; there are {len(self)}")
        which = int(np.searchsorted(self._starts, index, side="right")) - 1
        block = self.blocks[which]
        images, slots, _ = block.visit(np.array([index - self._starts[which]]), 1)
        return block.source.gather(block.rows[images])[0], int(block.labels[images[0], slots[0]])

    def __getitem__(self, index: int) -> tuple[NDArray[Any], int]:
        return self.example(index)

    def counts(self) -> NDArray[np.int64]:
        """Return int64 `[num_images, K]`: how often each image has each label, block by block."""
        return np.concatenate([block.counts(np.arange(len(block))) for block in self.blocks])

    def expected(self) -> NDArray[np.float64]:
        """Return float64 `[num_images, K]`: what each image's labels were drawn from.

        For dilution with the same images this is `1/(1+alpha)` on the true class plus
        `alpha/(1+alpha)` times the noise distribution: the target of the paper's `H_alpha`.
        """
        return np.concatenate([block.laws[block.law_of] for block in self.blocks])

    def label_shares(self) -> NDArray[np.float64]:
        """Return float64 `[K]`: the share of each class that is expected among all labels."""
        total = np.zeros(self.num_classes)
        for block in self.blocks:
            times = np.bincount(block.law_of, minlength=len(block.laws)) / len(block)
            total += block.num_examples * (times @ block.laws)
        return total / len(self)

    def lost_classes(self) -> list[str]:
        """Return the names of the classes whose images have a wrong label as their likeliest."""
        laws = self.blocks[0].laws
        return [self.clean.class_names[k] for k in np.flatnonzero(~majority_is_true(laws))]

    def content_hash(self) -> str:
        """Return hex SHA-256 of which image (and of which other source) has which labels."""
        digest = hashlib.sha256(f"{self.kind}/{self.num_classes}/{len(self.blocks)}".encode())
        for number, block in enumerate(self.blocks):
            if number > 0:
                digest.update(block.source.content_hash.encode())
            digest.update(repr((block.labels.shape, len(block.extra))).encode())
            digest.update(block.rows.astype("<i8").tobytes())
            digest.update(block.extra.astype("<i8").tobytes())
            for start in range(0, len(block), _IMAGES_AT_ONCE):
                digest.update(
                    _meaningful(block, start, start + _IMAGES_AT_ONCE).astype("<u2").tobytes()
                )
            if self.kind == "replacement":
                digest.update(np.flatnonzero(~block.is_own).astype("<i8").tobytes())
        return digest.hexdigest()

    def num_wrong(self) -> int:
        """Return how many labels are wrong; all those on images from elsewhere are."""
        own = self.blocks[0]
        right = 0
        for start in range(0, len(own), _IMAGES_AT_ONCE):
            images = np.arange(start, min(start + _IMAGES_AT_ONCE, len(own)))
            truth = self.clean.labels[own.rows[images]]
            right += int(own.counts(images)[np.arange(len(images)), truth].sum())
        return len(self) - right

    def split(self, fraction: float, seed: int) -> tuple[NoisySet, NoisySet | None]:
        """Return the set without, and the set of, a drawn part of its images.

        Of each block of N images `round(fraction · N)` are drawn by `seed`.
        An image goes with all its labels. The second set is None where it would be empty.

        Errors: `NoiseError` if nothing would be left.
        """
        taken = [round(fraction * len(block)) for block in self.blocks]
        if taken[0] >= self.n:
            raise NoiseError(
                f"holding out {fraction:g} of {self.n} images leaves none to train on; "
                "take a smaller fraction"
            )
        if taken[0] == 0:
            return self, None
        kept_blocks, held_blocks = [], []
        for number, (block, count) in enumerate(zip(self.blocks, taken, strict=True)):
            order = seeds.Permutation(len(block), seed, "heldout", number)(np.arange(len(block)))
            held_blocks.append(block.take(np.sort(order[:count])))
            kept_blocks.append(block.take(np.sort(order[count:])))
        return self._with_blocks(kept_blocks), self._with_blocks(held_blocks)

    def clean_part(self) -> NoisySet:
        """Return the clean images with their true labels alone; for evaluation, not training."""
        return DilutedSet(self.clean, 0.0, rows=self.blocks[0].rows)

    def noise_part(self) -> NoisySet | None:
        """Return the images of noisy examples; None without noise.

        Their `expected` is the distribution of a noisy label; their labels are those of the whole
        set.
        """
        if not self.num_noisy:
            return None
        block = self.blocks[-1]
        if len(self.blocks) == 1:
            laws = self.noise.matrix(self.num_classes, self.alpha)
            block = replace(block, laws=laws, law_of=self.true_labels)
        return self._with_blocks([block])

    def _with_blocks(self, blocks: list[Block]) -> NoisySet:
        return NoisySet(
            self.clean,
            self.kind,
            self.amount,
            self.noise,
            self.seed,
            tuple(block for block in blocks if len(block)),
            is_redrawable=self.is_redrawable,
        )


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
        noise = noise or Uniform()
        rows = np.arange(len(clean)) if rows is None else rows
        if not (math.isfinite(alpha) and alpha >= 0):
            raise NoiseError(f"alpha = {alpha:g} cannot be; it must be a finite number ≥ 0")
        # Images from elsewhere are dealt their labels through copies of the table.
        check_memory(len(rows), alpha, clean.num_classes, tables=1 if images is None else 4)
        num_noisy = round(alpha * len(rows))
        matrix = (
            checked_matrix(noise, clean.num_classes, alpha) if alpha else np.eye(clean.num_classes)
        )
        own = clean.labels[rows]
        table = np.empty(
            (len(rows), 1 + -(-num_noisy // len(rows))), dtype=label_dtype(clean.num_classes)
        )
        table[:, 0] = own
        draw_labels(table[:, 1:], own, rows, matrix, seed)
        extra = _chosen(len(rows), num_noisy % len(rows), seed, "extra copy")
        everywhere = np.ones(len(rows), dtype=bool)
        if images is None:
            laws = label_laws(alpha, matrix)
            blocks: tuple[Block, ...] = (Block(clean, rows, table, extra, everywhere, laws, own),)
        else:
            _check_shape(images, clean)
            alone = np.empty(0, dtype=np.int64)
            blocks = (
                Block(clean, rows, table[:, :1], alone, everywhere, np.eye(len(matrix)), own),
            )
            if num_noisy:
                full = 1 + num_noisy // len(rows)
                noisy = np.concatenate([table[:, 1:full].T.ravel(), table[extra, full:].ravel()])
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
        noise = noise or Uniform()
        rows = np.arange(len(clean)) if rows is None else rows
        alpha = alpha_from_rate(rate)
        num_noisy = round(rate * len(rows))
        matrix = (
            checked_matrix(noise, clean.num_classes, alpha) if alpha else np.eye(clean.num_classes)
        )
        own = clean.labels[rows]
        table: Labels = own.astype(label_dtype(clean.num_classes))[:, None]
        replaced = _chosen(len(rows), num_noisy, seed, "replaced")
        drawn: Labels = np.empty((num_noisy, 1), dtype=table.dtype)
        draw_labels(drawn, own[replaced], rows[replaced], matrix, seed)
        table[replaced] = drawn
        laws = label_laws(alpha, matrix)
        is_own = np.ones(len(rows), dtype=bool)
        is_own[replaced] = False
        alone = np.empty(0, dtype=np.int64)
        block = Block(clean, rows, table, alone, is_own, laws, own)
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
    nowhere = np.broadcast_to(np.bool_(False), size)
    return Block(
        images, rows, table, np.arange(rest), nowhere, law, np.broadcast_to(np.int64(0), size)
    )


def _check_shape(images: ImageSource, clean: LabelledSet) -> None:
    if images.input_shape != clean.input_shape:
        raise DataError(
            f"images for the noisy examples have shape {images.input_shape}, the clean ones "
            f"{clean.input_shape}; they must agree"
        )


def _meaningful(block: Block, start: int, stop: int) -> Labels:
    """Return the labels of images `start … stop − 1`, with the cells that mean nothing set to 0."""
    table = block.labels[start:stop]
    if len(block.extra):
        table = table.copy()
        table[~block.has_extra[start:stop], -1] = 0
    return table
