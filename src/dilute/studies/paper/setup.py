"""The recipes that figures share: the paper's, and what stands for it on a laptop.

Source: the paper fixes AdaDelta with batches of 128 and a learning rate tuned for each amount of
noise (SGD with momentum and batches of 256 on ImageNet). Our reading: AdaDelta's epsilon is 1e-8,
the default of the library of the time; the learning rate is constant, and tuned on held-out noisy
labels; an epoch shows every label once.
"""

from __future__ import annotations

from typing import Any

from dilute.study.study import Scale

SINGLE_DRAWS: dict[str, Any] = {
    "copies": 1,
    "batch_size": 128,
    "optimizer": "adadelta",
    "epsilon": 1e-8,
    "schedule": "constant",
}
"""The paper's own sampling and optimiser."""

GROUPED: dict[str, Any] = {"copies": "all", "batch_size": 128}
"""All labels of an image in one visit, with AdamW and a learning rate that falls to zero."""

SMOKE: dict[str, Any] = {**GROUPED, "batch_size": 32, "budget_steps": 6, "curve_points": 2}
"""A few steps, to prove the path."""

LEARNING_RATES = (0.03, 0.1, 0.3, 1.0)
MNIST_EPOCHS = 12
CIFAR_EPOCHS = 60

SMOKE_NOTE = "A few steps on 5,000 digits; no verdict."
PAPER_NOTE = "Single draws, AdaDelta, batches of 128, learning rate tuned on held-out noisy labels."


def paper_recipes(epochs: float) -> list[dict[str, Any]]:
    """Return the recipes of a run at the paper's scale: one for each learning rate tried."""
    return [
        {**SINGLE_DRAWS, "learning_rate": rate, "budget_epochs": epochs, "curve_points": 40}
        for rate in LEARNING_RATES
    ]


def mnist(scale: Scale) -> str:
    """Return the data set: for smoke a small MNIST that comes with the package."""
    return "mnist5k" if scale == "smoke" else "mnist"


def mnist_title(scale: Scale) -> str:
    """Return the data set's name above a picture."""
    return "MNIST (5,000)" if scale == "smoke" else "MNIST"


def sampling_note(scale: Scale) -> str:
    """Return how figures sample that group an image's labels unless at the paper's scale."""
    return "single draws" if scale == "paper" else "all labels of an image in one visit"


def seeds_of(scale: Scale, laptop: int) -> range:
    """Return the seeds of a scale: one for smoke, `laptop` on a laptop, three as the paper's."""
    return range({"smoke": 1, "laptop": laptop, "paper": 3}[scale])
