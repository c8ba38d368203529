"""Studies of our own, made like the paper's figures: runs, a picture, a table."""

from dilute.paper import PaperFigure
from dilute.studies import advice_law, critical_batch, dilution_law, grouping, plan_test

STUDIES: dict[str, PaperFigure] = {
    module.FIGURE.name: module.FIGURE
    for module in (critical_batch, grouping, advice_law, dilution_law, plan_test)
}

__all__ = ["STUDIES"]
