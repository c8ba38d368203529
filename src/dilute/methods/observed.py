"""What a method may see of a noisy set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dilute.dilution import NoisySet, in_order
from dilute.errors import SpecError
from dilute.noise import count_log_likelihood, law_log_likelihood

_IMAGES_AT_ONCE = 500


class Observed:
    """Images and the labels that stand beside them; never which labels are right, nor the test set.

    What the set knows of its noise (its pattern and amount) is for methods whose `uses` says that
    they know it.

    Attributes:
        num_images: distinct images N, of whatever source.
        num_classes: K.
        class_names: K names.
    """

    def __init__(self, noisy: NoisySet) -> None:
        self._noisy = noisy
        self.num_images = noisy.num_images
        self.num_classes = noisy.num_classes
        self.class_names = noisy.clean.class_names

    @property
    def has_one_source(self) -> bool:
        """Whether all labels stand beside the images of one source."""
        return len(self._noisy.blocks) == 1

    @property
    def images_key(self) -> str:
        """What identifies the images and their order, whatever labels were drawn for them."""
        digest = hashlib.sha256()
        for block in self._noisy.blocks:
            digest.update(block.source.content_hash.encode() + block.rows.tobytes())
        return digest.hexdigest()

    def counts(self) -> NDArray[np.int64]:
        """Return int64 `[N, K]`: how often each label stands beside each image."""
        return self._noisy.counts()

    def check_in_memory(self, what: str) -> None:
        """Refuse streamed images for what needs all of them at once.

        Arguments:
            what: how the error calls it.

        Errors: `SpecError`.
        """
        if any(getattr(block.source, "is_streamed", False) for block in self._noisy.blocks):
            raise SpecError(
                f"{what} needs all images in memory at once, but these are streamed; "
                "take another method, or smaller images (--resize) with --no-stream"
            )

    def inputs(self) -> Iterator[NDArray[Any]]:
        """Return the inputs `[B, …]` of `images`: all, but for streamed ones that are skipped."""
        return (inputs for inputs, _ in in_order(self._noisy, _IMAGES_AT_ONCE))

    def images(self) -> NDArray[np.int64]:
        """Return int64 `[M]`: which of the N images `inputs` yields, ascending.

        Those that do not decode are known once `inputs` has gone through all.
        """
        parts = [block.decodes(np.arange(len(block))) for block in self._noisy.blocks]
        return np.flatnonzero(np.concatenate(parts))

    def label_law(self) -> NDArray[np.float64]:
        """Return float64 `[K, K]`: by true class, the distribution of a label.

        It is knowledge of the noise, for images of one source alone.

        Errors: `SpecError` for labels as given, of which nothing is known.
        """
        assert self.has_one_source
        self._check_known("the matrix of the noise")
        return self._noisy.blocks[0].laws

    def _check_known(self, what: str) -> None:
        if not self._noisy.is_planted and self._noisy.law is None:
            raise SpecError(
                f"the method needs {what}, which is not known of labels as given; estimate it "
                "(dilute estimate) and give it, or take a method that needs none"
            )

    def log_likelihood(self) -> NDArray[np.float64]:
        """Return float64 `[N, K]`: the log-likelihood of each image's labels by class.

        It is right up to a number per image. It is knowledge of the noise, for images of one source
        alone; for dilution it includes that one of an image's labels is its own, and for annotators
        with laws of their own who gave each label.

        Errors: those of `label_law`.
        """
        law = self.label_law()
        scores = self._noisy.blocks[0].log_likelihoods
        if scores is not None:
            return scores
        if self._noisy.kind == "dilution" and self._noisy.alpha:
            assert self._noisy.noise is not None
            matrix = self._noisy.noise.matrix(self.num_classes, self._noisy.alpha)
            return count_log_likelihood(self.counts(), matrix)
        return law_log_likelihood(self.counts(), law)

    @property
    def noise_rate(self) -> float:
        """Share of labels that were drawn rather than an image's own: knowledge of the noise.

        Of labels as given it is the share of wrong ones, by the law that an estimate gave.

        Errors: `SpecError` for labels as given, of which nothing is known.
        """
        if self._noisy.rate is not None:
            return self._noisy.rate
        law = self.label_law()
        labels = self._noisy.label_shares()
        shares = np.linalg.lstsq(law.T, labels, rcond=None)[0].clip(0)  # of the true classes
        return float(1 - shares @ np.diag(law) / shares.sum())
