"""The errors that a user can fix.

Each message is one line: what is wrong, the value received, what is allowed, what to do.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

# Control characters, separators of lines, what turns the direction of text, and halves of pairs,
# which stand for bytes of a file name that are no text.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_MOST_PROBLEMS = 5


def printable(text: str) -> str:
    """Return text in one line, with what would change a terminal or no file can hold as escapes.

    These are control characters, line breaks, marks that turn the direction of text, and bytes of
    file names that are no text: `\\x1b`, `\\n`, `\\udce9`. All other text is as it was.
    """
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def cut(text: str, most: int = 200) -> str:
    """Return text of at most `most` characters; an ellipsis stands for what is cut off."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


class DiluteError(Exception):
    """Something the user can fix; the command line prints the message alone and exits with 1."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(printable(one) if isinstance(one, str) else one for one in arguments))


class DataError(DiluteError):
    """A data set is missing, malformed, or unfit for what was asked of it."""


class NoiseError(DiluteError):
    """A noise pattern or an amount of noise that is not possible."""


class ModelError(DiluteError):
    """A model that is unknown, cannot be built, or does not fit the data."""


class SpecError(DiluteError):
    """A run that is not fully or not consistently described."""


class LawError(DiluteError):
    """Runs that no law of dilution can be fitted to, or a question that no law can answer."""


class WorldError(DiluteError):
    """Processes of one data-parallel run that lost each other, or never met."""


class RankError(WorldError):
    """Something wrong with one process alone, which no other process knows of."""


class EstimateError(DiluteError):
    """Data, or a table of labels, from which the noise cannot be estimated."""


class StoreError(DiluteError):
    """A store, record, checkpoint or output file that cannot be read or written."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return a message that `name` is no known `kind`, with the most similar known names."""
    known, name = sorted(known), cut(name, 80)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return (
            f"unknown {kind} '{name}'; did you mean {' or '.join(near)}? "
            f"(known: {', '.join(known)})"
        )
    return f"unknown {kind} '{name}'; known: {', '.join(known)}"


def validation_line(error: Any) -> str:
    """Return one line for a pydantic `ValidationError`: field, value received, what is allowed."""
    lines = []
    for problem in error.errors():
        field = ".".join(str(part) for part in problem["loc"] if isinstance(part, str))
        message = problem["msg"].removeprefix("Value error, ").replace("Input should", "it should")
        has_value = field and not isinstance(problem["input"], dict)
        value = cut(repr(problem["input"]))
        lines.append(cut(f"{cut(field)} = {value}: {message}" if has_value else message, 1000))
    shown = list(dict.fromkeys(lines))
    more = len(shown) - _MOST_PROBLEMS
    return "; ".join(shown[:_MOST_PROBLEMS]) + (f"; … and {more:,} more" if more > 0 else "")


def one_line(error: BaseException) -> str:
    """Return type and message of an error of another library, or of a user's model, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def reason_of(error: Exception) -> str:
    """Return why something failed, in one line: the system's own words where there are any."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())
