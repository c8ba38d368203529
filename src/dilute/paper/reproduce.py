"""From figures to verdicts: train what is missing, draw, write what is shown, judge the claims."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dilute import figures
from dilute.errors import SpecError, StoreError, unknown_name
from dilute.files import make_folder, write_file
from dilute.paper.claims import Claim, Judgement, not_run
from dilute.paper.drawing import paper_style
from dilute.paper.figure import SCALES, PaperFigure, Scale
from dilute.runs import RunRecord, RunSpec
from dilute.store import Store

Train = Callable[[Sequence[RunSpec]], None]


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
            "source": self.claim.source,
            "claim": self.claim.text,
            "reported": self.claim.reported,
            "scale": self.scale,
            **asdict(self.judgement),
        }


@dataclass(frozen=True)
class Reproduction:
    """What came of it.

    Attributes:
        claims: every claim of the figures, judged.
        files: the pictures and tables that were written.
        num_runs: finished runs behind each figure, by name; seconds: what they took, summed over runs.
        unfinished: by figure, the runs that failed or diverged.
    """

    claims: list[Judged]
    files: list[Path]
    num_runs: dict[str, int]
    seconds: dict[str, float]
    unfinished: dict[str, int]


def chosen_figures(names: Sequence[str], known: dict[str, PaperFigure]) -> list[PaperFigure]:
    """Return the figures named; `all` is every figure of the paper, without `headline`, which takes hours.

    Errors: `SpecError` for a name that is not known.
    """
    numbered = [name for name in known if name != "headline"]
    wanted = [figure for name in names for figure in (numbered if name == "all" else [name])]
    for name in wanted:
        if name not in known:
            raise SpecError(unknown_name("figure", name, [*known, "all"]))
    return [known[name] for name in dict.fromkeys(wanted)]


def reproduce(
    chosen: Sequence[PaperFigure],
    scale: Scale,
    store: Store,
    out: Path,
    train: Train | None = None,
) -> Reproduction:
    """Train what the store lacks, and write for each figure PNG, SVG and CSV, and a table of claims.

    Arguments:
        chosen: the figures (see `chosen_figures`).
        scale: `"smoke"` (minutes; proves the path, judges nothing), `"laptop"` or `"paper"`.
        store: answers runs and keeps those that are trained.
        out: folder for `NAME.png`, `NAME.svg`, `NAME.csv`, `claims.md`, `claims.json`.
        train: does the runs that it is given and leaves their records in the store; None to draw from
            the store alone.

    Errors: `StoreError` if runs are missing from the store and are not to be trained; those of `train`.
    """
    if scale not in SCALES:
        raise SpecError(unknown_name("scale", scale, SCALES))
    make_folder(out)
    references = {
        figure.name: _records(figure.name, figure.references(scale), scale, store, train)
        for figure in chosen
    }
    specs = {figure.name: figure.specs(scale, references[figure.name]) for figure in chosen}
    if train is not None:  # all in one sweep, which shares workers and tells the time that is left
        train([spec for runs in specs.values() for spec in runs])
    judged: list[Judged] = []
    files: list[Path] = []
    num_runs: dict[str, int] = {}
    seconds: dict[str, float] = {}
    unfinished: dict[str, int] = {}
    for figure in chosen:
        records = _records(figure.name, specs[figure.name], scale, store, None)
        records += [record for record in _found(figure.extras(scale), store) if record is not None]
        done = [record for record in records if record.status == "done"]
        num_runs[figure.name] = len(done)
        seconds[figure.name] = sum(record.seconds for record in done)
        if len(done) < len(records):
            unfinished[figure.name] = len(records) - len(done)
        data = None
        if records or figure.illustrates:
            data = figure.select(figure.table(records), scale)
            files += _write(figure, data, scale, out)
        judged += [
            Judged(claim, figure.name, scale, _judge(claim, data, scale)) for claim in figure.claims
        ]
    files += _write_claims(judged, out)
    return Reproduction(judged, files, num_runs, seconds, unfinished)


def _judge(claim: Claim, data: Any, scale: Scale) -> Judgement:
    if scale == "smoke":
        return not_run("smoke runs prove the path alone")
    return claim.judge(data) if data is not None else not_run()


def _records(
    name: str, specs: Sequence[RunSpec], scale: Scale, store: Store, train: Train | None
) -> list[RunRecord]:
    """Return the records of `specs`, trained first if `train` is given."""
    if train is not None and specs:
        train(specs)
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

    A part of a public set is named by its content (`cifar100@0123…`) in the records of its runs, which
    count as runs of the set: the store may have come from a machine that had the other.
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
    """Return a run's canonical spec as text, its data sets without a hash of their content."""
    plain = {name: str(spec[name]).partition("@")[0] for name in ("data", "noisy_images")}
    return json.dumps({**spec, **plain}, sort_keys=True)


def _write(figure: PaperFigure, data: Any, scale: Scale, out: Path) -> list[Path]:
    """Write the figure's table and pictures, and return their paths."""
    csv = out / f"{figure.name}.csv"
    write_file(csv, data.to_csv(index=False, float_format="%.6g").encode())
    pictures = [out / f"{figure.name}.png", out / f"{figure.name}.svg"]
    for path in pictures:
        with paper_style():
            figures.save(figure.draw(data, scale), path)
    return [csv, *pictures]


def _write_claims(judged: Sequence[Judged], out: Path) -> list[Path]:
    if not judged:
        return []
    rows = [one.row() for one in judged]
    files = [out / "claims.md", out / "claims.json"]
    write_file(files[0], (claims_markdown(judged) + "\n").encode())
    write_file(files[1], (json.dumps(rows, indent=1, ensure_ascii=False) + "\n").encode())
    return files


def claims_markdown(judged: Sequence[Judged]) -> str:
    """Return the table of claims in Markdown."""
    lines = [
        "| claim | the paper says | reported | ours | runs | scale | verdict |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in judged:
        claim, found = one.claim, one.judgement
        lines.append(
            f"| `{claim.id}` ({claim.source}) | {claim.text} | {claim.reported} | {found.finding} | "
            f"{found.num_runs} | {one.scale} | **{found.verdict}** |"
        )
    return "\n".join(lines)
