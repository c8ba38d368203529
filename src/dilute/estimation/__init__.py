"""How noisy a data set is: from trusted labels, several labels per item, or the labels alone."""

from dilute.estimation.annotators import check_comparable
from dilute.estimation.estimators import (
    estimate_from_annotators,
    estimate_from_labels,
    estimate_from_trusted,
)
from dilute.estimation.noise_estimate import DoubtfulRows, NoiseEstimate, alpha_text
from dilute.estimation.predictions import cross_validated
from dilute.estimation.tables import read_annotations, read_trusted
from dilute.estimation.writing import document, write_estimate, write_trusted

__all__ = [
    "DoubtfulRows",
    "NoiseEstimate",
    "alpha_text",
    "check_comparable",
    "cross_validated",
    "document",
    "estimate_from_annotators",
    "estimate_from_labels",
    "estimate_from_trusted",
    "read_annotations",
    "read_trusted",
    "write_estimate",
    "write_trusted",
]
