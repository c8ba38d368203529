"""An estimate of the noise as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dilute.errors import cut
from dilute.estimation.noise_estimate import NoiseEstimate, alpha_text
from dilute.figures import save

_MOST_NUMBERS = 20


def draw_estimate(found: NoiseEstimate, path: Path | str) -> None:
    """Draw the noise matrix, a row per true class.

    Arguments:
        path: the PNG or SVG file to write.

    Errors: `StoreError` if the file cannot be written.
    """
    from matplotlib.figure import Figure

    size = len(found.laws)
    inches = min(12.0, 3.2 + 0.42 * min(size, _MOST_NUMBERS))
    figure = Figure(figsize=(inches + 0.8, inches + 0.4), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(100 * found.laws, cmap="Blues", vmin=0, vmax=100 * float(found.laws.max()))
    if size <= _MOST_NUMBERS:
        middle = 50 * float(found.laws.max())
        for truth in range(size):
            for given in range(size):
                value = 100 * found.laws[truth, given]
                colour = "white" if value > middle else "black"
                axes.text(
                    given, truth, f"{value:.0f}", ha="center", va="center", fontsize=7, color=colour
                )
        names = [cut(name, 12) for name in found.class_names]
        axes.set_xticks(
            np.arange(size), names, rotation=45, ha="right", fontsize=7, parse_math=False
        )
        axes.set_yticks(np.arange(size), names, fontsize=7, parse_math=False)
    axes.set_xlabel("label given", fontsize=8)
    axes.set_ylabel("true class", fontsize=8)
    wrong = found.wrong_rate
    axes.set_title(
        f"{wrong.value or 0:.1%} wrong ({wrong.low or 0:.1%} to {wrong.high or 0:.1%}), "
        f"alpha {alpha_text(found.alpha)}\n"
        f"from {found.source}" + ("; not to be trusted" if found.is_doubtful else ""),
        fontsize=8,
    )
    figure.colorbar(image, ax=axes, label="share of the true class's labels, %", shrink=0.8)
    save(figure, path)
