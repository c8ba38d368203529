from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from dilute.data import LabelledSet
from dilute.dilution import DilutedSet
from dilute.figures import draw_curves, draw_labels, save
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


def test_text_in_pictures_is_text_and_exponents_stay(tmp_path: Path):
    figure = Figure()
    axes = figure.subplots()
    odd = ["$100_$", r"$\frac$", "\x1b[31mred", "caf\udce9"]
    axes.plot([1, 2, 3, 4], [1, 10, 1e5, 1e9], label=odd[1])
    axes.set_yscale("log")
    axes.set_xticks([1, 2, 3, 4], odd)
    axes.set_title("one\n$_{")
    axes.legend(title=odd[0])
    save(figure, tmp_path / "odd.svg")
    assert axes.get_title() == "one\n$_{"
    shown = [tick.label1 for tick in axes.xaxis.get_major_ticks()]
    assert [text.get_text() for text in shown] == [*odd[:2], r"\x1b[31mred", r"caf\udce9"]
    assert not any(text.get_parse_math() for text in (*shown, axes.title))
    assert all(tick.label1.get_parse_math() for tick in axes.yaxis.get_major_ticks())
