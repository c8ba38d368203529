"""A training set whose labels are partly noise."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dilute import seeds
from dilute.data.labelled import LabelledSet
from dilute.dilution.blocks import Block, Labels, clean_block
from dilute.errors import NoiseError
from dilute.noise import NoisePattern, Uniform, alpha_from_rate, majority_is_true, noise_rate

Kind = Literal["dilution", "replacement", "given"]
_IMAGES_AT_ONCE = 4096


class NoisySet:
    """A training set whose labels are partly noise: by dilution, by replacement, or as given.

    It holds labels and where their images are, never copies of images. As a sequence of
    `(image, label)` pairs it is a map-style `torch.utils.data.Dataset`.

    Attributes:
        clean: the set that it was made from. Of labels as given it is not known which are right.
        kind: `"dilution"`, `"replacement"` or `"given"`.
        amount: as given: noisy examples per clean one for dilution, the share replaced for
            replacement; None for labels as given, as are `alpha`, `rate` and `noise`.
        alpha: noisy examples per clean one; for replacement, the equivalent `rate / (1 − rate)`.
        rate: share of noisy examples; for dilution, the equivalent `alpha / (1 + alpha)`.
        noise: the pattern; `matrix` is its float64 `[K, K]`.
        law: float64 `[K, K]`, what an estimate says of labels as given: by true class, the
            distribution of a label; None where there is none, or noise was planted.
        seed: what the realisation was drawn from.
        blocks: the images with their labels, by source: first the clean images, then others if any.
        is_redrawable: whether seed and pattern give these labels again; not so if read from a file.
    """

    law: NDArray[np.float64] | None = None

    def __init__(
        self,
        clean: LabelledSet,
        kind: Kind,
        amount: float | None,
        noise: NoisePattern | None,
        seed: int,
        blocks: tuple[Block, ...],
        *,
        is_redrawable: bool = True,
    ) -> None:
        self.clean = clean
        self.kind: Kind = kind
        self.is_redrawable = is_redrawable
        self.amount = amount
        self.alpha: float | None = None
        self.rate: float | None = None
        if amount is not None:
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
    def is_planted(self) -> bool:
        """Whether the noise was planted, and so is known; not so for labels as given."""
        return self.kind != "given"

    @property
    def num_clean(self) -> int | None:
        """The number of examples that carry their image's own label; None if not known."""
        if not self.is_planted:
            return None
        return sum(block.num_own for block in self.blocks)

    @property
    def num_noisy(self) -> int | None:
        """The number of examples whose label was drawn (it may be the true one by chance)."""
        return None if self.num_clean is None else len(self) - self.num_clean

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
        """int64 `[n]`: the true labels of the clean images; for evaluation, never for training.

        Of labels as given they are each image's most frequent one.
        """
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
        """Return float64 `[K]`: the share of each class among all labels.

        Where noise was planted it is the expected one.
        """
        if not self.is_planted:
            return np.asarray(self.counts().sum(axis=0) / len(self))
        total = np.zeros(self.num_classes)
        for block in self.blocks:
            times = np.bincount(block.law_of, minlength=len(block.laws)) / len(block)
            total += block.num_examples * (times @ block.laws)
        return total / len(self)

    def lost_classes(self) -> list[str]:
        """Return the names of the classes whose images have a wrong label as their likeliest.

        None are known of where the noise is not.
        """
        laws = self.blocks[0].laws
        return [self.clean.class_names[k] for k in np.flatnonzero(~majority_is_true(laws))]

    def content_hash(self) -> str:
        """Return hex SHA-256 of which image (and of which other source) has which labels."""
        digest = hashlib.sha256(f"{self.kind}/{self.num_classes}/{len(self.blocks)}".encode())
        for number, block in enumerate(self.blocks):
            if number > 0:
                digest.update(block.source.content_hash.encode())
            digest.update(repr((block.labels.shape, *map(len, block.extra or [()]))).encode())
            digest.update(block.rows.astype("<i8").tobytes())
            for images in block.extra:
                digest.update(images.astype("<i8").tobytes())
            for start in range(0, len(block), _IMAGES_AT_ONCE):
                labels = _meaningful(block, start, start + _IMAGES_AT_ONCE)
                digest.update(labels.astype("<u2").tobytes())
            if self.kind == "replacement":
                digest.update(np.flatnonzero(~block.is_own).astype("<i8").tobytes())
        return digest.hexdigest()

    def num_wrong(self) -> int | None:
        """Return how many labels are wrong; all those on images from elsewhere are.

        None stands for labels as given, of which it is not known.
        """
        if not self.is_planted:
            return None
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
        """Return the clean images with their true labels alone; for evaluation, not training.

        Of labels as given they are each image's most frequent one.
        """
        block = clean_block(self.clean, self.blocks[0].rows)
        return NoisySet(self.clean, "dilution", 0.0, Uniform(), 0, (block,))

    def noise_part(self) -> NoisySet | None:
        """Return the images of noisy examples; None without noise.

        Their `expected` is the distribution of a noisy label; their labels are those of the whole
        set.
        """
        if not self.num_noisy:
            return None
        block = self.blocks[-1]
        if len(self.blocks) == 1:
            assert self.noise is not None
            assert self.alpha is not None
            laws = self.noise.matrix(self.num_classes, self.alpha)
            block = replace(block, laws=laws, law_of=self.true_labels)
        return self._with_blocks([block])

    def _with_blocks(self, blocks: list[Block]) -> NoisySet:
        part = copy.copy(self)
        NoisySet.__init__(
            part,
            self.clean,
            self.kind,
            self.amount,
            self.noise,
            self.seed,
            tuple(block for block in blocks if len(block)),
            is_redrawable=self.is_redrawable,
        )
        return part


def _meaningful(block: Block, start: int, stop: int) -> Labels:
    """Return the labels of images `start … stop − 1`, with the cells that mean nothing set to 0."""
    table = block.labels[start:stop]
    if block.extra:
        lengths = block.lengths(np.arange(start, min(start + len(table), stop)))
        table = np.where(np.arange(table.shape[1]) < lengths[:, None], table, 0)
    return table
