"""What a sweep is to do: its runs checked against their data, and what the store has of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import dilute.data
from dilute.data import AS_THEY_ARE, Reading, Splits, can_stream, reading_for, white_noise_size
from dilute.errors import DiluteError, SpecError
from dilute.runs import Material, RunRecord, RunSpec, Store, num_taken
from dilute.sweeps.run_labels import label, varied_fields


@dataclass(frozen=True)
class Source:
    """A data set of a sweep: how to load it again, and what its runs need to know of it.

    Attributes:
        load_name: what `dilute.data.load` takes, from whatever folder.
        reading: how it was read, so that workers read it in the same way.
        num_train, num_test: images; num_test is None without a test set.
    """

    load_name: str
    reading: Reading
    num_train: int
    num_test: int | None

    @property
    def has_test(self) -> bool:
        """Whether there is a test set."""
        return self.num_test is not None

    def load(self) -> Splits:
        """Return the data."""
        return dilute.data.load(self.load_name, self.reading)


@dataclass(frozen=True)
class Plan:
    """Runs that can be, by key, under the own names of their data, and those data by name."""

    specs: Mapping[str, RunSpec]
    sources: Mapping[str, Source]


@dataclass(frozen=True)
class StoredRuns:
    """What the store has of a plan's runs, by key.

    Attributes:
        known: records of runs that are done or diverged.
        failed: records of runs that failed.
        missing: runs that the store lacks, or has without the test set that there is now.
    """

    known: dict[str, RunRecord]
    failed: dict[str, RunRecord]
    missing: dict[str, RunSpec]


def make_plan(
    specs: Iterable[RunSpec],
    *,
    reading: Reading = AS_THEY_ARE,
    sources: Mapping[str, str] | None = None,
) -> Plan:
    """Load every data set once and return the runs under the data's own names, each run checked.

    Arguments:
        reading: how to read the data; an option counts for those that have a use for it.
        sources: for data that the specs name as records do (`folder@hash`), what to load.

    Errors: those of `load` and of `Material.check`, the latter with what tells the run from the
        others.
    """
    specs = list(specs)
    if not specs:
        raise SpecError("the sweep has no runs; give at least one")
    data_sets = _DataSets(specs, reading.absolute(), sources or {})
    fields = varied_fields(specs)
    resolved: dict[int, RunSpec] = {}
    built: set[tuple[str, tuple[int, ...], int]] = set()
    # In this order few data sets are held at a time.
    for number, spec in sorted(
        enumerate(specs), key=lambda item: (item[1].data, item[1].noisy_images)
    ):
        splits, pool = data_sets.splits(spec.data), None
        if spec.names_other_images:
            pool = data_sets.splits(spec.noisy_images, "pool").train
        material = Material.of(spec, splits=splits, pool=pool)
        try:
            material.check(built)
        except DiluteError as error:
            raise type(error)(f"run {label(spec, fields)}: {error}") from None
        resolved[number] = material.spec
    in_order = (resolved[number] for number in range(len(specs)))
    return Plan({spec.key(): spec for spec in in_order}, data_sets.sources)


class _DataSets:
    """Data sets by the names that specs give them; the last one of each role is kept."""

    def __init__(
        self, specs: Sequence[RunSpec], reading: Reading, load_names: Mapping[str, str]
    ) -> None:
        self.sources: dict[str, Source] = {}
        self._reading = reading
        self._load_names = load_names
        names = {spec.data for spec in specs} | {spec.noisy_images for spec in specs}
        self._all_names = [load_names.get(name, name) for name in names]
        self._held: dict[str, tuple[str, Splits]] = {}

    def splits(self, name: str, role: str = "data") -> Splits:
        held = self._held.get(role)
        if held is None or held[0] != name:
            load_name = self._load_names.get(name, name)
            reading = reading_for(load_name, self._reading, self._all_names)
            found = dilute.data.load(load_name, reading)
            if can_stream(load_name):  # as it was decided here, where a worker has less memory
                reading = replace(reading, stream=found.train.is_streamed)
            num_test = len(found.test) if found.test is not None else None
            self.sources[found.name] = Source(
                dilute.data.absolute(load_name), reading, len(found.train), num_test
            )
            held = self._held[role] = (name, found)
        return held[1]


def stored_runs(plan: Plan, store: Store) -> StoredRuns:
    """Return what `store` has of the plan's runs.

    Errors: `StoreError` for a record that cannot be read.
    """
    known, failed, missing = {}, {}, {}
    there = store.keys()
    for key, spec in plan.specs.items():
        record = store.get(key) if key in there else None
        if record is not None and record.status == "failed":
            failed[key] = record
        elif record is not None and record.answers(plan.sources[spec.data].has_test):
            known[key] = record
        else:
            missing[key] = spec
    return StoredRuns(known, failed, missing)


def planned_steps(spec: RunSpec, sources: Mapping[str, Source]) -> int:
    """Return the number of steps that `spec` takes, from arithmetic alone: no label is drawn.

    It is exact where `alpha`, and labels per image from elsewhere, are whole numbers; else, because
    some images have a label more and chance says how many of them are held out, within about a
    percent.
    """
    if spec.budget_steps is not None:
        return spec.budget_steps
    examples, visits = _epoch(spec, sources)
    if spec.budget_epochs is not None:
        return math.ceil(spec.budget_epochs * visits / spec.batch_size)
    assert spec.budget_examples is not None
    return math.ceil(spec.budget_examples / (spec.batch_size * examples / visits))


def evaluated_images(spec: RunSpec, sources: Mapping[str, Source]) -> int:
    """Return how many images a run is evaluated on in all.

    They are the held-out ones at each curve point, and the test set: at each curve point, too, or
    for the last and the selected model alone.
    """
    source = sources[spec.data]
    held_out = round(spec.heldout_fraction * num_taken(spec, source.num_train))
    tests = spec.curve_points if spec.test_curve else 2
    return spec.curve_points * held_out + tests * (source.num_test or 0)


def _epoch(spec: RunSpec, sources: Mapping[str, Source]) -> tuple[float, float]:
    """Return examples and visits of one epoch."""
    taken = num_taken(spec, sources[spec.data].num_train)
    images = taken - round(spec.heldout_fraction * taken)
    if not spec.alpha:
        return images, images
    if spec.noisy_images == "same":
        return images * (1 + spec.alpha), images * _visits_per_image(1 + spec.alpha, spec.copies)
    noisy = round(spec.alpha * taken)
    size = white_noise_size(spec.noisy_images)
    pool = min(noisy, sources[spec.noisy_images].num_train if size is None else size)
    kept = pool - round(spec.heldout_fraction * pool)
    share = noisy / pool
    return images + kept * share, images + kept * _visits_per_image(share, spec.copies)


def _visits_per_image(labels: float, copies: int | str) -> float:
    """Return the mean number of visits to an image with `labels` labels on average."""
    if not isinstance(copies, int):
        return 1.0
    full = math.floor(labels)
    return math.ceil(full / copies) + (labels - full if full % copies == 0 else 0.0)
