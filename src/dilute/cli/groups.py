"""Groups of options: a command takes the value that a group makes, not a parameter per option.

A group is a decorator, which adds its options to a command. `refuses` says which options have no
effect beside others.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar, cast

import typer

_annotated = Annotated.__class_getitem__  # type: ignore[attr-defined]
Function = TypeVar("Function", bound=Callable[..., None])
ARGUMENTS = "Arguments"
"""The panel of what is typed without a name."""


@dataclass(frozen=True)
class Option:
    """An option, or an argument, of a command.

    Arguments:
        name: of the parameter, with underscores.
        panel: heading under which the help shows it.
        flag: as it is typed; `--a/--no-a` for either of two.
        metavar: what stands for its value.
        field: the field of the model that it gives.
        read: what turns the typed text into the field's value; None to take it as it is.
        minimum: of a whole number, refused below.
    """

    name: str
    type: Any
    default: Any
    help: str
    panel: str
    flag: str
    metavar: str
    field: str
    read: Callable[[Any], Any] | None = None
    minimum: int | None = None

    def parameter(self) -> inspect.Parameter:
        """Return the option as a parameter that Typer reads."""
        shared: dict[str, Any] = {"metavar": self.metavar, "help": self.help}
        shared |= {"rich_help_panel": self.panel, "show_default": False}
        option: Any = (
            typer.Argument(**shared)
            if self.panel == ARGUMENTS
            else typer.Option(self.flag, min=self.minimum, **shared)
        )
        kind = _annotated((self.type, option))
        return inspect.Parameter(
            self.name, inspect.Parameter.KEYWORD_ONLY, default=self.default, annotation=kind
        )


class Given:
    """The values of a command's options by name; `in` says whether the user gave one."""

    def __init__(self, context: typer.Context, values: Mapping[str, Any]) -> None:
        self.context = context
        self._values = values

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __contains__(self, name: str) -> bool:
        source = self.context.get_parameter_source(name)
        return source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT")

    def words(self, names: Iterable[str | Group]) -> list[str]:
        """Return the options among `names` that were given, as they could be typed again."""
        words: list[str] = []
        for name in self.among(names):
            value = self[name]
            if isinstance(value, bool):
                words.append(flag(name) if value else f"--no-{flag(name)[2:]}")
                continue
            for one in value if isinstance(value, list) else [value]:
                words += [flag(name), f"{one:g}" if isinstance(one, float) else str(one)]
        return words

    def fields(self, options: Iterable[Option]) -> dict[str, Any]:
        """Return the model's fields that options were given for, each with its value."""
        return {one.field: self.value(one) for one in options if one.name in self}

    def value(self, option: Option) -> Any:
        """Return what an option gives, as the library takes it."""
        value = self[option.name]
        return value if option.read is None or value is None else option.read(value)

    def among(self, names: Iterable[str | Group]) -> list[str]:
        """Return the options that were given, of those named and of the groups."""
        found: list[str] = []
        for one in names:
            found += [one] if isinstance(one, str) else [part.name for part in one.options()]
        assert self._values.keys() >= set(found), "there is no such option"
        return [name for name in found if name in self]


Rule = Callable[[Given], str | None]
"""What refuses options: returns the line that names them and says why, or None."""


@dataclass(frozen=True)
class Group:
    """Options that together make one value.

    Arguments:
        value: the parameter of a command's function that takes the value.
        options: the options; called when a command is built.
        make: from what was given to the value.
        rules: what is refused wherever the group is taken.
    """

    value: str
    options: Callable[[], Sequence[Option]]
    make: Callable[[Given], Any]
    rules: tuple[Rule, ...] = ()

    def __call__(self, function: Function) -> Function:
        """Add the group to a command's function, as a decorator."""
        notes(function).groups.insert(0, self)
        return function

    def but(self, *names: str) -> Group:
        """Return the group without some of its options."""
        options = self.options
        return replace(self, options=lambda: [one for one in options() if one.name not in names])


def single(name: str, make: Callable[[], Option]) -> Group:
    """Return the group of one option, whose value is the option's."""
    return Group(name, lambda: [make()], lambda given: given.value(make()))


@dataclass
class Notes:
    """The groups of a command's function, and what it refuses."""

    groups: list[Group]
    rules: list[Rule]


def notes(function: Any) -> Notes:
    """Return the notes of a command's function, which decorators write."""
    if not hasattr(function, "notes"):
        function.notes = Notes([], [])
    return cast(Notes, function.notes)


def excludes(when: str | Rule, *names: str | Group) -> Rule:
    """Return the rule that options have no effect in some case.

    Arguments:
        when: the option that, where given, leaves the others without effect; or a function that
            says how to call the case in the message, or None where it is not the case.
        names: of the options; a group stands for all of its options.
    """

    def check(given: Given) -> str | None:
        beside = when(given) if callable(when) else _typed(given, when)
        return beside and _no_effect(given, names, f"beside {beside}; leave one of them out")

    return check


def needs(names: Iterable[str | Group], *others: str) -> Rule:
    """Return the rule that options `names` have no effect unless one of `others` is given, too."""
    wanted = " or ".join(flag(other) for other in others)

    def check(given: Given) -> str | None:
        if any(other in given for other in others):
            return None
        return _no_effect(given, names, f"without {wanted}; give {wanted}, too")

    return check


def refuses(when: str | Rule, *names: str | Group) -> Callable[[Function], Function]:
    """Refuse options that would be ignored, as a decorator; arguments as for `excludes`."""

    def decorate(function: Function) -> Function:
        notes(function).rules.insert(0, excludes(when, *names))
        return function

    return decorate


def flag(name: str) -> str:
    """Return an option as it is typed."""
    return f"--{name.replace('_', '-')}"


def _no_effect(given: Given, names: Iterable[str | Group], why: str) -> str | None:
    ignored = given.among(names)
    verb = "has" if len(ignored) == 1 else "have"
    return f"{', '.join(map(flag, ignored))} {verb} no effect {why}" if ignored else None


def _typed(given: Given, name: str) -> str | None:
    """Return an option with its value as it was typed, or None if it was not, or is off."""
    value = given[name]
    if name not in given or value is False:
        return None
    shown = " ".join(map(str, value)) if isinstance(value, list) else value
    return flag(name) if value is True else f"{flag(name)} {shown}"
