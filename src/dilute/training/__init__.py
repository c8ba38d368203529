"""The one training loop, what it is told, how it judges, and how it resumes."""

from dilute.training.checkpoints import load_weights, save_weights
from dilute.training.evaluation import Score, evaluate
from dilute.training.loop import train
from dilute.training.recipe import Recipe
from dilute.training.scaling import Scaled
from dilute.training.state import CurvePoint, Trained

__all__ = [
    "CurvePoint",
    "Recipe",
    "Scaled",
    "Score",
    "Trained",
    "evaluate",
    "load_weights",
    "save_weights",
    "train",
]
