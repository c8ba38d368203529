"""The studies themselves, a file each: the paper's figures, and our own beside them."""

from dilute.studies import (
    advice_law,
    critical_batch,
    dilution_law,
    grouping,
    noise_scale,
    plan_check,
)
from dilute.studies.paper import (
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
)
from dilute.study import Study

STUDIES: dict[str, Study] = {
    module.STUDY.name: module.STUDY
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
        critical_batch,
        grouping,
        advice_law,
        dilution_law,
        plan_check,
    )
}
"""All studies by name, those of `all` first."""

__all__ = ["STUDIES"]
