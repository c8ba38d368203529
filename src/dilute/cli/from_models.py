"""From a described field of a model to the option that gives it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from dilute.cli import described, values
from dilute.cli.described import MISSING, Described
from dilute.cli.groups import ARGUMENTS, Group, Option, flag, single
from dilute.cli.pages import OPTIONS

_READ: dict[str, Callable[[Any], Any]] = {
    "copies": values.copies,
    "class_order": values.class_order,
    "class_map": values.class_map,
    "confusion": values.matrix,
    "rows": values.matrix,
    "picture": values.picture,
    "method_options": values.method_options,
    "noise_options": values.noise_options,
    "methods": values.words,
    "learning_rates": values.rates,
}
"""What turns the typed text into a field's value, where pydantic does not."""
_FLAGS = {
    "test_curve": "--test-at-end",
    "budget_steps": "--steps",
    "budget_epochs": "--epochs",
    "budget_examples": "--examples",
    "checkpoint_every_steps": "--checkpoint-every",
    "method_options": "--method-option",
    "noise_options": "--noise-option",
    "num_images": "--images",
    "rows": "--confusion",
}
"""Options that are not called as the field that they give."""
_MATRIX = "K×K matrix, by true class the counts or shares of labels: a .csv, .json or .npy file"
_HELP = {
    "test_curve": "Evaluate the test set at the end alone, not at every curve point.",
    "method_options": "An option of the method, as q=0.5 or matrix=FILE. Repeatable.",
    "class_map": "Classes and their wrong labels, as 7:1,2:7; or mnist, cifar10: their usual maps.",
    "class_order": "Classes from most to least confused, as 3,5,8; instead of a matrix.",
    "confusion": f"{_MATRIX}.",
    "rows": f"{_MATRIX}.",
}
"""What an option is for, where what its field says is not for the command line."""
_METAVARS = {
    "store": "FOLDER",
    "heldout": "DATA",
    "part": "I/N",
    "model": "MODEL",
    "method": "METHOD",
    "noise": "NOISE",
}
_REGISTRIES = {
    "model": ("dilute.models", "MODELS", "module:callable"),
    "method": ("dilute.methods", "METHODS", "module:Class"),
    "noise": ("dilute.noise", "PATTERNS", "module:Class"),
}
"""Where the names stand that a field may have, and how to name one's own."""
_LEAST = {
    "batch_size": 1,
    "checkpoint_every_steps": 1,
    "loader_workers": 0,
    "micro_batch_size": 1,
    "num_images": 64,
    "resize": 1,
    "seeds": 1,
    "silence_seconds": 1,
    "threads": 1,
    "workers": 1,
}
"""Lower ends of ranges that plain dataclasses and arguments do not say."""


def option(field: Described, panel: str, *, help: str = "", default: object = None) -> Option:
    """Return the option that gives a field of a model.

    Arguments:
        panel: heading under which the help shows it.
        help: instead of the field's description, of which the first sentence is shown.
        default: to show instead of the field's own.
    """
    read, name = _READ.get(field.name), called(field.name)
    kind = Path if read is values.matrix else _kind(field)
    text = _sentence(help or _HELP.get(field.name) or re.split(r"\. (?=[A-Z])", field.help)[0])
    if field.name in _REGISTRIES:
        module, table, own = _REGISTRIES[field.name]
        names = f"{', '.join(described.constant(module, table))}; or {own}."
        text = f"{text[:-1]}: {names}" if help else names
    has_three = bool in get_args(field.type) and field.default is None
    value = field.default
    if kind is bool and not has_three:
        value, read = False, _not if field.default is True else read
    elif isinstance(value, tuple):
        value = ",".join(_shown(one) for one in value)
    least = field.bounds.get("ge", _LEAST.get(field.name))
    note = _note(field, text, least, field.default if default is None else default)
    return Option(
        name,
        kind,
        value,
        f"{text} [{note}]" if note else text,
        panel,
        flag(name) + (f"/--no-{flag(name)[2:]}" if has_three else ""),
        _place(field, kind) if panel == ARGUMENTS else _metavar(field.name, kind),
        field.name,
        read,
        int(least) if kind is int and least is not None else None,
    )


def argument(module: str, function: str, name: str, panel: str = OPTIONS, help: str = "") -> Group:
    """Return the group of one option, which is an argument of a function of the library."""
    return single(
        called(name), lambda: option(described.arguments(module, function)[name], panel, help=help)
    )


def called(field: str) -> str:
    """Return the name of the option that gives a field."""
    return _FLAGS.get(field, flag(field))[2:].replace("-", "_")


def any_of(names: Iterable[str]) -> str:
    """Return names as a list in words."""
    *most, last = names or ("",)
    return f"{', '.join(most)} or {last}" if most else last


def _note(field: Described, help: str, least: float | None, default: object) -> str:
    """Return choices, range and default, as far as the help does not say them."""
    choices = described.choices(field.type)
    notes = [any_of(choices) if any(name not in help for name in choices) else ""]
    notes.append(field.range or ("" if least is None else f"≥ {least:g}"))
    if default is MISSING:
        notes.append("required")
    elif default is not None and not isinstance(default, bool):
        notes.append(f"default: {_shown(default)}")
    return "; ".join(note for note in notes if note)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(_shown(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _kind(field: Described) -> Any:
    """Return the type of what is typed: a number, bool, Path or list; str for all others."""
    is_union = get_origin(field.type) in (Union, UnionType)
    parts = get_args(field.type) if is_union else (field.type,)
    kinds = [kind for kind in parts if kind is not type(None)]
    if any(get_origin(kind) is dict for kind in kinds):
        return str if str in kinds else list[str]
    if Path in kinds:
        return Path
    is_typed = kinds[0] in (int, float, bool) or get_origin(kinds[0]) is list
    return kinds[0] if len(kinds) == 1 and is_typed else str


def _metavar(name: str, kind: Any) -> str:
    """Return what stands for the value of an option."""
    kinds = {int: "INTEGER", float: "NUMBER", Path: "PATH", list[Path]: "PATH"}
    return _METAVARS.get(name, "NAME=VALUE" if kind == list[str] else kinds.get(kind, "TEXT"))


def _place(field: Described, kind: Any) -> str:
    """Return what stands for an argument."""
    name = field.name.upper() + ("…" if get_origin(kind) is list else "")
    return name if field.default is MISSING else f"[{name}]"


def _not(value: bool) -> bool:
    return not value


def _sentence(text: str) -> str:
    """Return a description as a sentence; a name at its beginning keeps its form."""
    is_name = "_" in text.partition(" ")[0] or text.startswith("`")
    text = text.replace("`", "")
    text = text if is_name else text[:1].upper() + text[1:]
    return text if text.endswith(".") else f"{text}."
