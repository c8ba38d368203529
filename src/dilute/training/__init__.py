"""The one training loop: its recipe, its evaluation, its checkpoints."""

from dilute.training.checkpoints import load_weights, save_weights
from dilute.training.curve import CurvePoint
from dilute.training.evaluation import Mirrored, Score, evaluate
from dilute.training.loop import train
from dilute.training.points import OnCurvePoint
from dilute.training.recipe import Recipe
from dilute.training.scaling import Scaled
from dilute.training.speed import step_seconds
from dilute.training.state import Trained

__all__ = [
    "CurvePoint",
    "Mirrored",
    "OnCurvePoint",
    "Recipe",
    "Scaled",
    "Score",
    "Trained",
    "evaluate",
    "load_weights",
    "save_weights",
    "step_seconds",
    "train",
]
