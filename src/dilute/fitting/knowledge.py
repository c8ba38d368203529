"""What is known of labels as given, from an estimate."""

from __future__ import annotations

from dilute.data import LabelledSet
from dilute.dilution import GivenSet
from dilute.errors import EstimateError
from dilute.estimation import estimate_from_annotators

NOT_KNOWN = "labels as given; how many are wrong is not known"


def with_knowledge(labelled: LabelledSet) -> tuple[GivenSet, str]:
    """Return the labels as given with what can be known of them, and that in words.

    Several labels for an item are compared, which is fast and tells each annotator's law. Of one
    label for an item nothing is estimated: a method that pools them estimates the law itself.
    """
    if labelled.annotations is None:
        return GivenSet(labelled), NOT_KNOWN
    try:
        found = estimate_from_annotators(labelled.annotations, labelled.class_names)
    except EstimateError as error:
        return GivenSet(labelled), f"{NOT_KNOWN} ({error})"
    wrong = found.wrong_rate
    words = (
        f"labels as given; {wrong.value:.1%} ({wrong.low:.1%} to {wrong.high:.1%}) of them are "
        f"wrong, by the estimate from {found.num_labels:,} labels of {found.num_items:,} items"
    )
    if found.is_doubtful:
        return GivenSet(labelled), f"{NOT_KNOWN} (the labels of an item agree too little to tell)"
    return GivenSet(labelled, annotator_laws=found.annotator_laws), words
