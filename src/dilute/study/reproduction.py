"""From studies to verdicts: train what is missing, draw, write what is shown, judge the claims."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dilute.data import AS_THEY_ARE, Reading, Splits
from dilute.errors import SpecError, StoreError, unknown_name
from dilute.files import make_folder
from dilute.runs import Material, RunRecord, RunSpec, Store
from dilute.study.claims import Claim, Judgement, not_run
from dilute.study.outcome import Judged, Reproduction, StudyRuns
from dilute.study.study import SCALES, Scale, Study
from dilute.study.writing import (
    FORMATS,
    Format,
    read_measured,
    write_claims,
    write_measured,
    write_study,
)

Train = Callable[[Sequence[RunSpec]], object]


def reproduce_studies(
    chosen: Sequence[Study],
    scale: Scale,
    store: Store,
    out: Path,
    train: Train | None = None,
    *,
    retry_failed: bool = False,
    formats: Sequence[Format] = FORMATS,
    reading: Reading = AS_THEY_ARE,
) -> Reproduction:
    """Train what the store lacks, and write for each study PNG, SVG and CSV, and a table of claims.

    Arguments:
        chosen: the studies.
        scale: `"smoke"` (minutes; proves the path, judges nothing), `"laptop"` or `"paper"`.
        store: answers runs and keeps those that are trained.
        out: folder for `NAME.png`, `NAME.svg`, `NAME.csv`, and `claims.md` and `claims.json`, in
            which the claims of other studies and scales stay as they are; `NAME.json` keeps what a
            study measured by its own code.
        train: does the runs that it is given, which the store lacks, and leaves their records
            there; None to draw from the store alone, and to measure nothing.
        retry_failed: also give `train` the runs that failed before.
        formats: which of PNG, SVG and CSV to write.
        reading: how data are read, as for `dilute.load`.

    Errors: `StoreError` if runs are missing from the store and are not to be trained; those of
        `train`.
    """
    _check_scale(scale)
    make_folder(out)

    def train_missing(specs: Sequence[RunSpec]) -> None:
        missing = _missing(specs, store, reading, retry_failed=retry_failed)
        if train is not None and missing:
            train(missing)

    train_missing([spec for study in chosen for spec in study.references(scale)])
    specs = {study.name: _runs(study, scale, store, reading) for study in chosen}
    # All in one sweep, which shares workers and tells the time that is left.
    train_missing([spec for runs in specs.values() for spec in runs or []])
    measured = {
        study.name: _measured(study, scale, out, reading, may_measure=train is not None)
        for study in chosen
    }
    found = [
        _gathered(one, specs[one.name], measured[one.name], scale, store, reading) for one in chosen
    ]
    return _written(found, scale, out, formats)


def _check_scale(scale: str) -> None:
    if scale not in SCALES:
        raise SpecError(unknown_name("scale", scale, SCALES))


def missing_runs(
    chosen: Sequence[Study], scale: Scale, store: Store, reading: Reading = AS_THEY_ARE
) -> dict[str, list[RunSpec]]:
    """Return by study the runs that the store lacks; of one whose reference is missing, that alone.

    Errors: `SpecError` for an unknown scale.
    """
    _check_scale(scale)
    missing = {}
    for study in chosen:
        specs = study.references(scale)
        references = _present(specs, store, reading)
        if len(references) == len(specs):
            specs = [*specs, *study.runs(scale, references, reading)]
        missing[study.name] = _missing(specs, store, reading)
    return missing


def find_records(
    specs: Sequence[RunSpec], store: Store, reading: Reading = AS_THEY_ARE
) -> list[RunRecord | None]:
    """Return the record of each run, or None.

    The user's own data (`folder:DIR`) are loaded, for records name them by their content.

    The images of noisy examples may be a part of a public set, which records name by its content
    (`cifar100@0123…`): the store may have come from a machine that has another part, or the whole.
    """
    specs = _as_recorded(specs, reading)
    found = [store.get(spec.key()) for spec in specs]
    if all(found):
        return found
    by_plain_names = {_plain(record.spec): record for record in store.records()}
    return [
        record or by_plain_names.get(_plain(spec.canonical()))
        for record, spec in zip(found, specs, strict=True)
    ]


def _as_recorded(specs: Sequence[RunSpec], reading: Reading) -> list[RunSpec]:
    """Return the runs with the user's own data named as in records (`folder@hash`)."""
    loaded: dict[str, Splits] = {}
    found = []
    for spec in specs:
        material = Material.of(spec, reading, splits=loaded.get(spec.data))
        recorded = material.spec_unread
        if recorded is None:
            recorded = material.spec
            loaded[spec.data] = material.splits
        found.append(recorded)
    return found


