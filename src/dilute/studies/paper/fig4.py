"""Figure 4: the noise patterns, as matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dilute.noise import NoisePattern, Structured, Uniform
from dilute.study.study import SCALES, Scale, Study
from dilute.study.style import COLUMN_INCHES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NUM_CLASSES = 10
_ALPHA = 20.0
PATTERNS: dict[str, NoisePattern] = {
    "uniform": Uniform(),
    "structured, δ = 0.5": Structured(delta=0.5, order="random"),
    "structured, δ = 1": Structured(delta=1.0, order="random"),
}


def select(table: Any, scale: Scale) -> Any:
    """Return the share of each label in the diluted set, by pattern and true class."""
    import pandas as pd

    clean = 1 / (1 + _ALPHA)
    rows = []
    for name, pattern in PATTERNS.items():
        shares = clean * np.eye(_NUM_CLASSES) + (1 - clean) * pattern.matrix(_NUM_CLASSES, _ALPHA)
        rows += [
            {"pattern": name, "alpha": _ALPHA, "true_class": y, "label": k, "share": shares[y, k]}
            for y in range(_NUM_CLASSES)
            for k in range(_NUM_CLASSES)
        ]
    return pd.DataFrame(rows)


def draw(data: Any, scale: Scale) -> Figure:
    """Draw each pattern's matrix of label shares."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2 * COLUMN_INCHES, 2.7), layout="constrained")
    panels = figure.subplots(1, len(PATTERNS))
    figure.suptitle(f"Labels of a diluted set, by true class (alpha = {_ALPHA:g})", fontsize=9)
    figure.supxlabel(
        "structured noise in a random order, one for each class; the right label is on the "
        "diagonal",
        fontsize=6,
        color="0.35",
    )
    images = []
    for axes, name in zip(panels, PATTERNS, strict=True):
        shares = data[data["pattern"] == name].pivot(
            index="true_class", columns="label", values="share"
        )
        images.append(axes.imshow(100 * shares.to_numpy(), cmap="gray_r", vmin=0, vmax=16))
        axes.set_title(name)
        axes.set_xlabel("label")
        axes.set_xticks(range(0, _NUM_CLASSES, 3))
        axes.set_yticks(range(0, _NUM_CLASSES, 3))
    panels[0].set_ylabel("true class")
    figure.colorbar(images[0], ax=panels, label="share of the class's labels, %")
    return figure


STUDY = Study(
    name="fig4",
    title="The noise patterns",
    source="Figure 4 of the paper, as an illustration. Our reading: the ramp between the wrong "
    "classes.",
    notes=dict.fromkeys(SCALES, "Computed from the patterns; nothing is trained."),
    select=select,
    draw=draw,
    illustrates=True,
)
