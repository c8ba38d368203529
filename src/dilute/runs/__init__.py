"""A run: everything that changes its result (`RunSpec`), and everything that came of it (`RunRecord`)."""

from dilute.runs.record import RECORD_FORMAT, Accuracy, RunRecord
from dilute.runs.running import Execution, Outcome, failed_record, run_one
from dilute.runs.sets import check, fresh_model, noisy_set, num_taken, scaled_model
from dilute.runs.spec import SCHEMA_VERSION, RunSpec

__all__ = [
    "RECORD_FORMAT",
    "SCHEMA_VERSION",
    "Accuracy",
    "Execution",
    "Outcome",
    "RunRecord",
    "RunSpec",
    "check",
    "failed_record",
    "fresh_model",
    "noisy_set",
    "num_taken",
    "run_one",
    "scaled_model",
]
