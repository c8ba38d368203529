"""Labels as given: how many of them are wrong is not known."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from dilute.data.annotations import Annotations
from dilute.data.labelled import LabelledSet
from dilute.dilution.blocks import Block, Labels, images_with_more, label_dtype
from dilute.dilution.noisy_set import NoisySet
from dilute.errors import NoiseError, SpecError
from dilute.noise import annotators_log_likelihood, checked_law


class GivenSet(NoisySet):
    """A set whose labels are as given, one or several for each image.

    How many are wrong is not known: `alpha`, `rate`, `amount` and `noise` are None. What an
    estimate says of the labels can be given, as a law of all labels or of each annotator's; it
    does not change the labels.

    Arguments:
        labelled: images with labels; its annotations are the labels where it has some.
        law: float64 `[K, K]`, by true class the distribution of a given label; None where it is not
            known.
        annotator_laws: float64 `[A, K, K]`, the same for each annotator of the set; instead of
            `law`.
        seed: of held-out images, initialisation and order, where no other is given.
        rows: int64, ascending: which examples of `labelled` to take; all if None.

    Errors: `NoiseError` for what is no law of labels; `SpecError` for laws of annotators where the
        set has no annotations, or others.
    """

    def __init__(
        self,
        labelled: LabelledSet,
        law: NDArray[np.float64] | None = None,
        *,
        annotator_laws: NDArray[np.float64] | None = None,
        seed: int = 0,
        rows: NDArray[np.int64] | None = None,
    ) -> None:
        annotations, num_classes = labelled.annotations, labelled.num_classes
        if law is not None and annotator_laws is not None:
            raise SpecError("law and annotator_laws are both given; give one of them")
        self._law_hash = ""
        scores = None
        if annotator_laws is not None:
            if annotations is None or len(annotator_laws) != annotations.num_annotators:
                found = annotations.num_annotators if annotations is not None else "no"
                raise SpecError(
                    f"there are laws of {len(annotator_laws)} annotators, but the labels are of "
                    f"{found} annotators; estimate them from these labels"
                )
            laws = np.stack([checked_law(one, num_classes) for one in annotator_laws])
            scores = annotators_log_likelihood(annotations, laws)
            times = np.bincount(annotations.annotators, minlength=len(laws))
            law = np.tensordot(times / times.sum(), laws, axes=1)
            self._law_hash = _hash_of(laws)
        elif law is not None:
            law = checked_law(law, num_classes)
            self._law_hash = _hash_of(law)
        self.law = law
        taken = np.arange(len(labelled)) if rows is None else rows
        block = _given_block(labelled, taken, law, scores)
        super().__init__(
            labelled, "given", None, None, seed, (block,), is_redrawable=not self._law_hash
        )

    def expected(self) -> NDArray[np.float64]:
        """Refuse: what given labels were drawn from is not known.

        Errors: `NoiseError`.
        """
        raise NoiseError(
            "what labels as given were drawn from is not known; take copies = all instead of "
            "expected"
        )

    def content_hash(self) -> str:
        """Return hex SHA-256 of which image has which labels, and of what is known of them."""
        return hashlib.sha256(f"{super().content_hash()}{self._law_hash}".encode()).hexdigest()


def _hash_of(laws: NDArray[np.float64]) -> str:
    return hashlib.sha256(laws.astype("<f8").tobytes()).hexdigest()


def _given_block(
    labelled: LabelledSet,
    rows: NDArray[np.int64],
    law: NDArray[np.float64] | None,
    scores: NDArray[np.float64] | None,
) -> Block:
    own, num_classes = labelled.labels[rows], labelled.num_classes
    labels: Labels = own.astype(label_dtype(num_classes))[:, None]
    extra: tuple[NDArray[np.int64], ...] = ()
    if labelled.annotations is not None:
        labels, extra = _table(labelled.annotations.take(rows), num_classes)
    return Block(
        labelled,
        rows,
        labels,
        extra,
        np.zeros(len(rows), dtype=bool),
        np.eye(num_classes) if law is None else law,
        own,
        None if scores is None else scores[rows],
    )


def _table(
    annotations: Annotations, num_classes: int
) -> tuple[Labels, tuple[NDArray[np.int64], ...]]:
    """Return each item's labels in a row of their own, and which items have more than the fewest.

    Those of an item are in the order of its annotators.
    """
    number = np.bincount(annotations.items, minlength=annotations.num_items)
    order = np.lexsort((annotations.annotators, annotations.items))
    items, labels = annotations.items[order], annotations.labels[order]
    place = np.arange(len(items)) - (np.cumsum(number) - number)[items]
    table = np.zeros((len(number), int(number.max())), dtype=label_dtype(num_classes))
    table[items, place] = labels
    return table, images_with_more(number, int(number.min()))
