"""From a function with groups of options to a command that Typer calls."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand
from typer.models import CommandInfo

from dilute.cli import described
from dilute.cli.from_models import option
from dilute.cli.groups import Given, Option, notes
from dilute.cli.pages import print_page
from dilute.errors import SpecError


def add_command(app: typer.Typer, function: Callable[..., None]) -> None:
    """Add a function with its groups of options to `app`, as the command of its name."""

    def named() -> None:
        """Stand for the function, whose options are made when they are asked for."""

    named.__doc__ = described.sections(function.__doc__)[""][""]
    named.function = function  # type: ignore[attr-defined]
    app.command(function.__name__.rstrip("_"), cls=Command)(named)


class Command(TyperCommand):
    """A command that makes its options when it is asked for: all commands' take a while."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """Return the context of a call, as Typer does."""
        self.make_options()
        return super().make_context(info_name, args, parent, **extra)

    def make_options(self) -> None:
        """Give the command its options, and what it calls with them."""
        function = self.callback.function  # type: ignore[union-attr]
        made = typer.main.get_command_from_info(
            CommandInfo(self.name, callback=_callback(function)),
            pretty_exceptions_short=False,
            rich_markup_mode=self.rich_markup_mode,
        )
        self.params, self.callback = made.params, made.callback
        self.callback.function = function  # type: ignore[union-attr]

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Print usage, description, and the panels of options."""
        print_page(ctx.command_path, self.help or "", self.get_params(ctx))


def _callback(function: Callable[..., None]) -> Callable[..., None]:
    """Return a function with a parameter for every option, as Typer calls it.

    Its parameters are `context`, the options of the command's groups, and its own ones. A parameter
    of the function that is named `given` takes the `Given`.
    """
    groups = notes(function).groups
    rules = [*notes(function).rules, *(rule for group in groups for rule in group.rules)]
    own = _own_options(function)
    options = {one.name: one for group in groups for one in group.options()}

    def call(context: typer.Context, **values: Any) -> None:
        given = Given(context, values)
        for rule in rules:
            if refusal := rule(given):
                raise SpecError(refusal)
        made = {group.value: group.make(given) for group in groups}
        if "given" in inspect.signature(function).parameters:
            made["given"] = given
        function(**{one.name: values[one.name] for one in own}, **made)

    functools.update_wrapper(call, function)
    del call.__wrapped__  # type: ignore[attr-defined]
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [context, *(one.parameter() for one in (*options.values(), *own))]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in parameters}
    return call


def _own_options(function: Callable[..., None]) -> list[Option]:
    """Return the options that no group gives, under the sections of the function's docstring."""
    values = {"given", *(group.value for group in notes(function).groups)}
    names = inspect.unwrap(function).__globals__
    parameters = inspect.signature(function).parameters
    return [
        option(
            described.Described(
                name, eval(parameters[name].annotation, names), parameters[name].default, said
            ),
            panel,
            help=said,
        )
        for panel, entries in described.sections(function.__doc__).items()
        for name, said in entries.items()
        if name in parameters.keys() - values
    ]
