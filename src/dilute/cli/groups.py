"""Groups of options: a command takes the value that a group makes, not a parameter per option.

A group is a decorator, which adds its options to a command. `refuses` says which options have no
effect beside others. `command` turns the function into one that Typer can call.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar, cast

import typer

from dilute.errors import SpecError

_annotated = Annotated.__class_getitem__  # type: ignore[attr-defined]
Function = TypeVar("Function", bound=Callable[..., None])


@dataclass(frozen=True)
class Option:
    """An option that belongs to a group.

    Arguments:
        name: of the parameter, with underscores.
        flag: as it is typed; from the name if empty. `--a/--no-a` for either of two.
        panel: heading under which the help shows it.
        note: what the help adds in brackets: range, choices, default.
        field: the field of the model that it gives.
        read: what turns the typed text into the field's value; None to take it as it is.
        minimum: of a whole number, refused below.
        argument: whether it is typed without its name.
    """

    name: str
    type: Any
    default: Any
    help: str
    panel: str
    flag: str = ""
    metavar: str | None = None
    note: str = ""
    field: str = ""
    read: Callable[[Any], Any] | None = None
    minimum: int | None = None
    argument: bool = False

    def parameter(self) -> inspect.Parameter:
        """Return the option as a parameter that Typer reads."""
        help = f"{self.help} [{self.note}]" if self.note else self.help
        option: Any
        if self.argument:
            option = typer.Argument(metavar=self.metavar, help=help, show_default=False)
        else:
            option = typer.Option(
                self.flag or flag(self.name),
                help=help,
                metavar=self.metavar,
                min=self.minimum,
                rich_help_panel=self.panel,
                show_default=False,
            )
        return inspect.Parameter(
            self.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=self.default,
            annotation=_annotated((self.type, option)),
        )


class Given(Mapping[str, Any]):
    """The values of a command's options by name; `in` says whether the user gave one."""

    def __init__(self, context: typer.Context, values: Mapping[str, Any]) -> None:
        self.context = context
        self._values = values
        sources = {name: context.get_parameter_source(name) for name in values}
        self._given = {
            name: values[name]
            for name, source in sources.items()
            if source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT")
        }

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        assert name in self._values, f"there is no option {name}"
        return name in self._given

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)

    def words(self, names: Iterable[str | Group]) -> list[str]:
        """Return the options among `names` that were given, as they could be typed again."""
        words: list[str] = []
        for name in _named(names):
            if name not in self:
                continue
            value = self[name]
            if isinstance(value, bool):
                words.append(flag(name) if value else f"--no-{flag(name)[2:]}")
                continue
            for one in value if isinstance(value, list) else [value]:
                words += [flag(name), f"{one:g}" if isinstance(one, float) else str(one)]
        return words

    def fields(self, options: Sequence[Option]) -> dict[str, Any]:
        """Return the model's fields that options were given for, each with its value."""
        return {
            option.field or option.name: option.read(self[option.name])
            if option.read
            else self[option.name]
            for option in options
            if option.name in self._given
        }


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
        _notes(function).groups.insert(0, self)
        return function

    def but(self, *names: str) -> Group:
        """Return the group without some of its options."""
        options = self.options
        return replace(self, options=lambda: [one for one in options() if one.name not in names])


@dataclass
class _Notes:
    groups: list[Group]
    rules: list[Rule]


def _notes(function: Any) -> _Notes:
    if not hasattr(function, "notes"):
        function.notes = _Notes([], [])
    return cast(_Notes, function.notes)


def excludes(when: str | Rule, *names: str | Group) -> Rule:
    """Return the rule that options have no effect in some case.

    Arguments:
        when: the option that, where given, leaves the others without effect; or a function that
            says how to call the case in the message, or None where it is not the case.
        names: of the options; a group stands for all of its options.
    """

    def check(given: Given) -> str | None:
        beside = when(given) if callable(when) else _shown(given, when)
        ignored = [flag(name) for name in _named(names) if name in given]
        if not beside or not ignored:
            return None
        verb = "has" if len(ignored) == 1 else "have"
        return f"{', '.join(ignored)} {verb} no effect beside {beside}; leave one of them out"

    return check


def needs(names: Iterable[str | Group], *others: str) -> Rule:
    """Return the rule that options `names` have no effect unless one of `others` is given, too."""

    def check(given: Given) -> str | None:
        ignored = [flag(name) for name in _named(names) if name in given]
        if not ignored or any(other in given for other in others):
            return None
        verb = "has" if len(ignored) == 1 else "have"
        wanted = " or ".join(flag(other) for other in others)
        return f"{', '.join(ignored)} {verb} no effect without {wanted}; give {wanted}, too"

    return check


def refuses(when: str | Rule, *names: str | Group) -> Callable[[Function], Function]:
    """Refuse options that would be ignored, as a decorator; arguments as for `excludes`."""

    def decorate(function: Function) -> Function:
        _notes(function).rules.insert(0, excludes(when, *names))
        return function

    return decorate


def _named(names: Iterable[str | Group]) -> list[str]:
    """Return names of options, those of a group in its place."""
    return [
        name
        for one in names
        for name in ([one] if isinstance(one, str) else [part.name for part in one.options()])
    ]


def flag(name: str) -> str:
    """Return an option as it is typed."""
    return f"--{name.replace('_', '-')}"


def _shown(given: Given, name: str) -> str | None:
    """Return an option with its value as it was typed, or None if it was not, or is off."""
    if name not in given or given[name] is False:
        return None
    value = given[name]
    if value is True:
        return flag(name)
    shown = " ".join(map(str, value)) if isinstance(value, list) else value
    return f"{flag(name)} {shown}"


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Return a command's function with a parameter for every option, as Typer calls it.

    Its parameters are `context`, the options of its groups, and the function's own ones. A
    parameter of the function that is named `given` takes the `Given`.
    """
    notes = _notes(function)
    own = _own_parameters(function, {"given", *(group.value for group in notes.groups)})
    options = {one.name: one for group in notes.groups for one in group.options()}
    rules = [*notes.rules, *(rule for group in notes.groups for rule in group.rules)]

    def call(context: typer.Context, **values: Any) -> None:
        given = Given(context, values)
        for rule in rules:
            if (refusal := rule(given)) is not None:
                raise SpecError(refusal)
        made = {group.value: group.make(given) for group in notes.groups}
        if "given" in inspect.signature(function).parameters:
            made["given"] = given
        function(**{one.name: values[one.name] for one in own}, **made)

    functools.update_wrapper(call, function)
    del call.__wrapped__  # type: ignore[attr-defined]
    first = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [first, *(one.parameter() for one in options.values()), *own]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in parameters}
    return call


def _own_parameters(function: Callable[..., None], values: set[str]) -> list[inspect.Parameter]:
    """Return the parameters that are options themselves, with their annotations evaluated."""
    return [
        one.replace(
            annotation=eval(one.annotation, inspect.unwrap(function).__globals__),
            kind=inspect.Parameter.KEYWORD_ONLY,
        )
        for one in inspect.signature(function).parameters.values()
        if one.name not in values
    ]
