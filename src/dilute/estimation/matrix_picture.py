"""An estimate of the noise as a picture."""

from __future__ import annotations

from pathlib import Path

from dilute.estimation.noise_estimate import NoiseEstimate, alpha_text
from dilute.figures import draw_matrix


def draw_estimate(found: NoiseEstimate, path: Path | str) -> None:
    """Draw the law of given labels, a row per true class.

    Arguments:
        path: the PNG or SVG file to write.

    Errors: `StoreError` if the file cannot be written.
    """
    wrong = found.wrong_rate
    title = (
        f"{wrong.value or 0:.1%} wrong ({wrong.low or 0:.1%} to {wrong.high or 0:.1%}), "
        f"alpha {alpha_text(found.alpha)}\n"
        f"from {found.source}" + ("; not to be trusted" if found.is_doubtful else "")
    )
    draw_matrix(
        found.laws, found.class_names, path, rows="true class", columns="label given", title=title
    )
