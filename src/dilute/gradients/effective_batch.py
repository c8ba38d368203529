"""Two meanings of the *effective batch size* of a batch of noisy visits."""

from __future__ import annotations

import math

from dilute.dilution import Copies


def clean_examples(batch_size: float, copies: Copies, alpha: float) -> float:
    """Return the effective batch that counts clean examples, at most b.

    It is `b·g/(1 + alpha)` for visits with g labels.

    Arguments:
        batch_size: visits in a batch, b.
        copies: labels per visit, g; all of an image's, or their distribution, hold its clean one.
        alpha: noisy examples per clean one.

    Source: abstract and section 5 of the paper.
    """
    return batch_size * min(1.0, _labels(copies, alpha) / (1 + alpha))


def signal_over_noise(batch_size: float, copies: Copies, alpha: float) -> float:
    """Return the effective batch with as much signal over noise: `b·g/(1 + alpha)²`, at most b.

    Noise shortens the mean gradient by `1 + alpha` while single labels stay as noisy as they were,
    so that the noise scale `tr(S)/|G|²` grows by the square; g labels in a visit divide it by g.
    Arguments as for `clean_examples`.

    Source: ours; it holds where the drawn labels' own mean gradient vanishes, as before the first
        step.
    """
    return batch_size * min(1.0, _labels(copies, alpha) / (1 + alpha) ** 2)


def _labels(copies: Copies, alpha: float) -> float:
    if copies == "expected":
        return math.inf
    return 1 + alpha if copies == "all" else min(copies, 1 + alpha)
