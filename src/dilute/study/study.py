"""What a study is: runs at three scales, a table of them, a picture, claims with their rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from dilute.data import AS_THEY_ARE, Reading
from dilute.runs import RunRecord, RunSpec
from dilute.study.claims import Claim
from dilute.study.run_table import run_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Scale = Literal["smoke", "laptop", "paper"]
SCALES: tuple[Scale, ...] = get_args(Scale)


def _no_runs(*_: Any) -> list[RunSpec]:
    return []


def _whole(table: Any, scale: Scale) -> Any:  # noqa: ARG001
    return table


@dataclass(frozen=True)
class Study:
    """A question, the runs that answer it, and how the answer is shown.

    The paper's figures, our own studies and comparisons of methods are all of this kind. `name`,
    `title`, `specs` and `draw` are enough for one of your own; see `docs/extending.md`.

    Attributes:
        name: `fig1`, … as the command line has it, and as its files are called.
        title: what it shows, in a line.
        source: where the question comes from, and what is our reading of it.
        notes: for each scale what the runs are, and how they depart from the source's.
        specs: from a scale to the runs of the study.
        references: runs whose outcome other runs follow from (a confusion matrix, say), by scale.
        specs_given: more runs of the study: from a scale, the records of the references, and how
            data are read.
        measure: from a scale and how data are read to numbers that no run of a store gives, as JSON
            can hold them; they are kept in a file. It stands in place of runs, and `select` takes
            its numbers.
        extras: runs that are shown where the store has them, and are not trained for this study.
        table: from the records of the runs to the table that `select` takes.
        select: from that table and the scale to what the study shows: a pandas data frame, a row
            per point and seed, written as CSV.
        draw: from that frame and the scale to the picture; no picture if None.
        summary: from that frame and the scale to a Markdown table of it.
        claims: what the source says, each with the rule that judges it from that frame.
        illustrates: the picture shows no runs (a matrix of noise, say).
    """

    name: str
    title: str
    source: str = ""
    notes: Mapping[Scale, str] = field(default_factory=dict)
    specs: Callable[[Scale], list[RunSpec]] = _no_runs
    references: Callable[[Scale], list[RunSpec]] = _no_runs
    specs_given: Callable[[Scale, Sequence[RunRecord], Reading], list[RunSpec]] = _no_runs
    measure: Callable[[Scale, Reading], Any] | None = None
    extras: Callable[[Scale], list[RunSpec]] = _no_runs
    table: Callable[[Sequence[RunRecord]], Any] = run_table
    select: Callable[[Any, Scale], Any] = _whole
    draw: Callable[[Any, Scale], Figure] | None = None
    summary: Callable[[Any, Scale], str] | None = None
    claims: tuple[Claim, ...] = ()
    illustrates: bool = False

    def runs(
        self,
        scale: Scale,
        references: Sequence[RunRecord] = (),
        reading: Reading = AS_THEY_ARE,
    ) -> list[RunSpec]:
        """Return all runs of the study but its references, whose records it takes."""
        return [*self.specs(scale), *self.specs_given(scale, references, reading)]
