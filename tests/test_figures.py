from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dilute.data import LabelledSet
from dilute.dilution import DilutedSet
from dilute.figures import draw_curves, draw_labels
from dilute.runs import RunSpec, run_one


@pytest.mark.parametrize("alpha", [0, 1.5, 60])
@pytest.mark.parametrize("channels", [1, 3])
def test_sheet_of_labels(tmp_path: Path, alpha: float, channels: int):
    images = np.random.default_rng(0).integers(0, 256, (13, channels, 8, 8)).astype(np.uint8)
    clean = LabelledSet(images, np.arange(13) % 3, ("a long name", "$b_{", "c"))
    draw_labels(DilutedSet(clean, alpha), str(tmp_path / "labels.png"))
    assert (tmp_path / "labels.png").read_bytes().startswith(b"\x89PNG")


def test_curves(tmp_path: Path):
    specs = [
        RunSpec(data="digits", model="perceptron", alpha=alpha, budget_steps=4, curve_points=2)
        for alpha in (0, 3)
    ]
    draw_curves([run_one(spec).record for spec in specs], tmp_path / "curves.png", title="digits")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
