"""Records of runs that nobody ran, so that tests of stores are quick."""

from __future__ import annotations

from dilute.noise import Structured, Uniform
from dilute.runs import Accuracy, RunRecord, RunSpec
from dilute.training import CurvePoint


def made_up(seed: int, **changes) -> RunRecord:
    spec = RunSpec(
        data="digits",
        model="mlp1",
        alpha=seed,
        copies="all" if seed % 2 else 3,
        noise=Structured(delta=0.1, class_order=(1, 0)) if seed % 3 else Uniform(),
        seed=seed,
    )
    values = {
        "key": spec.key(),
        "status": "done",
        "spec": spec.canonical(),
        "accuracy": Accuracy(last=0.1 + seed / 100, selected=None if seed % 2 else 0.7),
        "curve": [CurvePoint(step=1, images=2, examples=3, train_loss=0.5)],
        "heldout_confusion": [[seed, 1], [0, 2]],
        "seconds": 1.5,
        "num_test": 360,
        "versions": {"torch": "2"},
        "hardware": {"threads": seed},
        "code": "abc",
        "started": "2026-01-01T00:00:00+00:00",
    }
    return RunRecord(**{**values, **changes})
