"""Studies of our own, made like the paper's figures: runs, a picture, a table."""

from dilute.paper import PaperFigure
from dilute.studies import advice_law, critical_batch, grouping

STUDIES: dict[str, PaperFigure] = {
    module.FIGURE.name: module.FIGURE for module in (critical_batch, grouping, advice_law)
}

__all__ = ["STUDIES"]
