"""Train classifiers when most labels are wrong, and know what it costs.

The public names below are imported when they are first used, so that `import dilute` is instant.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dilute import methods as methods
    from dilute import noise as noise
    from dilute.advice import advise as advise
    from dilute.classifier import Classifier as Classifier
    from dilute.classifier import ImageClassifier as ImageClassifier
    from dilute.data import Annotations as Annotations
    from dilute.data import LabelledSet as LabelledSet
    from dilute.data import Reading as Reading
    from dilute.data import Splits as Splits
    from dilute.data import WhiteNoise as WhiteNoise
    from dilute.data import from_dataset as from_dataset
    from dilute.data import load as load
    from dilute.dilution import DilutedSet as DilutedSet
    from dilute.dilution import GivenSet as GivenSet
    from dilute.dilution import NoisySet as NoisySet
    from dilute.dilution import ReplacedSet as ReplacedSet
    from dilute.dilution import read_labels as read_labels
    from dilute.dilution import write_labels as write_labels
    from dilute.errors import DiluteError as DiluteError
    from dilute.estimation import cross_validated as cross_validated
    from dilute.estimation import estimate_from_annotators as estimate_from_annotators
    from dilute.estimation import estimate_from_labels as estimate_from_labels
    from dilute.estimation import estimate_from_look_alikes as estimate_from_look_alikes
    from dilute.estimation import estimate_from_trusted as estimate_from_trusted
    from dilute.fitting import fit as fit
    from dilute.gradients import measure_gradients as measure_gradients
    from dilute.interruption import Interrupted as Interrupted
    from dilute.laws import evidence_of as evidence_of
    from dilute.laws import fit_law as fit_law
    from dilute.methods import METHODS as METHODS
    from dilute.methods import LossMethod as LossMethod
    from dilute.methods import Method as Method
    from dilute.noise import Asymmetric as Asymmetric
    from dilute.noise import Confusion as Confusion
    from dilute.noise import NoisePattern as NoisePattern
    from dilute.noise import Pair as Pair
    from dilute.noise import Structured as Structured
    from dilute.noise import Uniform as Uniform
    from dilute.noise import UniformOther as UniformOther
    from dilute.planning import Prices as Prices
    from dilute.planning import plan_collection as plan_collection
    from dilute.planning import run_pilot as run_pilot
    from dilute.runs import PRESETS as PRESETS
    from dilute.runs import Execution as Execution
    from dilute.runs import Fit as Fit
    from dilute.runs import Material as Material
    from dilute.runs import RunRecord as RunRecord
    from dilute.runs import RunSpec as RunSpec
    from dilute.runs import Store as Store
    from dilute.runs import run_one as run_one
    from dilute.serving import TrainedModel as TrainedModel
    from dilute.serving import load_model as load_model
    from dilute.studies import reproduce as reproduce
    from dilute.study import Comparison as Comparison
    from dilute.study import Study as Study
    from dilute.study import Sweeping as Sweeping
    from dilute.study import compare as compare
    from dilute.sweeps import read_sweep as read_sweep
    from dilute.sweeps import run_sweep as run_sweep
    from dilute.training import Recipe as Recipe

__version__ = "0.1.0"

_HOMES = {
    "dilute.advice": ("advise",),
    "dilute.classifier": ("Classifier", "ImageClassifier"),
    "dilute.data": (
        "Annotations",
        "LabelledSet",
        "Reading",
        "Splits",
        "WhiteNoise",
        "from_dataset",
        "load",
    ),
    "dilute.dilution": (
        "DilutedSet",
        "GivenSet",
        "NoisySet",
        "ReplacedSet",
        "read_labels",
        "write_labels",
    ),
    "dilute.errors": ("DiluteError",),
    "dilute.estimation": (
        "cross_validated",
        "estimate_from_annotators",
        "estimate_from_labels",
        "estimate_from_look_alikes",
        "estimate_from_trusted",
    ),
    "dilute.fitting": ("fit",),
    "dilute.gradients": ("measure_gradients",),
    "dilute.interruption": ("Interrupted",),
    "dilute.laws": ("evidence_of", "fit_law"),
    "dilute.methods": ("METHODS", "LossMethod", "Method"),
    "dilute.noise": (
        "Asymmetric",
        "Confusion",
        "NoisePattern",
        "Pair",
        "Structured",
        "Uniform",
        "UniformOther",
    ),
    "dilute.planning": ("Prices", "plan_collection", "run_pilot"),
    "dilute.runs": (
        "PRESETS",
        "Execution",
        "Fit",
        "Material",
        "RunRecord",
        "RunSpec",
        "Store",
        "run_one",
    ),
    "dilute.serving": ("TrainedModel", "load_model"),
    "dilute.studies": ("reproduce",),
    "dilute.study": ("Comparison", "Study", "Sweeping", "compare"),
    "dilute.sweeps": ("read_sweep", "run_sweep"),
    "dilute.training": ("Recipe",),
}
_ROOMS = ("methods", "noise")
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME_OF)]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"dilute.{name}")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'dilute' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME_OF])
