"""What a study is: a set of runs, a table, a picture and claims; and what makes them of a store."""

from dilute.study.claims import Claim, Judgement, Verdict
from dilute.study.ranking import MethodResult, in_percent, outcomes, ranking
from dilute.study.reproduction import (
    Judged,
    Reproduction,
    StudyRuns,
    claims_markdown,
    missing_runs,
    notes_markdown,
    reproduce_studies,
)
from dilute.study.study import SCALES, Scale, Study, run_table

__all__ = [
    "SCALES",
    "Claim",
    "Judged",
    "Judgement",
    "MethodResult",
    "Reproduction",
    "Scale",
    "Study",
    "StudyRuns",
    "Verdict",
    "claims_markdown",
    "in_percent",
    "missing_runs",
    "notes_markdown",
    "outcomes",
    "ranking",
    "reproduce_studies",
    "run_table",
]
