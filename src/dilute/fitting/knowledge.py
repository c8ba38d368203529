"""What is known of labels as given, from an estimate."""

from __future__ import annotations

from pathlib import Path

from dilute.data import LabelledSet
from dilute.dilution import GivenSet
from dilute.errors import EstimateError, SpecError
from dilute.estimation import estimate_from_annotators, read_estimate
from dilute.laws import Predicted

NOT_KNOWN = "labels as given; how many are wrong is not known"


def with_knowledge(
    labelled: LabelledSet, estimate: Path | str | None = None, *, cleaned: bool = False
) -> tuple[GivenSet, str]:
    """Return the labels as given with what can be known of them, and that in words.

    Without an estimate, several labels for an item are compared, which is fast and tells each
    annotator's law. Of one label for an item nothing is estimated: a method that pools them
    estimates the law itself.

    Arguments:
        estimate: folder of `dilute estimate`, whose law is taken, or those of the annotators.
        cleaned: take the rows and labels that the estimate has cleaned instead.

    Errors: `EstimateError` for an estimate of other labels, or that cannot be read.
    """
    if estimate is not None:
        return _by_estimate(labelled, estimate, cleaned=cleaned)
    if cleaned:
        raise SpecError("cleaned rows are those of an estimate; give it, too (--estimate)")
    if labelled.annotations is None:
        return GivenSet(labelled), NOT_KNOWN
    try:
        found = estimate_from_annotators(labelled.annotations, labelled.class_names)
    except EstimateError as error:
        return GivenSet(labelled), f"{NOT_KNOWN} ({error})"
    if found.is_doubtful:
        return GivenSet(labelled), f"{NOT_KNOWN} (the labels of an item agree too little to tell)"
    return GivenSet(labelled, annotator_laws=found.annotator_laws), (
        f"labels as given; {_rate(found.wrong_rate)} are wrong, by an estimate from "
        f"{found.num_labels:,} labels of {found.num_items:,} items"
    )


def _by_estimate(
    labelled: LabelledSet, folder: Path | str, *, cleaned: bool
) -> tuple[GivenSet, str]:
    found = read_estimate(folder, labelled)
    says = f"labels as given; {_rate(found.wrong_rate)} are wrong, by the estimate in {folder}"
    if cleaned:
        part = found.cleaned(labelled)
        fixed = f"of {len(labelled):,} rows {len(part):,} are kept, with their labels as cleaned"
        return GivenSet(part), f"{says}; {fixed}"
    if found.is_doubtful:
        return GivenSet(labelled), f"{NOT_KNOWN} (the estimate in {folder} is not to be trusted)"
    if found.annotator_laws is not None:
        laws = found.annotator_laws
        return GivenSet(labelled, annotator_laws=laws), f"{says}, with a law of each annotator"
    return GivenSet(labelled, found.law), says


def _rate(wrong: Predicted) -> str:
    return f"{wrong.value or 0:.1%} ({wrong.low or 0:.1%} to {wrong.high or 0:.1%})"
