"""Label noise: patterns, how much of it there is, and what labels say under it."""

from __future__ import annotations

from dilute.noise.amounts import (
    alpha_from_rate,
    checked_law,
    label_laws,
    majority_is_true,
    noise_rate,
    wrong_rate,
)
from dilute.noise.likelihood import (
    annotators_log_likelihood,
    count_log_likelihood,
    law_log_likelihood,
)
from dilute.noise.matrix_file import read_matrix
from dilute.noise.pattern import Matrix, NoisePattern, checked_matrix
from dilute.noise.patterns import CLASS_MAPS, Asymmetric, Confusion, Pair, Uniform, UniformOther
from dilute.noise.registry import PATTERNS, as_pattern, make_pattern
from dilute.noise.structured import Structured

__all__ = [
    "CLASS_MAPS",
    "PATTERNS",
    "Asymmetric",
    "Confusion",
    "Matrix",
    "NoisePattern",
    "Pair",
    "Structured",
    "Uniform",
    "UniformOther",
    "alpha_from_rate",
    "annotators_log_likelihood",
    "as_pattern",
    "checked_law",
    "checked_matrix",
    "count_log_likelihood",
    "label_laws",
    "law_log_likelihood",
    "majority_is_true",
    "make_pattern",
    "noise_rate",
    "read_matrix",
    "wrong_rate",
]
