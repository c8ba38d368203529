"""From a spec to its noisy set, and from a noisy set to the spec that describes it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from dilute import seeds
from dilute.data import LabelledSet
from dilute.dilution import DilutedSet, GivenSet, ImageSource, NoisySet, ReplacedSet
from dilute.errors import SpecError, validation_line
from dilute.noise import Uniform
from dilute.runs.spec import RunSpec


def draw_noisy_set(spec: RunSpec, clean: LabelledSet, pool: ImageSource | None) -> NoisySet:
    """Return the noisy set that `spec` describes, held-out images included.

    Arguments:
        clean: the whole training set.
        pool: the images for noisy examples; None for the clean images themselves.

    Errors: `SpecError` for more images than there are, or labels that were given and not drawn;
        those of the noise and the data.
    """
    check_drawn(spec)
    if spec.as_given:
        return GivenSet(clean, seed=spec.seed, rows=_subset(spec, len(clean)))
    rows = _subset(spec, len(clean))
    if spec.rate is not None:
        return ReplacedSet(clean, spec.rate, spec.noise, spec.seed, rows=rows)
    assert spec.alpha is not None
    return DilutedSet(clean, spec.alpha, spec.noise, spec.seed, images=pool, rows=rows)


def check_drawn(spec: RunSpec) -> None:
    """Raise a `SpecError` for a spec whose labels were given and cannot be drawn."""
    if spec.labels_hash is not None:
        raise SpecError(
            f"the labels {spec.labels_hash[:16]} were read from a file; give that file again"
        )


def _subset(spec: RunSpec, size: int) -> NDArray[np.int64]:
    """Return which of `size` images are taken, ascending: `num_clean` and those to hold out."""
    taken = num_taken(spec, size)
    if spec.num_clean is None:
        return np.arange(size)
    chosen: NDArray[np.int64] = seeds.Permutation(size, spec.seed, "subset")(np.arange(taken))
    return np.sort(chosen)


def num_taken(spec: RunSpec, size: int) -> int:
    """Return how many of `size` images are taken: `num_clean` and those to hold out.

    Errors: `SpecError` for more than there are.
    """
    if spec.num_clean is None:
        return size
    taken = round(spec.num_clean / (1 - spec.heldout_fraction))
    if taken > size:
        most = int(size * (1 - spec.heldout_fraction)) + 1
        while round(most / (1 - spec.heldout_fraction)) > size:
            most -= 1
        raise SpecError(
            f"num_clean = {spec.num_clean:,} and a held-out share of {spec.heldout_fraction:g} "
            f"need {taken:,} images, but {spec.data} has {size:,}; take num_clean ≤ {most:,} or "
            "hold out less"
        )
    return taken


def with_labels_of(spec: RunSpec, noisy: NoisySet) -> RunSpec:
    """Return `spec` with the noise of a noisy set in hand.

    The labels' hash is part of it where the seed and the pattern would not draw the same set again.

    Errors: `SpecError` for a `num_clean`, which is the set's own, or noise that the spec cannot
        have.
    """
    if spec.num_clean is not None:
        raise SpecError(
            f"num_clean = {spec.num_clean} cannot be given beside a noisy set, which has its own "
            "images; make another set"
        )
    pools = [getattr(block.source, "name", "") or "white_noise" for block in noisy.blocks[1:]]
    is_drawn = (
        noisy.is_redrawable
        and noisy.n == len(noisy.clean)
        and (spec.seed == noisy.seed or not noisy.is_planted)
        and not pools
    )
    return _changed(
        spec,
        noise=noisy.noise or Uniform(),
        as_given=not noisy.is_planted,
        alpha=noisy.amount if noisy.kind == "dilution" else None,
        rate=noisy.amount if noisy.kind == "replacement" else None,
        noisy_images=pools[0] if pools else "same",
        labels_hash=None if is_drawn else noisy.content_hash(),
    )


def with_heldout(spec: RunSpec, heldout: LabelledSet) -> RunSpec:
    """Return `spec` as that of a run whose model is selected by the clean set `heldout`.

    Errors: `SpecError` if the spec names another set.
    """
    if spec.heldout_hash not in (None, heldout.content_hash):
        raise SpecError(
            f"the held-out set {spec.heldout_hash[:16]} of this run was not given; give it again"
        )
    return _changed(
        spec, heldout_fraction=0.0, heldout_labels="clean", heldout_hash=heldout.content_hash
    )


def _changed(spec: RunSpec, **fields: Any) -> RunSpec:
    try:
        return RunSpec(**{**dict(spec), **fields})
    except ValidationError as error:
        raise SpecError(validation_line(error)) from None
