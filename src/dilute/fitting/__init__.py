"""From labels to a trained model: what is chosen, what is known of the labels, and the training."""

from dilute.fitting.choices import choose_heldout, choose_model, choose_recipe
from dilute.fitting.fitting import fit

__all__ = ["choose_heldout", "choose_model", "choose_recipe", "fit"]
