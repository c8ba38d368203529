"""From the document of a sweep to the runs that it stands for."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from dilute.errors import DiluteError, SpecError, unknown_name, validation_line
from dilute.methods import METHODS
from dilute.noise import PATTERNS, as_pattern
from dilute.runs import RunSpec
from dilute.sweeps.run_labels import Values, named, short

MOST_RUNS = 100_000
_KEYS = ("base", "grid", "zip", "list")
_FIELDS = (*RunSpec.model_fields, "preset")
_TRUTHS = tuple(name for name, field in RunSpec.model_fields.items() if field.annotation is bool)
_NESTED = {
    "noise": sorted({name for kind in PATTERNS.values() for name in kind.model_fields}),
    "method_options": sorted({name for kind in METHODS.values() for name in kind.model_fields}),
}
_NAMING = ("noise", "noise.pattern", "pattern", "method")


def expand(document: Any) -> list[RunSpec]:
    """Return the runs that a sweep document describes, in its order.

    Runs with equal keys are kept once.

    Arguments:
        document: a mapping, or a list of mappings whose runs are joined, each with some of:
            `base` (fields of `RunSpec` that all runs share), `grid` (field to list: every
            combination), `zip` (field to list, all of one length: walked together) and `list`
            (mappings of fields). The runs are base × grid × zip × list; what varies stands above
            what is in base. A dotted name reaches into a field, as `noise.delta`; a noise without
            options may be its name alone.

    Errors: `SpecError` that names the run by what varies.
    """
    parts = document if isinstance(document, list) else [document]
    if not parts or document is None:
        raise SpecError(f"it is empty; give a mapping with {', '.join(_KEYS)}")
    checked = [_checked_part(part) for part in parts]
    total = sum(math.prod(len(axis) for axis in axes) for _, axes in checked)
    if total > MOST_RUNS:
        sizes = " + ".join(
            " × ".join(f"{len(axis):,}" for axis in axes) or "1" for _, axes in checked[:5]
        )
        raise SpecError(
            f"it describes {_count(total)} runs ({sizes}{' + …' if len(checked) > 5 else ''}); "
            f"at most {MOST_RUNS:,} are allowed; take fewer values or several files"
        )
    specs: dict[str, RunSpec] = {}
    for base, axes in checked:
        for choice in itertools.product(*axes):
            varied = {name: value for values in choice for name, value in values.items()}
            spec = _spec(base, varied)
            specs.setdefault(spec.key(), spec)
    return list(specs.values())


def part_of(specs: Sequence[RunSpec], part: str) -> list[RunSpec]:
    """Return part I of N of a sweep: every N-th run from the I-th on.

    Arguments:
        part: `"I/N"`, 1 ≤ I ≤ N.

    Errors: `SpecError` for anything else, or a part without runs.
    """
    numbers = part.split("/")
    if len(numbers) != 2 or not all(n.isascii() and n.isdigit() for n in numbers):
        raise SpecError(f"part '{part}' cannot be read; give I/N as in 1/8")
    number, count = map(int, numbers)
    if not 1 <= number <= count:
        raise SpecError(f"part {part} cannot be; I must be 1 to N")
    if number > len(specs):
        raise SpecError(f"part {part} of {len(specs)} runs has none; take N ≤ {len(specs)}")
    return list(specs[number - 1 :: count])


def _checked_part(part: Any) -> tuple[Values, list[list[Values]]]:
    """Return base and axes: the runs are the product of axes, each a list of mappings of fields."""
    if not isinstance(part, Mapping):
        raise SpecError(
            f"it holds {short(part)}; it must be a mapping with {', '.join(_KEYS)}, "
            "or a list of such"
        )
    for key in part:
        if key not in _KEYS:
            hint = "; fields of all runs go under base" if key in RunSpec.model_fields else ""
            raise SpecError(unknown_name("key", str(key), _KEYS) + hint)
        if not part[key]:
            raise SpecError(f"{key} is empty; give it fields, or leave it out")
    if not part:
        raise SpecError(f"it is empty; give a mapping with {', '.join(_KEYS)}")
    has_own = _names_own(part)
    base = _fields("base", part.get("base", {}), has_own)
    grid = _fields("grid", part.get("grid", {}), has_own, of_lists=True)
    together = _fields("zip", part.get("zip", {}), has_own, of_lists=True)
    rows = part.get("list", [])
    if not isinstance(rows, list):
        raise SpecError(f"list is {short(rows)}; it must be a list of mappings of fields")
    rows = [_fields("list", row, has_own) for row in rows]
    lengths = {name: len(values) for name, values in together.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise SpecError(f"lists under zip are walked together, but {shown}; give equal lengths")
    _check_once({"grid": grid, "zip": together, "list": {name: 0 for row in rows for name in row}})
    axes = [[{name: value} for value in values] for name, values in grid.items()]
    if together:
        axes.append(
            [
                dict(zip(together, values, strict=True))
                for values in zip(*together.values(), strict=True)
            ]
        )
    return base, [*axes, rows] if rows else axes


def _check_once(places: dict[str, Values]) -> None:
    for first, second in itertools.combinations(places, 2):
        twice = sorted(places[first].keys() & places[second].keys())
        if twice:
            raise SpecError(
                f"{twice[0]} is varied under {first} and under {second}; vary it in one place"
            )


def _names_own(value: Any, key: str = "", levels: int = 5) -> bool:
    """Return whether a pattern or a method of the user's own, `module:Class`, is named in it."""
    if levels and isinstance(value, Mapping):
        return any(_names_own(inner, str(name), levels - 1) for name, inner in value.items())
    if levels and isinstance(value, list):
        return any(_names_own(inner, key, levels - 1) for inner in value)
    return key in _NAMING and isinstance(value, str) and ":" in value


