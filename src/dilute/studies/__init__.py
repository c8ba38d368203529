"""The studies themselves, a file each: the paper's figures, and our own beside them."""

from dilute.studies.known import ALL, STUDIES, chosen_studies
from dilute.studies.reproducing import reproduce

__all__ = ["ALL", "STUDIES", "chosen_studies", "reproduce"]
