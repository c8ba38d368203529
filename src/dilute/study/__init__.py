"""What a study is: a set of runs, a table, a picture and claims; and what makes them of a store."""

from dilute.study.claims import Claim, Judgement, Verdict
from dilute.study.comparison import Comparison, compare
from dilute.study.outcome import (
    Judged,
    Reproduction,
    StudyRuns,
    claims_markdown,
    notes_markdown,
)
from dilute.study.ranking import MethodResult, in_percent, outcomes, ranking
from dilute.study.reproduction import missing_runs, reproduce_studies
from dilute.study.run_table import run_table
from dilute.study.study import SCALES, Scale, Study
from dilute.study.sweeping import Sweeping

__all__ = [
    "SCALES",
    "Claim",
    "Comparison",
    "Judged",
    "Judgement",
    "MethodResult",
    "Reproduction",
    "Scale",
    "Study",
    "StudyRuns",
    "Sweeping",
    "Verdict",
    "claims_markdown",
    "compare",
    "in_percent",
    "missing_runs",
    "notes_markdown",
    "outcomes",
    "ranking",
    "reproduce_studies",
    "run_table",
]
