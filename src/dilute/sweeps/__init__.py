"""Sweeps: many runs from one description, by processes here or on a cluster, each once, come what may."""

from dilute.sweeps.calibration import Estimate, estimate
from dilute.sweeps.engine import run_sweep
from dilute.sweeps.grid import expand, flat, label, part_of, read_sweep, varied_fields
from dilute.sweeps.places import Place, share
from dilute.sweeps.plan import Plan, Standing, make_plan, standing
from dilute.sweeps.progress import Running, SweepProgress, SweepResult
from dilute.sweeps.ray_crew import Cluster

__all__ = [
    "Cluster",
    "Estimate",
    "Place",
    "Plan",
    "Running",
    "Standing",
    "SweepProgress",
    "SweepResult",
    "estimate",
    "expand",
    "flat",
    "label",
    "make_plan",
    "part_of",
    "read_sweep",
    "run_sweep",
    "share",
    "standing",
    "varied_fields",
]
