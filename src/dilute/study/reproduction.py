"""From figures to verdicts: train what is missing, draw, write what is shown, judge the claims."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dilute import figures
from dilute.errors import SpecError, StoreError, unknown_name
from dilute.files import make_folder, write_file
from dilute.study.claims import Claim, Judgement, not_run
from dilute.study.style import paper_style
from dilute.study.study import SCALES, Study, Scale
from dilute.runs import RunRecord, RunSpec, Store

Train = Callable[[Sequence[RunSpec]], object]


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict: what the table of claims has in a row."""

    claim: Claim
    figure: str
    scale: Scale
    judgement: Judgement

    def row(self) -> dict[str, Any]:
        """Return the row as JSON-able values."""
        return {
            "id": self.claim.id,
            "figure": self.figure,
            "source": self.claim.source,
            "claim": self.claim.text,
            "reported": self.claim.reported,
            "scale": self.scale,
            **asdict(self.judgement),
        }


@dataclass(frozen=True)
class StudyRuns:
    """A figure with what became of its runs.

    Attributes:
        figure, scale: which.
        records: of its runs, failed and diverged ones included.
        extras: of runs of other figures that it shows, too.
        lacks_reference: its reference run failed, so that its runs are not known.
    """

    figure: Study
    scale: Scale
    records: list[RunRecord]
    extras: list[RunRecord] = field(default_factory=list)
    lacks_reference: bool = False

    @property
    def num_runs(self) -> int:
        """How many runs finished."""
        return sum(record.status == "done" for record in self.records)

    @property
    def num_unfinished(self) -> int:
        """How many failed or diverged, those of other figures included, and are left out."""
        shown = [*self.records, *self.extras]
        return sum(record.status != "done" for record in shown) + self.lacks_reference

    @property
    def core_seconds(self) -> float:
        """What the finished runs took, seconds times threads."""
        return sum(
            record.seconds * int(record.hardware.get("threads", 1))
            for record in self.records
            if record.status == "done"
        )

    @property
    def parts(self) -> list[str]:
        """The names of data sets in its runs that are parts of a public set."""
        names = {record.spec[name] for record in self.records for name in ("data", "noisy_images")}
        return sorted(name for name in names if "@" in name)


@dataclass(frozen=True)
class Reproduction:
    """What came of it.

    Attributes:
        claims: every claim of the figures, judged.
        figures: the figures with their runs.
        summaries: tables in Markdown of the figures that have one, by name.
        files: all files that were written.
    """

    claims: list[Judged]
    figures: list[StudyRuns]
    summaries: dict[str, str]
    files: list[Path]


def chosen_figures(names: Sequence[str], known: dict[str, Study]) -> list[Study]:
    """Return the figures named; `all` is every figure of the paper, without `headline`, which takes hours, and our studies.

    Errors: `SpecError` for a name that is not known.
    """
    in_all = [name for name, figure in known.items() if figure.in_all]
    wanted = [figure for name in names for figure in (in_all if name == "all" else [name])]
    for name in wanted:
        if name not in known:
            raise SpecError(unknown_name("figure", name, [*known, "all"]))
    return [known[name] for name in dict.fromkeys(wanted)]


def reproduce_studies(
    chosen: Sequence[Study],
    scale: Scale,
    store: Store,
    out: Path,
    train: Train | None = None,
    *,
    retry_failed: bool = False,
) -> Reproduction:
    """Train what the store lacks, and write for each figure PNG, SVG and CSV, and a table of claims.

    Arguments:
        chosen: the figures (see `chosen_figures`).
        scale: `"smoke"` (minutes; proves the path, judges nothing), `"laptop"` or `"paper"`.
        store: answers runs and keeps those that are trained.
        out: folder for `NAME.png`, `NAME.svg`, `NAME.csv`, and `claims.md` and `claims.json`, in which
            the claims of other figures and scales stay as they are.
        train: does the runs that it is given, which the store lacks, and leaves their records there; None
            to draw from the store alone.
        retry_failed: also give `train` the runs that failed before.

    Errors: `StoreError` if runs are missing from the store and are not to be trained; those of `train`.
    """
    _check_scale(scale)
    make_folder(out)

    def train_missing(specs: Sequence[RunSpec]) -> None:
        found = zip(specs, _found(specs, store), strict=True)
        missing = [
            spec
            for spec, record in found
            if record is None or (retry_failed and record.status == "failed")
        ]
        if train is not None and missing:
            train(missing)

    train_missing([spec for figure in chosen for spec in figure.references(scale)])
    specs: dict[str, list[RunSpec] | None] = {}
    for figure in chosen:
        references = _records(figure.name, figure.references(scale), scale, store)
        is_whole = all(record.status == "done" for record in references)
        specs[figure.name] = figure.specs(scale, references) if is_whole else None
    # All in one sweep, which shares workers and tells the time that is left.
    train_missing([spec for runs in specs.values() for spec in runs or []])
    gathered = [_gathered(figure, specs[figure.name], scale, store) for figure in chosen]
    judged: list[Judged] = []
    summaries: dict[str, str] = {}
    files: list[Path] = []
    for one in gathered:
        data = _data(one)
        files += _write(one, data, out)
        if data is not None and one.figure.summary is not None:
            summaries[one.figure.name] = one.figure.summary(data, scale)
        judged += [
            Judged(claim, one.figure.name, scale, _judge(claim, data, one))
            for claim in one.figure.claims
        ]
    files += _write_claims(judged, gathered, out)
    return Reproduction(judged, gathered, summaries, files)


