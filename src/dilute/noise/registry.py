"""Noise patterns by name, and from what a spec or a sweep file says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from dilute.errors import NoiseError, unknown_name, validation_line
from dilute.extensions import imported_class, name_of
from dilute.noise.pattern import NoisePattern
from dilute.noise.patterns import Asymmetric, Confusion, Pair, Uniform, UniformOther
from dilute.noise.structured import Structured

PATTERNS: dict[str, type[NoisePattern]] = {
    "uniform": Uniform,
    "uniform_other": UniformOther,
    "pair": Pair,
    "asymmetric": Asymmetric,
    "structured": Structured,
    "confusion": Confusion,
}
"""The patterns that come with the package. Others are named `module:Class`."""


def make_pattern(name: str, /, **options: Any) -> NoisePattern:
    """Return a noise pattern by its name.

    Arguments:
        name: a key of `PATTERNS`, or `module:Class` for a subclass of `NoisePattern` of your own.
        options: fields of the pattern; what is not given has its default.

    Errors: `NoiseError` for an unknown name, an option that the pattern lacks or has no use for,
        or a value out of range.
    """
    if ":" in name:
        kind = imported_class("noise pattern", name, NoisePattern, NoiseError)
    elif name in PATTERNS:
        kind = PATTERNS[name]
    else:
        known = unknown_name("noise pattern", name, PATTERNS)
        raise NoiseError(f"{known}; or module:Class for your own")
    fields = [field for field in kind.model_fields if field != "pattern"]
    unused = sorted(set(options) - set(fields))
    if unused:
        raise NoiseError(
            f"{', '.join(unused)} has no meaning for {name} noise, "
            + (f"which takes {', '.join(fields)}" if fields else "which takes no options")
        )
    missing = [
        field for field in fields if kind.model_fields[field].is_required() and field not in options
    ]
    if missing:
        raise NoiseError(f"{name} noise needs {' and '.join(missing)}; give it")
    try:
        return kind(**options)
    except ValidationError as error:
        raise NoiseError(f"{name} noise: {validation_line(error)}") from None


def as_pattern(value: Any) -> NoisePattern:
    """Return the pattern that a spec or a sweep file describes.

    Arguments:
        value: a pattern's name; a mapping with `pattern`, its name, and its options; or a pattern.

    Errors: `NoiseError` for anything else, as `make_pattern`; for a pattern that no record can
        name.
    """
    if isinstance(value, NoisePattern):
        if type(value) not in PATTERNS.values():
            name_of("noise pattern", type(value), NoiseError)
        return value
    if isinstance(value, str):
        return make_pattern(value)
    if not isinstance(value, Mapping) or not isinstance(value.get("pattern"), str):
        shown = repr(value)
        raise NoiseError(
            f"noise is {shown if len(shown) <= 80 else shown[:79] + '…'}; "
            "give a pattern's name, or a mapping with pattern and its options"
        )
    options = {str(name): option for name, option in value.items() if name != "pattern"}
    return make_pattern(value["pattern"], **options)
