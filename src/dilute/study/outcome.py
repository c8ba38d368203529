"""What came of studies: their runs, what they show, and their claims with a verdict each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dilute.data.sources import SETS, plain_name
from dilute.runs import RunRecord
from dilute.study.claims import Claim, Judgement
from dilute.study.pages import markdown_table
from dilute.study.study import Scale, Study


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict: what the table of claims has in a row."""

    claim: Claim
    study: str
    scale: Scale
    judgement: Judgement

    def row(self) -> dict[str, Any]:
        """Return the row as JSON-able values."""
        return {
            "id": self.claim.id,
            "figure": self.study,
            "source": self.claim.source,
            "claim": self.claim.text,
            "reported": self.claim.reported,
            "scale": self.scale,
            **asdict(self.judgement),
        }


@dataclass(frozen=True)
class StudyRuns:
    """A study with what became of its runs.

    Attributes:
        study, scale: which.
        records: of its runs, failed and diverged ones included.
        extras: of runs of other studies that it shows, too.
        measured: what its own code measured, where it has no runs.
        lacks_reference: its reference run failed, so that its runs are not known.
    """

    study: Study
    scale: Scale
    records: list[RunRecord]
    extras: list[RunRecord] = field(default_factory=list)
    measured: Any = None
    lacks_reference: bool = False

    @property
    def num_runs(self) -> int:
        """How many runs finished."""
        return sum(record.status == "done" for record in self.records)

    @property
    def num_unfinished(self) -> int:
        """How many failed or diverged, those of other studies included, and are left out."""
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
        fields = ("data", "noisy_images")
        names = {record.spec.get(name, "") for record in self.records for name in fields}
        return sorted(name for name in names if "@" in name and plain_name(name) in SETS)

    def data(self) -> Any:
        """Return what the study shows, as its `select` makes it; None if there is nothing."""
        if self.study.measure is not None:
            return self.study.select(self.measured, self.scale)
        if not self.records and not self.study.illustrates:
            return None
        table = self.study.table([*self.records, *self.extras])
        # No run came as far as a row, and the table has no columns of its own.
        if not len(table.columns) and not self.study.illustrates:
            return None
        return self.study.select(table, self.scale)


@dataclass(frozen=True)
class Reproduction:
    """What came of studies.

    Attributes:
        claims: every claim of the studies, judged.
        studies: the studies with their runs.
        data: what each study shows, by name; those that show nothing are left out.
        summaries: tables in Markdown of the studies that have one, by name.
        files: all files that were written.
    """

    claims: list[Judged]
    studies: list[StudyRuns]
    data: dict[str, Any]
    summaries: dict[str, str]
    files: list[Path]


def claims_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of claims in Markdown, from rows as of `Judged.row`."""
    heads = ["claim", "the paper says", "reported", "ours", "runs", "scale", "verdict"]
    cells = [
        [
            f"`{row['id']}` ({row['source']})",
            *(str(row[name]) for name in ("claim", "reported", "finding", "num_runs", "scale")),
            f"**{row['verdict']}**",
        ]
        for row in rows
    ]
    return markdown_table(heads, cells)


def notes_markdown(studies: Sequence[StudyRuns]) -> str:
    """Return in Markdown what each study's runs are, and what is left out."""
    lines = []
    for one in studies:
        study = one.study
        words = [f"**{study.name}**, {one.scale}.", study.source, study.notes.get(one.scale, "")]
        line = "- " + " ".join(word for word in words if word)
        if one.parts:
            line += f" Parts of public sets: {', '.join(one.parts)}."
        if one.num_unfinished:
            line += f" {one.num_unfinished} runs failed or diverged and are left out."
        lines.append(line)
    return "\n".join(lines)
