"""`Material`: what a run is made of, from its spec or from sets in hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import nn

from dilute.data import (
    AS_THEY_ARE,
    LabelledSet,
    Reading,
    Splits,
    check_alike,
    load,
    load_pool,
    reading_for,
)
from dilute.dilution import DilutedSet, ImageSource, NoisySet
from dilute.dilution.blocks import check_memory
from dilute.errors import DataError, SpecError
from dilute.noise import alpha_from_rate, checked_matrix
from dilute.runs.network import build_network, fresh_model
from dilute.runs.noisy import check_drawn, draw_noisy_set, num_taken, with_heldout, with_labels_of
from dilute.runs.record import TestLabels
from dilute.runs.spec import RunSpec

Built = set[tuple[str, tuple[int, ...], int]]


@dataclass(frozen=True, eq=False)
class Material:
    """What a run is made of. Data are loaded and labels drawn when they are first asked for.

    `Material.of` makes one. Whatever takes a `Material` takes nothing else of the run's data.

    Attributes:
        given: the spec as it was given; `spec` is the one that the record has.
        reading: how data are read that were not given.
        network: the network that training starts from (a copy of it is trained); built by name if
            None.
        read_together: the names that `reading` is given for.
    """

    given: RunSpec
    reading: Reading = AS_THEY_ARE
    given_splits: Splits | None = None
    given_pool: ImageSource | None = None
    given_noisy: NoisySet | None = None
    given_heldout: LabelledSet | None = None
    network: nn.Module | None = None
    read_together: tuple[str, ...] = ()

    @staticmethod
    def of(
        spec: RunSpec,
        reading: Reading = AS_THEY_ARE,
        *,
        splits: Splits | None = None,
        pool: ImageSource | None = None,
        noisy: NoisySet | None = None,
        heldout: LabelledSet | str | None = None,
        network: nn.Module | None = None,
    ) -> Material:
        """Return what the run `spec` is made of. Its data are loaded when they are first asked for.

        Arguments:
            spec: the run. Its `data` and `noisy_images` are names as for `dilute.load`.
            reading: how to read the data that are not given; an option counts for those that have a
                use for it.
            splits: the data, instead of those named `spec.data`.
            pool: the images of noisy examples, instead of those named `spec.noisy_images`.
            noisy: the noisy set, instead of drawing it. The spec's amount and pattern of noise,
                images and `labels_hash` become those of the set.
            heldout: clean labels that select the model, instead of a held-out share of the noisy
                set; a name stands for the training set that `dilute.load` gives, and is loaded at
                once.
            network: what training starts from, instead of the network named `spec.model`.

        Errors: `SpecError` where the sets do not go with the spec.
        """
        names: tuple[str, ...] = (spec.data, spec.noisy_images)
        if noisy is not None:
            spec = with_labels_of(spec, noisy)
        if isinstance(heldout, str):
            names = (*names, heldout)
            heldout = load(heldout, reading_for(heldout, reading, names)).train
        if heldout is not None:
            spec = with_heldout(spec, heldout)
        return Material(spec, reading, splits, pool, noisy, heldout, network, names)

    def with_noisy(self, noisy: NoisySet) -> Material:
        """Return the same with a noisy set in hand, made from these data.

        Errors: those of `Material.of`.
        """
        spec = with_labels_of(self.given, noisy)
        return replace(self, given=spec, given_splits=self.splits, given_noisy=noisy)

    @cached_property
    def spec(self) -> RunSpec:
        """The run as its record has it: under the own names of its data (`folder@hash`).

        To know them the data are loaded.
        """
        fields: dict[str, Any] = {"data": self.splits.name}
        fields["noise"] = self.given.noise.for_classes(self.splits.train.class_names)
        if self._has_pool:
            fields["noisy_images"] = _name_of(self.pool, self.given)
        return self.given.model_copy(update=fields)

    @property
    def spec_unread(self) -> RunSpec | None:
        """The run under the own names of its data; None if they must be loaded to know the names.

        Where a named set is incomplete here, it is the run on the whole set.
        """
        names = {}
        if self.given_splits is not None:
            names["data"] = self.given_splits.name
        elif ":" in self.given.data or self.reading.labels is not None:
            return None
        if getattr(self.given.noise, "class_names", None) is not None:
            return None
        if self.given_pool is not None and self._has_pool:
            names["noisy_images"] = _name_of(self.given_pool, self.given)
        elif self._has_pool and ":" in self.given.noisy_images:
            return None
        return self.given.model_copy(update=names)

    @property
    def _has_pool(self) -> bool:
        """Whether labels are to be drawn for images that have a name of their own."""
        has_pool = self.given_pool is not None or self.given.names_other_images
        return has_pool and self.given_noisy is None

    @property
    def may_have_test(self) -> bool:
        """Whether there is a test set, or may be one among data that are not loaded yet."""
        return self.given_splits is None or self.given_splits.test is not None

    @property
    def test_hash(self) -> str | None:
        """The test set's content hash; None without one, or while data are not loaded."""
        splits = self.given_splits or vars(self).get("splits")
        return None if splits is None or splits.test is None else splits.test.content_hash

    @property
    def test_labels(self) -> TestLabels | None:
        """Whether test labels are clean or as given; None without a test set."""
        if self.splits.test is None:
            return None
        return "clean" if self.splits.test_is_clean else "given"

    @cached_property
    def splits(self) -> Splits:
        """The data: training set, and test set if there is one."""
        if self.given_splits is not None:
            return self.given_splits
        return load(self.given.data, self._reading_for(self.given.data))

    @cached_property
    def pool(self) -> ImageSource | None:
        """The images of noisy examples; None for the clean images themselves."""
        name = self.given.noisy_images
        if self.given_pool is not None or self.given_noisy is not None:
            return self.given_pool
        clean = self.splits.train
        return load_pool(name, clean, self.given.seed, self._reading_for(name))

    @cached_property
    def noisy(self) -> NoisySet:
        """The noisy set, held-out images included."""
        if self.given_noisy is not None:
            return self.given_noisy
        return draw_noisy_set(self.given, self.splits.train, self.pool)

    @property
    def train_set(self) -> NoisySet:
        """What is trained on: the noisy set without the images that are held out."""
        return self._parts[0]

    @property
    def heldout_set(self) -> NoisySet | None:
        """What selects the model; None if nothing is held out."""
        return self._parts[1]

    @cached_property
    def test_set(self) -> NoisySet | None:
        """What measures the accuracy and chooses nothing; None without a test set."""
        return DilutedSet(self.splits.test, 0.0) if self.splits.test is not None else None

    @cached_property
    def _parts(self) -> tuple[NoisySet, NoisySet | None]:
        spec = self.given
        if spec.heldout_hash is not None:
            heldout = self.given_heldout
            if heldout is None:
                raise SpecError(
                    f"the held-out set {spec.heldout_hash[:16]} of this run was not given; give it "
                    "again"
                )
            check_alike(self.noisy.clean, heldout, "the held-out set")
            return self.noisy, DilutedSet(heldout, 0.0)
        train_set, heldout_set = self.noisy.split(spec.heldout_fraction, spec.seed)
        if heldout_set is not None and spec.heldout_labels == "clean":
            heldout_set = DilutedSet(heldout_set.clean, 0.0, rows=heldout_set.blocks[0].rows)
        return train_set, heldout_set

    def start_model(self, device: torch.device) -> nn.Module:
        """Return the network that training starts from, behind its scaling, on `device`.

        Errors: `ModelError` if it cannot be built.
        """
        return fresh_model(self.given.model, self.train_set, self.given.seed, device, self.network)

    def check(self, built: Built | None = None) -> None:
        """Refuse a run that its data make impossible, without drawing a label or training a step.

        Arguments:
            built: models that are known to fit, as (name, input shape, K): not built again, and
                added to.

        Errors: `SpecError` for more images than there are, or sets that were not given;
            `NoiseError` for a pattern or an amount that cannot be; `DataError` for images of two
            shapes; `ModelError` for a model that cannot be built.
        """
        spec, clean = self.spec, self.splits.train
        if self.given_noisy is None:
            check_drawn(spec)
        if spec.heldout_hash is not None and self.given_heldout is None:
            raise SpecError(
                f"the held-out set {spec.heldout_hash[:16]} was given from elsewhere; run it with "
                "--heldout"
            )
        self._check_amounts()
        pool = self.pool if spec.names_other_images else None
        if pool is not None and pool.input_shape != clean.input_shape:
            raise DataError(
                f"images of {spec.noisy_images} have shape {pool.input_shape}, those of "
                f"{spec.data} {clean.input_shape}; they must agree"
            )
        model = (spec.model, clean.input_shape, clean.num_classes)
        if self.network is None and (built is None or model not in built):
            with torch.random.fork_rng(devices=[]):
                build_network(*model)
            if built is not None:
                built.add(model)

    def _check_amounts(self) -> None:
        spec, clean = self.spec, self.splits.train
        taken = num_taken(spec, len(clean))
        if round(spec.heldout_fraction * taken) >= taken:
            raise SpecError(
                f"heldout_fraction = {spec.heldout_fraction:g} of {taken} images leaves none to "
                "train on; take a smaller fraction"
            )
        if spec.alpha is not None:
            tables = 1 if spec.noisy_images == "same" else 4
            check_memory(taken, spec.alpha, clean.num_classes, tables)
        alpha = spec.alpha if spec.rate is None else alpha_from_rate(spec.rate)
        if alpha:
            checked_matrix(spec.noise, clean.num_classes, alpha)

    def _reading_for(self, name: str) -> Reading:
        return reading_for(name, self.reading, self.read_together)


def _name_of(pool: ImageSource | None, spec: RunSpec) -> str:
    return getattr(pool, "name", "") or spec.noisy_images
