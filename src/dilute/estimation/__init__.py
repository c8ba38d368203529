"""How noisy a data set is: from trusted labels, several labels per item, or the labels alone."""

from dilute.estimation.annotators import Annotator, check_comparable
from dilute.estimation.cleaning import SURE, Cleaned, cleaned
from dilute.estimation.estimators import (
    estimate_from_annotators,
    estimate_from_labels,
    estimate_from_look_alikes,
    estimate_from_trusted,
)
from dilute.estimation.look_alikes import classes_of_look_alikes
from dilute.estimation.noise_estimate import DoubtfulRows, NoiseEstimate, alpha_text
from dilute.estimation.predictions import cross_validated
from dilute.estimation.reading import StoredEstimate, read_estimate
from dilute.estimation.tables import read_annotations, read_trusted
from dilute.estimation.trusted import check_enough
from dilute.estimation.writing import document, write_estimate, write_trusted

__all__ = [
    "SURE",
    "Annotator",
    "Cleaned",
    "DoubtfulRows",
    "NoiseEstimate",
    "StoredEstimate",
    "alpha_text",
    "check_comparable",
    "check_enough",
    "classes_of_look_alikes",
    "cleaned",
    "cross_validated",
    "document",
    "estimate_from_annotators",
    "estimate_from_labels",
    "estimate_from_look_alikes",
    "estimate_from_trusted",
    "read_annotations",
    "read_estimate",
    "read_trusted",
    "write_estimate",
    "write_trusted",
]
