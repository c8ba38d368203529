"""Made-up runs that follow a law, and their records, for the tests of laws and plans."""

from __future__ import annotations

import json

import numpy as np

from dilute.laws import Evidence, Setting
from dilute.runs import Accuracy, RunRecord, RunSpec

UNIFORM = json.dumps({"pattern": "uniform"})


def evidence(
    error,
    alphas=(0, 2, 5, 10, 20),
    sizes=(100, 300, 1000, 3000, 10_000),
    noise=0.03,
    seed=0,
    seeds=2,
    **fields,
):
    """Runs whose error is `error(n, alpha)`, times noise."""
    generator = np.random.default_rng(seed)
    n, alpha = (
        np.repeat(axis.ravel(), seeds).astype(float)
        for axis in np.meshgrid(sizes, alphas, indexing="ij")
    )
    errors = np.array([error(a, b) for a, b in zip(n, alpha, strict=True)])
    errors = errors * np.exp(noise * generator.standard_normal(len(n)))
    setting = Setting(
        "mnist", "mlp1", UNIFORM, "dilution", "same", "all", "cross_entropy"
    )._replace(**fields)
    ones = np.ones(len(n))
    return Evidence(setting, n, alpha, 1 - np.minimum(errors, 0.9), 10_000 * ones, 10, ones)


def planted(n, alpha, kappa=0.6):
    return 0.02 + (30 / (n / (1 + kappa * alpha))) ** 0.6


# Evidence
def record(accuracy=0.8, status="done", nll=None, **fields):
    spec = RunSpec(**{"data": "mnist5k", "model": "mlp1", "num_clean": 100, "seed": 0} | fields)
    size = spec.num_clean
    curve = [] if nll is None else [{"step": 1, "images": 1, "examples": 1, "heldout_nll": nll}]
    return RunRecord(
        key=spec.key(),
        status=status,
        spec=spec.canonical(),
        accuracy=Accuracy(last=accuracy),
        curve=curve,
        selected_step=None if nll is None else 1,
        num_clean=size if spec.rate is None else round(size * (1 - spec.rate)),
        num_test=1000,
        num_classes=10,
        seconds=1.0,
        code="x",
        started="2020-01-01",
    )
