"""The law of dilution: what clean examples among noisy ones are worth, from theory and from runs."""

from dilute.laws.evidence import Evidence, Setting, evidence_of
from dilute.laws.fit import LEVEL, DilutionLaw, Predicted, fit_law, interval_of
from dilute.laws.worth import (
    class_posterior,
    information_worth,
    kappa,
    labels_information,
    plain_worth,
    worth,
)

__all__ = [
    "LEVEL",
    "DilutionLaw",
    "Evidence",
    "Predicted",
    "Setting",
    "class_posterior",
    "evidence_of",
    "fit_law",
    "information_worth",
    "interval_of",
    "kappa",
    "labels_information",
    "plain_worth",
    "worth",
]
