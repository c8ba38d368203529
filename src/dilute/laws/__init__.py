"""The law of dilution: how accuracy depends on the number of clean examples and on label noise.

The *worth* of an example among noisy labels is the number of examples with clean labels that would
teach as much. It comes from theory (`worth`) and from runs (`fit_law`).
"""

from dilute.laws.evidence import Evidence, Setting, evidence_of
from dilute.laws.fit import fit_law
from dilute.laws.fitted import DilutionLaw, Form
from dilute.laws.predicted import LEVEL, Predicted, interval_of
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
    "Form",
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