def _fields(place: str, values: Any, has_own: bool, *, of_lists: bool = False) -> Values:
    """Return `values` if they are a mapping of known fields to values, or to lists of values.

    Arguments:
        has_own: whether a pattern or a method may be the user's own, whose options are checked
            later.
    """
    if not isinstance(values, Mapping):
        raise SpecError(f"{place} has {short(values)}; it must be a mapping of fields")
    for name, value in values.items():
        outer, dot, inner = str(name).partition(".")
        if outer not in _FIELDS:
            raise SpecError(f"{place}: {unknown_name('field', str(name), _FIELDS)}")
        if dot and outer not in _NESTED:
            raise SpecError(f"{place}: {name} cannot be; {outer} is a single value")
        if dot and inner not in _NESTED[outer] and not has_own:
            raise SpecError(f"{place}: {unknown_name(f'field of {outer}', inner, _NESTED[outer])}")
        if of_lists and not (isinstance(value, list) and value):
            raise SpecError(
                f"{place}: {name} is {short(value)}; it must be a list of at least one value"
            )
        for one in value if of_lists else [value]:
            _check_value(place, str(name), one)
    return {str(name): value for name, value in values.items()}


def _check_value(place: str, name: str, value: Any) -> None:
    if name.partition(".")[0] in _NESTED:
        return  # names, mappings and lists are all possible; the pattern or the method checks them
    if isinstance(value, list | dict):
        hint = "; lists of values go under grid or zip" if place in ("base", "list") else ""
        raise SpecError(f"{place}: {name} is {short(value)}; it must be a single value{hint}")
    if isinstance(value, bool) and name not in _TRUTHS:
        raise SpecError(
            f"{place}: {name} is {value}; no field is true or false but {', '.join(_TRUTHS)}"
        )


def _spec(base: Values, varied: Values) -> RunSpec:
    try:
        fields = _joined(base, varied)
        if "noise" in fields:
            fields["noise"] = as_pattern(fields["noise"])
        return RunSpec(**fields)
    except (ValidationError, DiluteError) as error:
        reason = validation_line(error) if isinstance(error, ValidationError) else str(error)
        raise SpecError(f"run {named(varied)}: {reason}" if varied else reason) from None


def _joined(base: Values, varied: Values) -> Values:
    """Return the fields of both, `varied` above `base`, with dotted names put where they belong."""
    answer: Values = {}
    for values in (base, varied):
        plain = {name: value for name, value in values.items() if "." not in name}
        answer |= plain
        for name, value in values.items():
            outer, dot, inner = name.partition(".")
            if dot:
                within = answer.get(outer) or {}
                if isinstance(within, str):
                    within = {"pattern": within}
                if not isinstance(within, Mapping):
                    raise SpecError(f"{outer} is {short(within)}; it must be a mapping")
                answer[outer] = {**within, inner: value}
    return answer


def _count(number: int) -> str:
    return f"{number:,}" if number < 10**15 else f"10^{len(str(number)) - 1}"
