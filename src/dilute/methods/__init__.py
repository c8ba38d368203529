"""Methods: how to learn from noisy labels. Each plugs into the one training loop as an `Objective`."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from dilute.errors import SpecError, unknown_name, validation_line
from dilute.methods.bootstrapping import BootstrapHard, BootstrapSoft
from dilute.methods.co_teaching import CoTeaching
from dilute.methods.correction import (
    BackwardEstimated,
    BackwardKnown,
    ForwardEstimated,
    ForwardKnown,
)
from dilute.methods.cross_entropy import CrossEntropy, cross_entropy
from dilute.methods.elr import EarlyLearningRegularisation
from dilute.methods.em import EmEstimated, EmKnown
from dilute.methods.gce import GeneralisedCrossEntropy
from dilute.methods.label_smoothing import LabelSmoothing
from dilute.methods.looking import look_steps
from dilute.methods.mae import MeanAbsoluteError
from dilute.methods.method import Loss, LossMethod, Method, Objective, TensorBatch
from dilute.methods.mixup import Mixup
from dilute.methods.neighbours import (
    NeighboursEstimated,
    NeighboursKnown,
    PatchesEstimated,
    PatchesKnown,
    RoundsEstimated,
    RoundsKnown,
)
from dilute.methods.observed import Observed
from dilute.methods.sce import SymmetricCrossEntropy

PLAIN = "cross_entropy"
"""How the paper trains."""

METHODS: dict[str, type[Method]] = {
    PLAIN: CrossEntropy,
    "label_smoothing": LabelSmoothing,
    "bootstrap_soft": BootstrapSoft,
    "bootstrap_hard": BootstrapHard,
    "forward_known": ForwardKnown,
    "forward_estimated": ForwardEstimated,
    "backward_known": BackwardKnown,
    "backward_estimated": BackwardEstimated,
    "mae": MeanAbsoluteError,
    "gce": GeneralisedCrossEntropy,
    "sce": SymmetricCrossEntropy,
    "mixup": Mixup,
    "elr": EarlyLearningRegularisation,
    "co_teaching": CoTeaching,
    "em_known": EmKnown,
    "em_estimated": EmEstimated,
    "neighbours_known": NeighboursKnown,
    "neighbours_estimated": NeighboursEstimated,
    "patches_known": PatchesKnown,
    "patches_estimated": PatchesEstimated,
    "rounds_known": RoundsKnown,
    "rounds_estimated": RoundsEstimated,
}


def make_method(name: str, **options: Any) -> Method:
    """Return the method `name` with the given options.

    Errors: `SpecError` for an unknown name, an option that the method lacks, or a value out of range.
    """
    if name not in METHODS:
        raise SpecError(unknown_name("method", name, METHODS))
    fields = list(METHODS[name].model_fields)
    unused = sorted(set(options) - set(fields))
    if unused:
        raise SpecError(
            f"{', '.join(unused)} has no meaning for method {name}, "
            + (f"which takes {', '.join(fields)}" if fields else "which takes no options")
        )
    try:
        return METHODS[name](**options)
    except ValidationError as error:
        raise SpecError(f"method {name}: {validation_line(error)}") from None


__all__ = [
    "METHODS",
    "PLAIN",
    "Loss",
    "LossMethod",
    "Method",
    "Objective",
    "Observed",
    "TensorBatch",
    "cross_entropy",
    "look_steps",
    "make_method",
]
