"""What tells the runs of a sweep apart, in words."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from dilute.runs import RunSpec
from dilute.training import Recipe

Values = dict[str, Any]


def varied_fields(specs: Iterable[RunSpec]) -> list[str]:
    """Return the fields in which the runs differ, dotted where nested.

    Data, noise and model stand before the recipe.
    """
    seen: dict[str, Counter[str]] = {}
    number = 0
    for spec in specs:
        number += 1
        for name, value in flat(spec).items():
            seen.setdefault(name, Counter())[repr(value)] += 1
    varied = [name for name, counts in seen.items() if max(counts.values()) < number]
    return sorted(varied, key=lambda name: name.partition(".")[0] in Recipe.model_fields)


def flat(spec: RunSpec) -> Values:
    """Return the spec's canonical fields, with those of the noise as `noise.name`."""
    answer: Values = {}
    for name, value in spec.canonical().items():
        if isinstance(value, dict):
            answer |= {f"{name}.{inner}": part for inner, part in value.items()}
        else:
            answer[name] = value
    return answer


def label(spec: RunSpec, fields: Sequence[str]) -> str:
    """Return a few words for people that tell this run from the others of its sweep.

    Arguments:
        fields: those in which they differ, as of `varied_fields`.
    """
    values = flat(spec)
    shown = {name: values[name] for name in fields if name in values}
    return named(shown) if shown else f"{spec.data} {spec.model}"


def named(values: Values) -> str:
    """Return fields and their values as text, shortened if it is long."""
    text = ", ".join(_pairs(values))
    return text if len(text) <= 160 else text[:159] + "…"


def _pairs(values: Values) -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, float):
            value = f"{value:g}"
        yield f"{name} = {value if isinstance(value, str) else short(value)}"


def short(value: Any) -> str:
    """Return a value as text for a message, shortened if it is long."""
    return "nothing" if value is None else reprlib.repr(value)
