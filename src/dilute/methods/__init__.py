"""Methods: how to learn from noisy labels. Each gives the one training loop its `Objective`."""

from __future__ import annotations

from dilute.methods.bootstrapping import BootstrapHard, BootstrapSoft
from dilute.methods.co_teaching import CoTeaching
from dilute.methods.correction import Backward, Forward
from dilute.methods.cross_entropy import CrossEntropy, cross_entropy
from dilute.methods.elr import ELR
from dilute.methods.em import EM
from dilute.methods.gce import GCE
from dilute.methods.label_smoothing import LabelSmoothing
from dilute.methods.looking import look_steps
from dilute.methods.mae import MAE
from dilute.methods.matrices import MatrixMethod
from dilute.methods.method import (
    Loss,
    LossMethod,
    Method,
    Objective,
    TensorBatch,
    Uses,
    weighted_mean,
)
from dilute.methods.mixup import Mixup
from dilute.methods.neighbours import Neighbours, Patches, Rounds
from dilute.methods.observed import Observed
from dilute.methods.registry import (
    METHOD_NAMES,
    METHODS,
    PLAIN,
    Description,
    describe_method,
    make_method,
    written,
)
from dilute.methods.sce import SCE

__all__ = [
    "ELR",
    "EM",
    "GCE",
    "MAE",
    "METHODS",
    "METHOD_NAMES",
    "PLAIN",
    "SCE",
    "Backward",
    "BootstrapHard",
    "BootstrapSoft",
    "CoTeaching",
    "CrossEntropy",
    "Description",
    "Forward",
    "LabelSmoothing",
    "Loss",
    "LossMethod",
    "MatrixMethod",
    "Method",
    "Mixup",
    "Neighbours",
    "Objective",
    "Observed",
    "Patches",
    "Rounds",
    "TensorBatch",
    "Uses",
    "cross_entropy",
    "describe_method",
    "look_steps",
    "make_method",
    "weighted_mean",
    "written",
]