def _check_scale(scale: str) -> None:
    if scale not in SCALES:
        raise SpecError(unknown_name("scale", scale, SCALES))


def missing_runs(
    chosen: Sequence[Study], scale: Scale, store: Store
) -> dict[str, list[RunSpec]]:
    """Return the runs of each figure that the store lacks; of one whose reference is missing, that alone.

    Errors: `SpecError` for an unknown scale.
    """
    _check_scale(scale)
    missing = {}
    for figure in chosen:
        specs = figure.references(scale)
        references = [record for record in _found(specs, store) if record is not None]
        if len(references) == len(specs):
            specs = [*specs, *figure.specs(scale, references)]
        found = zip(specs, _found(specs, store), strict=True)
        missing[figure.name] = [spec for spec, record in found if record is None]
    return missing


def _records(name: str, specs: Sequence[RunSpec], scale: Scale, store: Store) -> list[RunRecord]:
    found = _found(specs, store)
    records = [record for record in found if record is not None]
    if len(records) < len(found):
        raise StoreError(
            f"store {store.folder} lacks {len(found) - len(records)} of the {len(found)} runs of {name} at "
            f"{scale} scale; leave out --draw-only to train them"
        )
    return records


def _found(specs: Sequence[RunSpec], store: Store) -> list[RunRecord | None]:
    """Return the record of each run, or None.

    The images of noisy examples may be a part of a public set, which records name by its content
    (`cifar100@0123…`): the store may have come from a machine that has another part, or the whole.
    """
    found = [store.get(spec.key()) for spec in specs]
    if all(found):
        return found
    by_plain_names = {_plain(record.spec): record for record in store.records()}
    return [
        record or by_plain_names.get(_plain(spec.canonical()))
        for record, spec in zip(found, specs, strict=True)
    ]


def _plain(spec: Mapping[str, Any]) -> str:
    """Return a run's canonical spec as text, the set of its noisy images without a hash of the content."""
    plain = {"noisy_images": str(spec["noisy_images"]).partition("@")[0]}
    return json.dumps({**spec, **plain}, sort_keys=True)


def _gathered(
    figure: Study, specs: Sequence[RunSpec] | None, scale: Scale, store: Store
) -> StudyRuns:
    if specs is None:
        return StudyRuns(figure, scale, [], lacks_reference=True)
    records = _records(figure.name, specs, scale, store)
    extras = [record for record in _found(figure.extras(scale), store) if record is not None]
    return StudyRuns(figure, scale, records, extras)


def _data(one: StudyRuns) -> Any:
    """Return what the figure shows, or None if there is nothing to show."""
    if not one.records and not one.figure.illustrates:
        return None
    return one.figure.select(one.figure.table([*one.records, *one.extras]), one.scale)


def _write(one: StudyRuns, data: Any, out: Path) -> list[Path]:
    """Write the figure's table and pictures, and return their paths."""
    if data is None:
        return []
    csv, *pictures = (out / f"{one.figure.name}.{ending}" for ending in ("csv", "png", "svg"))
    write_file(csv, data.to_csv(index=False, float_format="%.6g").encode())
    for path in pictures:
        with paper_style():
            figures.save(one.figure.draw(data, one.scale), path)
    return [csv, *pictures]


def _judge(claim: Claim, data: Any, one: StudyRuns) -> Judgement:
    if one.scale == "smoke":
        return not_run("smoke runs prove the path alone")
    if one.lacks_reference:
        return not_run("its reference run failed; --retry-failed does it again")
    return claim.judged(data) if data is not None else not_run()


def _write_claims(
    judged: Sequence[Judged], gathered: Sequence[StudyRuns], out: Path
) -> list[Path]:
    """Write the tables of claims; rows that are there of other claims and scales stay."""
    if not judged:
        return []
    markdown, document = out / "claims.md", out / "claims.json"
    rows = [one.row() for one in judged]
    new = {(row["id"], row["scale"]) for row in rows}
    with suppress(OSError, ValueError, KeyError, TypeError):  # none there, or not ours
        before = json.loads(document.read_text())
        rows = [row for row in before if (row["id"], row["scale"]) not in new] + rows
    write_file(
        markdown, (claims_markdown(rows) + "\n\n" + notes_markdown(gathered) + "\n").encode()
    )
    write_file(document, (json.dumps(rows, indent=1, ensure_ascii=False) + "\n").encode())
    return [markdown, document]


def claims_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of claims in Markdown, from rows as of `Judged.row`."""
    lines = [
        "| claim | the paper says | reported | ours | runs | scale | verdict |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| `{row['id']}` ({row['source']}) | {row['claim']} | {row['reported']} | {row['finding']} | "
        f"{row['num_runs']} | {row['scale']} | **{row['verdict']}** |"
        for row in rows
    ]
    return "\n".join(lines)


def notes_markdown(gathered: Sequence[StudyRuns]) -> str:
    """Return what each figure's runs are, where they depart from the paper's, and what is left out, in Markdown."""
    lines = []
    for one in gathered:
        figure = one.figure
        line = f"- **{figure.name}**, {one.scale}. {figure.source} {figure.notes[one.scale]}"
        if one.parts:
            line += f" Parts of public sets: {', '.join(one.parts)}."
        if one.num_unfinished:
            line += f" {one.num_unfinished} runs failed or diverged and are left out."
        lines.append(line)
    return "\n".join(lines)
