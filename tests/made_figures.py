"""Made-up records of the figures' runs, for the tests of figures and claims."""

from __future__ import annotations

import numpy as np

from dilute.runs import RunRecord, RunSpec
from dilute.studies import ALL, STUDIES

FIGURES = {name: STUDIES[name] for name in (*ALL, "headline")}

# Of the page that states the paper's claims.
CLAIMS = {
    "mnist-alpha100",
    "mnist-order",
    "cifar-alpha10",
    "imagenet-alpha5",
    "structured",
    "order-is-minor",
    "vocabulary",
    "threshold",
    "linear-need",
    "batch-size",
    "infinite-batch",
    "learning-rate",
    "effective-batch",
}
NUMBERED = [
    "fig1",
    "fig2",
    "fig3",
    "fig4",
    "fig5",
    "fig6",
    "fig8",
    "fig9",
    "fig10",
    "fig11",
    "noise-scale",
]


_SCALE = {"value": 500.0, "low": 400.0, "high": 600.0}
GRADIENT = {"length": 0.1, "noise_scale": _SCALE, "label_noise_scale": _SCALE}


def made_record(spec: RunSpec, accuracy: float = 0.5) -> RunRecord:
    looks = spec.log_gradients
    confusion = np.random.default_rng(0).integers(0, 100, (10, 10)).tolist()
    return RunRecord(
        key=spec.key(),
        status="done",
        spec=spec.canonical(),
        accuracy={"last": accuracy, "selected": accuracy},
        selected_step=6,
        curve=[
            *([{"step": 0, "images": 0, "examples": 0, "gradient": GRADIENT}] if looks else []),
            {
                "step": 6,
                "images": 60,
                "examples": 60,
                "train_loss": 1.0,
                "heldout_nll": 2.0,
                "test_accuracy": accuracy,
                "gradient": GRADIENT if looks else None,
            },
        ],
        steps=6,
        num_clean=spec.num_clean or 57_000,
        num_test=10_000,
        seconds=1.0,
        training_seconds=0.5,
        heldout_confusion=confusion,
        code="made up",
        started="2026-01-01T00:00:00+00:00",
    )


def specs_of(name: str, scale: str) -> list[RunSpec]:
    figure = FIGURES[name]
    return figure.runs(scale, [made_record(spec) for spec in figure.references(scale)])
