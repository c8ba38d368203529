"""Methods side by side: the same data, the same wrong labels, the same compute."""

from dilute.comparison.contest import Contest, entries_of
from dilute.comparison.drawing import draw_comparison
from dilute.comparison.results import Standing, in_percent, outcomes, ranking

__all__ = [
    "Contest",
    "Standing",
    "draw_comparison",
    "entries_of",
    "in_percent",
    "outcomes",
    "ranking",
]
