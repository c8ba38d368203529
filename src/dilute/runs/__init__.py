"""A run: its description (`RunSpec`), what it is made of (`Material`), what comes of it (`Fit`)."""

from dilute.runs.material import Material
from dilute.runs.network import fresh_model, scaled_model
from dilute.runs.noisy import num_taken
from dilute.runs.presets import PRESETS, Preset, with_preset
from dilute.runs.record import RECORD_FORMAT, Accuracy, RunRecord, measure_of
from dilute.runs.result import Fit
from dilute.runs.running import Execution, failed_record, run_one
from dilute.runs.spec import SCHEMA_VERSION, RunSpec
from dilute.runs.store import Store

__all__ = [
    "PRESETS",
    "RECORD_FORMAT",
    "SCHEMA_VERSION",
    "Accuracy",
    "Execution",
    "Fit",
    "Material",
    "Preset",
    "RunRecord",
    "RunSpec",
    "Store",
    "failed_record",
    "fresh_model",
    "measure_of",
    "num_taken",
    "run_one",
    "scaled_model",
    "with_preset",
]
