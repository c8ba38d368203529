"""`dilute.compare`: methods side by side, on the same wrong labels and the same budget."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dilute.data
from dilute import figures
from dilute.data import LabelledSet, Splits
from dilute.dilution import NoisySet
from dilute.errors import SpecError
from dilute.methods import Method
from dilute.noise import NoisePattern, Uniform
from dilute.runs import Execution, Material, RunRecord, RunSpec, Store
from dilute.study.comparison_picture import draw_comparison
from dilute.study.contest import (
    DEFAULT_PASSES,
    DEFAULT_RATES,
    USUAL,
    Contest,
    Entries,
    entries_of,
    specs_on_set,
)
from dilute.study.ranking import MethodResult, outcomes, ranking
from dilute.study.sweeping import Sweeping
from dilute.sweeps import SweepProgress


@dataclass(frozen=True)
class Comparison:
    """What came of a comparison.

    Attributes:
        results: what each method reached, by setting and amount of noise, the best first.
        records: the records of all runs.
        failures: why runs failed, by key.
    """

    results: list[MethodResult]
    records: list[RunRecord]
    failures: dict[str, str]

    def outcomes(self) -> Any:
        """Return a pandas data frame with a row per setting, amount of noise, method and seed."""
        return outcomes(self.records)

    def draw(self, path: Path | str) -> None:
        """Draw the comparison into a `.png` or `.svg` file.

        Errors: `StoreError` if it cannot be written.
        """
        figures.save(draw_comparison(self.results, self.results[0].setting), Path(path))


def compare(
    data: NoisySet | str,
    methods: Sequence[str | Method] = USUAL,
    *,
    model: str = "mlp1",
    alpha: float | Sequence[float] | None = None,
    rate: float | Sequence[float] | None = None,
    noise: NoisePattern | None = None,
    num_clean: int | None = None,
    passes: float = DEFAULT_PASSES,
    learning_rates: Sequence[float] = DEFAULT_RATES,
    seeds: int | Sequence[int] = 3,
    test: LabelledSet | None = None,
    store: Store | Path | str | None = None,
    sweeping: Sweeping | None = None,
) -> Comparison:
    """Train with each method on the same noisy labels within the same budget, and rank the methods.

    Held-out noisy labels choose learning rate and stopping point; the test set chooses nothing.

    Arguments:
        data: a noisy set in hand; or the name of a data set, whose labels are made noisy as
            `alpha`, `rate` and `noise` say. Without an amount, labels of one's own are taken as
            given.
        methods: names of methods, or methods with their options; `all`, `known` and `estimated`
            stand for several.
        model: a name, or `module:callable`.
        alpha, rate: one or several amounts of noise: wrong labels drawn for each right one (≥ 0),
            or the share of labels replaced (0 to 1). One of both, for a data set's name alone;
            neither for labels as given.
        noise: the pattern; uniform if None. For a data set's name alone.
        num_clean: images to train on; all if None. For a data set's name alone.
        passes: how often every image may go through a network.
        learning_rates: peak rates that each method tries.
        seeds: how many, from 0 (of a set in hand: from its own) on; or which.
        test: clean labels to evaluate on, of a set in hand; without them methods are ranked by the
            likelihood of held-out noisy labels. The test part of data by name that nobody has
            declared clean gives agreement with given labels.
        store: answers runs and keeps those that are trained; nothing is kept if None.
        sweeping: how runs are done, which changes no result. Those of a set in hand go one after
            another in this process.

    Errors: `SpecError` for what has no meaning together, or a budget too small for a method;
        `Interrupted` if asked to stop; what the data, the noise and the model raise.
    """
    own = {"alpha": alpha, "rate": rate, "noise": noise, "num_clean": num_clean}
    given = [name for name, value in own.items() if value is not None]
    if isinstance(data, NoisySet) and given:
        raise SpecError(f"{', '.join(given)} cannot be given beside a noisy set, which has its own")
    if not isinstance(data, NoisySet) and test is not None:
        raise SpecError("test is for a noisy set in hand; a data set by name has its own")
    first = data.seed if isinstance(data, NoisySet) else 0
    entries = Entries(
        entries_of(methods),
        passes,
        tuple(learning_rates),
        tuple(range(first, first + seeds) if isinstance(seeds, int) else seeds),
    )
    sweeping = sweeping or Sweeping()
    with _opened(store) as kept:
        if isinstance(data, NoisySet):
            return _on_set(entries, data, model, test, kept, sweeping)
        splits = dilute.data.load(data, sweeping.reading)
        amounts = _amounts(alpha, rate, noise, is_own=not splits.train_is_clean)
        contests = [Contest(data, model, amount, entries, num_clean) for amount in amounts]
        return _on_data(contests, len(splits.train), kept, sweeping)


def _amounts(
    alpha: float | Sequence[float] | None,
    rate: float | Sequence[float] | None,
    noise: NoisePattern | None,
    *,
    is_own: bool,
) -> list[dict[str, Any]]:
    """Return the noise of each setting, as fields of `RunSpec`.

    Arguments:
        is_own: whether the labels are of one's own, and may be taken as given.
    """
    if alpha is None and rate is None and is_own and noise is None:
        return [{"as_given": True}]
    if (alpha is None) == (rate is None):
        raise SpecError(
            "noise is given by alpha or by rate; give exactly one"
            + (", or neither and no pattern to take the labels as given" if is_own else "")
        )
    name, values = ("alpha", alpha) if alpha is not None else ("rate", rate)
    assert values is not None
    several = values if isinstance(values, Sequence) else [values]
    return [{"noise": noise or Uniform(), name: value} for value in several]


def _on_data(
    contests: Sequence[Contest], num_train: int, store: Store, sweeping: Sweeping
) -> Comparison:
    """Compare on a data set by name, in one sweep."""
    specs = [spec for contest in contests for spec in contest.specs(num_train)]
    # Runs on the same images follow one another, since they may share work.
    result = sweeping.train(sorted(specs, key=lambda spec: spec.seed), store)
    records = [record for key in result.specs if (record := store.get(key)) is not None]
    return Comparison(ranking(outcomes(records)), records, dict(result.failures))


def _on_set(
    entries: Entries,
    noisy: NoisySet,
    model: str,
    test: LabelledSet | None,
    store: Store,
    sweeping: Sweeping,
) -> Comparison:
    """Compare on a noisy set in hand, run after run in this process."""
    if sweeping.workers is not None or sweeping.cluster is not None:
        raise SpecError(
            "the runs on a noisy set in hand go one after another in this process; leave out "
            "workers and cluster"
        )
    clean = noisy.clean
    name = clean.name or f"set@{clean.content_hash[:16]}"
    splits = Splits(name, clean, test, "in memory")
    specs = sorted(specs_on_set(entries, noisy, name, model), key=lambda spec: spec.seed)
    records: list[RunRecord] = []
    execution = Execution(
        device=sweeping.device, threads=sweeping.threads, loader_workers=sweeping.loader_workers
    )
    for spec in specs:
        material = Material.of(spec, splits=splits, noisy=noisy)
        record = store.get(spec.key())
        if record is None or record.status != "failed" or sweeping.retry_failed:
            record = store.run(material, execution, keep_weights=False).record
        records.append(record)
        sweeping.on_progress(_progress(spec, records, len(specs)))
    failures = {one.key: one.message or "" for one in records if one.status == "failed"}
    return Comparison(ranking(outcomes(records)), records, failures)


def _progress(spec: RunSpec, records: Sequence[RunRecord], total: int) -> SweepProgress:
    """Return how far the runs in this process are, the last of the records having just ended."""
    states = [record.status for record in records]
    counts = {name: states.count(name) for name in ("done", "diverged", "failed")}
    label = f"{spec.method}, seed {spec.seed}"
    return SweepProgress(
        total=total,
        known=0,
        waiting=0,
        running=(),
        images_per_second=records[-1].images_per_second or 0.0,
        remaining_seconds=None,
        ended=(label, records[-1]),
        **counts,
    )


@contextmanager
def _opened(store: Store | Path | str | None) -> Iterator[Store]:
    """Yield the store, or one that is gone afterwards."""
    if store is not None:
        yield store if isinstance(store, Store) else Store(store)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Store(folder)
