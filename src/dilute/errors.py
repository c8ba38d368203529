"""The errors that a user can mend; each message is one line: what, the value received, what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class DiluteError(Exception):
    """Something the user can mend; the command line prints the message alone and exits with 1."""


class DataError(DiluteError):
    """A data set is missing, malformed, or unfit for what was asked of it."""


class NoiseError(DiluteError):
    """A noise pattern or an amount of noise that cannot be."""


class ModelError(DiluteError):
    """A model that is unknown, cannot be built, or does not fit the data."""


class SpecError(DiluteError):
    """A run that is not fully or not consistently described."""


class LawError(DiluteError):
    """A law that the runs at hand cannot give, or a question that no law can answer."""


class WorldError(DiluteError):
    """Processes of one data-parallel run that lost each other, or never met."""


class RankError(WorldError):
    """What is wrong with one process alone, so that no other can say it."""


class EstimateError(DiluteError):
    """Data, or a table of labels, that tell nothing of the noise."""


class StoreError(DiluteError):
    """A store, record, checkpoint or output file that cannot be read or written."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the line that says that `name` is no known `kind`, with the nearest known ones first."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"unknown {kind} '{name}'; did you mean {' or '.join(near)}? (known: {', '.join(known)})"
    return f"unknown {kind} '{name}'; known: {', '.join(known)}"


def validation_line(error: Any) -> str:
    """Return one line for a pydantic `ValidationError`: each field, the value received, what is allowed."""
    lines = []
    for problem in error.errors():
        field = ".".join(str(part) for part in problem["loc"] if isinstance(part, str))
        message = problem["msg"].removeprefix("Value error, ").replace("Input should", "it should")
        has_value = field and not isinstance(problem["input"], dict)
        lines.append(f"{field} = {problem['input']!r}: {message}" if has_value else message)
    return "; ".join(dict.fromkeys(lines))


def one_line(error: Exception) -> str:
    """Return kind and words of another library's error, or of a user's model's, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
