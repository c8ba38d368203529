"""Data sets: named ones, and the user's own, each as `Splits` of `LabelledSet`s."""

from __future__ import annotations

from dilute.data.annotations import Annotations
from dilute.data.augmentation import Augment, Augmentation
from dilute.data.checks import check_alike
from dilute.data.classes import with_classes
from dilute.data.corrupt import check_images
from dilute.data.encoded import EncodedImages, OnCorrupt
from dilute.data.folder import IMAGE_SUFFIXES
from dilute.data.home import data_folder
from dilute.data.joined_labels import join_labels
from dilute.data.labelled import LabelledSet, Splits
from dilute.data.loading import fetch, load, load_pool, reading_for
from dilute.data.map_style import from_dataset
from dilute.data.reading import AS_THEY_ARE, Reading
from dilute.data.sheet import contact_sheet, describe
from dilute.data.sources import OWN, SETS, absolute, can_resize, can_stream, known
from dilute.data.white_noise import WhiteNoise, white_noise_name, white_noise_size

__all__ = [
    "AS_THEY_ARE",
    "IMAGE_SUFFIXES",
    "OWN",
    "SETS",
    "Annotations",
    "Augment",
    "Augmentation",
    "EncodedImages",
    "LabelledSet",
    "OnCorrupt",
    "Reading",
    "Splits",
    "WhiteNoise",
    "absolute",
    "can_resize",
    "can_stream",
    "check_alike",
    "check_images",
    "contact_sheet",
    "data_folder",
    "describe",
    "fetch",
    "from_dataset",
    "join_labels",
    "known",
    "load",
    "load_pool",
    "reading_for",
    "white_noise_name",
    "white_noise_size",
    "with_classes",
]
