"""Sweeps: many runs from one description, by processes here or on a cluster, each done once."""

from dilute.sweeps.calibration import TimeEstimate, estimate_seconds
from dilute.sweeps.cluster import Cluster
from dilute.sweeps.engine import run_sweep
from dilute.sweeps.grid import expand, part_of
from dilute.sweeps.places import Place, share
from dilute.sweeps.planned import Plan, StoredRuns, make_plan, stored_runs
from dilute.sweeps.progress import Running, SweepProgress, SweepResult
from dilute.sweeps.run_labels import flat, label, varied_fields
from dilute.sweeps.sweep_file import read_sweep

__all__ = [
    "Cluster",
    "Place",
    "Plan",
    "Running",
    "StoredRuns",
    "SweepProgress",
    "SweepResult",
    "TimeEstimate",
    "estimate_seconds",
    "expand",
    "flat",
    "label",
    "make_plan",
    "part_of",
    "read_sweep",
    "run_sweep",
    "share",
    "stored_runs",
    "varied_fields",
]
