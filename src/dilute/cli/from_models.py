"""From a described field of a model to the option that gives it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, get_args, get_origin

from dilute.cli import described, values
from dilute.cli.described import MISSING, Described
from dilute.cli.groups import Group, Option, flag

_READ: dict[str, Callable[[Any], Any]] = {
    "copies": values.copies,
    "class_order": values.class_order,
    "class_map": values.class_map,
    "confusion": values.matrix,
    "rows": values.matrix,
    "method_options": values.method_options,
}
"""What turns the typed text into a field's value, where pydantic does not."""
_FLAGS = {
    "test_curve": "--test-at-end",
    "budget_steps": "--steps",
    "budget_epochs": "--epochs",
    "budget_examples": "--examples",
    "checkpoint_every_steps": "--checkpoint-every",
    "method_options": "--method-option",
    "num_images": "--images",
    "rows": "--confusion",
}
"""Options that are not called as the field that they give."""
_HELP = {
    "test_curve": "Evaluate the test set at the end alone, not at every curve point.",
    "method_options": "An option of the method, as q=0.5 or matrix=FILE. Repeatable.",
}
"""What an option is for, where that is not what its field says."""
_REGISTRIES = {
    "model": ("dilute.models", "MODELS", "module:callable"),
    "method": ("dilute.methods", "METHODS", "module:Class"),
    "noise": ("dilute.noise", "PATTERNS", "module:Class"),
}
"""Where the names stand that a field may have, and how to name one's own."""
_LEAST = {
    "checkpoint_every_steps": 1,
    "loader_workers": 0,
    "micro_batch_size": 1,
    "num_images": 64,
    "silence_seconds": 1,
    "threads": 1,
    "workers": 1,
}
"""Lower ends of ranges that plain dataclasses and arguments do not say."""


def option(field: Described, panel: str, *, help: str = "", default: object = None) -> Option:
    """Return the option that gives a field of a model.

    Arguments:
        panel: heading under which the help shows it.
        help: instead of the field's description.
        default: to show instead of the field's own.
    """
    kind, read = _kind(field), _READ.get(field.name)
    metavar = "NAME=VALUE" if kind == list[str] else None
    if field.name in _REGISTRIES:
        module, table, own = _REGISTRIES[field.name]
        help = help or f"{', '.join(described.constant(module, table))}; or {own}."
        metavar = field.name.upper()
    help = help or _HELP.get(field.name) or _sentence(field.help)
    least = field.bounds.get("ge", _LEAST.get(field.name))
    if kind is bool and field.default is True:
        read = _not
    name = called(field.name)
    return Option(
        name,
        Path if read is values.matrix else kind,
        False if kind is bool and not _has_three(field) else field.default,
        help,
        panel,
        metavar=metavar,
        flag=flag(name) + (f"/--no-{flag(name)[2:]}" if _has_three(field) else ""),
        note=_note(field, help, least, field.default if default is None else default),
        field=field.name,
        read=read,
        minimum=int(least) if kind is int and least is not None else None,
    )


def single(name: str, make: Callable[[], Option]) -> Group:
    """Return the group of one option, whose value is the option's."""
    return Group(name, lambda: [make()], lambda given: given[name])


def argument(module: str, function: str, name: str, panel: str = "", *, help: str = "") -> Group:
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
    if default is not None and default is not MISSING and not isinstance(default, bool):
        notes.append(f"default: {f'{default:g}' if isinstance(default, float) else default}")
    return "; ".join(note for note in notes if note)


def _kind(field: Described) -> Any:
    """Return the type of what is typed: a number, bool, Path, list of pairs; str for all others."""
    kinds = [kind for kind in (get_args(field.type) or [field.type]) if kind is not type(None)]
    if get_origin(field.type) is dict or any(get_origin(kind) is dict for kind in kinds):
        return str if str in kinds else list[str]
    if Path in kinds:
        return Path
    return kinds[0] if len(kinds) == 1 and kinds[0] in (int, float, bool) else str


def _has_three(field: Described) -> bool:
    """Return whether a field is true, false, or left to the library."""
    return bool in get_args(field.type) and field.default is None


def _not(value: bool) -> bool:
    return not value


def _sentence(text: str) -> str:
    """Return a description as a sentence; a name at its beginning keeps its form."""
    is_name = "_" in text.partition(" ")[0] or text.startswith("`")
    text = text.replace("`", "")
    text = text if is_name else text[:1].upper() + text[1:]
    return text if text.endswith(".") else f"{text}."
