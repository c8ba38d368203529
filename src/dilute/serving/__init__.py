"""A trained model to keep, share and predict with; it knows nothing of the run it came from."""

from dilute.serving.model_folder import check_model_folder, load_model
from dilute.serving.new_data import NewData, new_data
from dilute.serving.trained_model import TrainedModel

__all__ = ["NewData", "TrainedModel", "check_model_folder", "load_model", "new_data"]
