"""From a spec to what a run trains on: the noisy set, who judges it, the network behind its scaling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import dilute.data
from dilute import seeds
from dilute.data import LabelledSet, Splits, check_alike
from dilute.dilution import DilutedSet, ImageSource, NoisySet, ReplacedSet
from dilute.dilution.blocks import check_memory
from dilute.errors import DataError, SpecError
from dilute.models import build
from dilute.noise import alpha_from_rate, checked_matrix
from dilute.runs.spec import RunSpec
from dilute.training import Scaled


def noisy_set(
    spec: RunSpec, clean: LabelledSet, pool: ImageSource | None = None, data_dir: Path | None = None
) -> NoisySet:
    """Return the noisy set that `spec` describes, held-out images included.

    Arguments:
        clean: the whole training set.
        pool: the images for noisy examples; else loaded or made by `spec.noisy_images`.
        data_dir: where named data sets are looked for.

    Errors: `SpecError` for more images than there are; what the noise and the data raise.
    """
    _check_drawn(spec)
    rows = _subset(spec, len(clean))
    if spec.rate is not None:
        return ReplacedSet(clean, spec.rate, spec.noise, spec.seed, rows=rows)
    assert spec.alpha is not None
    if pool is None:
        pool = dilute.data.load_pool(spec.noisy_images, clean, spec.seed, data_dir)
    return DilutedSet(clean, spec.alpha, spec.noise, spec.seed, images=pool, rows=rows)


def judged_sets(
    spec: RunSpec, noisy: NoisySet, heldout: LabelledSet | None
) -> tuple[NoisySet, NoisySet | None]:
    """Return the set to train on, and the one that selects the model."""
    if spec.heldout_hash is not None:
        if heldout is None or heldout.content_hash != spec.heldout_hash:
            raise SpecError(
                f"the held-out set {spec.heldout_hash[:16]} of this run was not given; give it again"
            )
        check_alike(noisy.clean, heldout, "the held-out set")
        return noisy, DilutedSet(heldout, 0.0)
    train_set, judges = noisy.split(spec.heldout_fraction, spec.seed)
    if judges is not None and spec.heldout_labels == "clean":
        judges = DilutedSet(judges.clean, 0.0, rows=judges.blocks[0].rows)
    return train_set, judges


def check(
    spec: RunSpec,
    splits: Splits,
    pool: ImageSource | None = None,
    built: set[tuple[str, tuple[int, ...], int]] | None = None,
) -> None:
    """Refuse a run that its data make impossible, without drawing a label or training a step.

    Arguments:
        splits: the data of `spec.data`.
        pool: the images for noisy examples, where `spec.noisy_images` names a data set.
        built: models that are known to fit, as (name, input shape, K): not built again, and added to.

    Errors: `SpecError` for more images than there are, or labels from a file; `NoiseError` for a
        pattern or an amount that cannot be; `DataError` for images of two shapes; `ModelError` for a
        model that cannot be built.
    """
    clean = splits.train
    _check_drawn(spec)
    if spec.heldout_hash is not None:
        raise SpecError(
            f"the held-out set {spec.heldout_hash[:16]} was given from elsewhere; run it with --heldout"
        )
    taken = num_taken(spec, len(clean))
    if round(spec.heldout_fraction * taken) >= taken:
        raise SpecError(
            f"heldout_fraction = {spec.heldout_fraction:g} of {taken} images leaves none to train on; "
            "take a smaller fraction"
        )
    if spec.alpha is not None:
        tables = 1 if spec.noisy_images == "same" else 4
        check_memory(taken, spec.alpha, clean.num_classes, tables)
    alpha = spec.alpha if spec.rate is None else alpha_from_rate(spec.rate)
    if alpha:
        checked_matrix(spec.noise, clean.num_classes, alpha)
    if pool is not None and pool.input_shape != clean.input_shape:
        raise DataError(
            f"images of {spec.noisy_images} have shape {pool.input_shape}, those of {spec.data} "
            f"{clean.input_shape}; they must agree"
        )
    model = (spec.model, clean.input_shape, clean.num_classes)
    if built is None or model not in built:
        with torch.random.fork_rng(devices=[]):
            build(*model)
        (built if built is not None else set()).add(model)


def _check_drawn(spec: RunSpec) -> None:
    if spec.labels_hash is not None:
        raise SpecError(
            f"the labels {spec.labels_hash[:16]} were read from a file; give that file again"
        )


def _subset(spec: RunSpec, size: int) -> Any:
    """Return which of `size` images are taken, int64 ascending: `num_clean` and those to hold out."""
    taken = num_taken(spec, size)
    if spec.num_clean is None:
        return np.arange(size)
    return np.sort(seeds.Permutation(size, spec.seed, "subset")(np.arange(taken)))


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
            f"num_clean = {spec.num_clean:,} and a held-out share of {spec.heldout_fraction:g} need {taken:,} "
            f"images, but {spec.data} has {size:,}; take num_clean ≤ {most:,} or hold out less"
        )
    return taken


def scaled_model(name: str, clean: LabelledSet, rows: NDArray[np.int64] | None = None) -> Scaled:
    """Return the network `name`, freshly initialised, behind the standardisation of the images at `rows`."""
    network: nn.Module = build(name, clean.input_shape, clean.num_classes)
    return Scaled(network, *clean.statistics(rows))


def fresh_model(name: str, noisy: NoisySet, seed: int, device: torch.device) -> nn.Module:
    """Return the network `name` for `noisy` as a run with this seed would start it, on `device`."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seeds.word(seed, "initialisation"))
        model = scaled_model(name, noisy.clean, noisy.blocks[0].rows)
    return model.to(device).to(memory_format=torch.channels_last)
