"""Clean examples diluted with noisy ones: labels in a table, images never copied."""

from dilute.dilution.blocks import Block, ImageSource
from dilute.dilution.diluted import DilutedSet, ReplacedSet
from dilute.dilution.given import GivenSet
from dilute.dilution.noisy_set import Kind, NoisySet
from dilute.dilution.realisation import read_labels, write_labels
from dilute.dilution.visits import Batch, Copies, Visits, in_order

__all__ = [
    "Batch",
    "Block",
    "Copies",
    "DilutedSet",
    "GivenSet",
    "ImageSource",
    "Kind",
    "NoisySet",
    "ReplacedSet",
    "Visits",
    "in_order",
    "read_labels",
    "write_labels",
]