def _plain(spec: Mapping[str, Any]) -> str:
    """Return a run's canonical spec as text, without the hash in the name of its noisy images."""
    plain = {"noisy_images": str(spec["noisy_images"]).partition("@")[0]}
    return json.dumps({**spec, **plain}, sort_keys=True)


def _missing(
    specs: Sequence[RunSpec], store: Store, reading: Reading, *, retry_failed: bool = False
) -> list[RunSpec]:
    return [
        spec
        for spec, record in zip(specs, find_records(specs, store, reading), strict=True)
        if record is None or (retry_failed and record.status == "failed")
    ]


def _present(specs: Sequence[RunSpec], store: Store, reading: Reading) -> list[RunRecord]:
    return [record for record in find_records(specs, store, reading) if record is not None]


def _all(
    study: Study, specs: Sequence[RunSpec], scale: Scale, store: Store, reading: Reading
) -> list[RunRecord]:
    """Return the record of each run.

    Errors: `StoreError` if the store lacks one.
    """
    records = _present(specs, store, reading)
    if len(records) < len(specs):
        raise StoreError(
            f"store {store.folder} lacks {len(specs) - len(records)} of the {len(specs)} runs of "
            f"{study.name} at {scale} scale; leave out --draw-only to train them"
        )
    return records


def _runs(study: Study, scale: Scale, store: Store, reading: Reading) -> list[RunSpec] | None:
    """Return the runs of a study; None if a reference failed, so that they are not known."""
    references = _all(study, study.references(scale), scale, store, reading)
    is_whole = all(record.status == "done" for record in references)
    return study.runs(scale, references, reading) if is_whole else None


def _measured(study: Study, scale: Scale, out: Path, reading: Reading, *, may_measure: bool) -> Any:
    """Return what the study's own code measures, measured now if it was not before."""
    if study.measure is None:
        return None
    known = read_measured(study, scale, out)
    if known is not None:
        return known
    if not may_measure:
        raise StoreError(
            f"{out / study.name}.json lacks what {study.name} measures at {scale} scale; leave out "
            "--draw-only to measure it"
        )
    write_measured(study, scale, study.measure(scale, reading), out)
    return read_measured(study, scale, out)


def _gathered(
    study: Study,
    specs: Sequence[RunSpec] | None,
    measured: Any,
    scale: Scale,
    store: Store,
    reading: Reading,
) -> StudyRuns:
    if specs is None:
        return StudyRuns(study, scale, [], lacks_reference=True)
    records = _all(study, specs, scale, store, reading)
    extras = _present(study.extras(scale), store, reading)
    return StudyRuns(study, scale, records, extras, measured)


def _written(
    found: list[StudyRuns], scale: Scale, out: Path, formats: Sequence[Format]
) -> Reproduction:
    """Write what the studies show, judge their claims, and return all of it."""
    claims: list[Judged] = []
    shown: dict[str, Any] = {}
    summaries: dict[str, str] = {}
    files: list[Path] = []
    for one in found:
        study, data = one.study, one.data()
        files += write_study(study, data, scale, out, formats)
        if data is not None:
            shown[study.name] = data
            if study.summary is not None:
                summaries[study.name] = study.summary(data, scale)
        claims += [
            Judged(claim, study.name, scale, _judge(claim, data, one)) for claim in study.claims
        ]
    files += write_claims(claims, found, out)
    return Reproduction(claims, found, shown, summaries, files)


def _judge(claim: Claim, data: Any, one: StudyRuns) -> Judgement:
    if one.scale == "smoke":
        return not_run("smoke runs prove the path alone")
    if one.lacks_reference:
        return not_run("its reference run failed; --retry-failed does it again")
    return claim.judged(data) if data is not None else not_run()
