"""The figures of the paper, a file each, with its claims; `headline` goes beside the first."""

from dilute.studies.paper import fig1, fig2, fig3, fig4, fig5, fig6, fig8, fig9, fig10, fig11
from dilute.study import Study

FIGURES: dict[str, Study] = {
    module.STUDY.name: module.STUDY
    for module in (fig1, fig2, fig3, fig4, fig5, fig6, fig8, fig9, fig10, fig11)
}
"""The numbered figures by name."""
