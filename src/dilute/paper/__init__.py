"""The paper's figures and claims: one file per figure, and what trains, draws and judges them."""

from dilute.paper import (
    fig1,
    fig2,
    fig3,
    fig4,
    fig5,
    fig6,
    fig8,
    fig9,
    fig10,
    fig11,
    headline,
    noise_scale,
)
from dilute.paper.claims import Claim, Judgement, Verdict
from dilute.paper.figure import SCALES, PaperFigure, Scale, run_table
from dilute.paper.reproduce import (
    FigureRuns,
    Judged,
    Reproduction,
    chosen_figures,
    claims_markdown,
    missing_runs,
    notes_markdown,
    reproduce,
)

FIGURES: dict[str, PaperFigure] = {
    module.FIGURE.name: module.FIGURE
    for module in (
        fig1,
        fig2,
        fig3,
        fig4,
        fig5,
        fig6,
        fig8,
        fig9,
        fig10,
        fig11,
        noise_scale,
        headline,
    )
}

__all__ = [
    "FIGURES",
    "SCALES",
    "Claim",
    "FigureRuns",
    "Judged",
    "Judgement",
    "PaperFigure",
    "Reproduction",
    "Scale",
    "Verdict",
    "chosen_figures",
    "claims_markdown",
    "missing_runs",
    "notes_markdown",
    "reproduce",
    "run_table",
]
