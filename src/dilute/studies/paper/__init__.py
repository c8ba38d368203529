"""The figures of the paper, a file each, with its claims; `headline` goes beside the first."""

from dilute.study import Study
from dilute.study.finding import studies_in

_FIGURE = "fig"

FIGURES: dict[str, Study] = {
    study.name: study
    for study in sorted(
        (study for study in studies_in("dilute.studies.paper") if study.name.startswith(_FIGURE)),
        key=lambda study: int(study.name.removeprefix(_FIGURE)),
    )
}
"""The numbered figures by name, in the order of their numbers."""
