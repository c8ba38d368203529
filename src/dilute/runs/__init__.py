"""A run: everything that changes its result (`RunSpec`), and everything that came of it (`RunRecord`)."""

from dilute.runs.fitting import fit
from dilute.runs.material import check, fresh_model, noisy_set, num_taken, scaled_model
from dilute.runs.record import RECORD_FORMAT, Accuracy, RunRecord
from dilute.runs.running import Execution, Outcome, failed_record, run_one
from dilute.runs.spec import SCHEMA_VERSION, RunSpec
from dilute.runs.store import Store

__all__ = [
    "RECORD_FORMAT",
    "SCHEMA_VERSION",
    "Accuracy",
    "Execution",
    "Outcome",
    "RunRecord",
    "RunSpec",
    "Store",
    "check",
    "failed_record",
    "fit",
    "fresh_model",
    "noisy_set",
    "num_taken",
    "run_one",
    "scaled_model",
]
