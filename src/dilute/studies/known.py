"""All studies by name."""

from __future__ import annotations

from collections.abc import Sequence

from dilute.studies import noise_scale
from dilute.studies.paper import FIGURES, headline
from dilute.study import Study
from dilute.study.finding import each_once, find_studies, studies_in

STUDIES: dict[str, Study] = {
    study.name: study
    for study in each_once([*FIGURES.values(), headline.STUDY, *studies_in("dilute.studies")])
}
"""All studies by name: the paper's figures, and those of the files beside this one."""

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
