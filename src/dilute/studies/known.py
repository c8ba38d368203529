"""All studies by name."""

from __future__ import annotations

from collections.abc import Sequence

from dilute.studies import (
    advice_law,
    advice_pays,
    critical_batch,
    dilution_law,
    full_scale,
    grouping,
    method_comparison,
    noise_scale,
    plan_check,
    planted_noise,
)
from dilute.studies.paper import FIGURES, headline
from dilute.study import Study
from dilute.study.finding import find_studies

STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        *FIGURES.values(),
        noise_scale.STUDY,
        headline.STUDY,
        critical_batch.STUDY,
        grouping.STUDY,
        advice_law.STUDY,
        advice_pays.STUDY,
        dilution_law.STUDY,
        plan_check.STUDY,
        *method_comparison.STUDIES,
        planted_noise.STUDY,
        full_scale.STUDY,
    )
}
"""All studies by name."""

ALL: tuple[str, ...] = (*FIGURES, noise_scale.STUDY.name)
"""What `all` stands for: every figure of the paper.

Without `headline`, which takes hours, and our own studies.
"""


def chosen_studies(names: Sequence[str]) -> list[Study]:
    """Return the studies named, each once.

    Arguments:
        names: keys of `STUDIES`; `all`, which stands for `ALL`; and for studies of your own
            `my_study.py`, whose `STUDY` is meant, or `module:name`, found on PYTHONPATH.

    Errors: `SpecError` for a name that is not known, or names no study.
    """
    return find_studies(names, STUDIES, ALL)
