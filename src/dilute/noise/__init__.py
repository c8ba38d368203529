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
from dilute.noise.matrix_file import (
    MatrixFile,
    in_order_of,
    read_matrix,
    with_rows_of_file,
    write_law,
)
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
    "MatrixFile",
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
    "in_order_of",
    "label_laws",
    "law_log_likelihood",
    "majority_is_true",
    "make_pattern",
    "noise_rate",
    "read_matrix",
    "with_rows_of_file",
    "write_law",
    "wrong_rate",
]
