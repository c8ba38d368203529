"""How the help of a command looks: panels of two columns that read well in 80 characters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import typer
from typer.core import TyperArgument, TyperCommand
from typer.models import CommandInfo

from dilute.cli import options
from dilute.cli.groups import command

_LAST = (
    options.NOISE,
    options.TRAINING,
    options.EVALUATION,
    options.DATA,
    options.MACHINE,
    options.OUTPUT,
)
_METAVARS = {int: "INTEGER", float: "NUMBER", Path: "PATH"}


def add_command(app: typer.Typer, name: str, function: Callable[..., None]) -> None:
    """Add a function with its groups of options to `app`, as the command `name`."""

    def named() -> None:
        """Stand for the function, whose options are made when they are asked for."""

    named.__doc__, named.__name__ = function.__doc__, function.__name__
    named.function = function  # type: ignore[attr-defined]
    app.command(name, cls=Command)(named)


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
        callback = command(function)
        made = typer.main.get_command_from_info(
            CommandInfo(self.name, callback=callback),
            pretty_exceptions_short=False,
            rich_markup_mode=self.rich_markup_mode,
        )
        self.params, self.callback = made.params, made.callback
        self.callback.function = function  # type: ignore[union-attr]

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Print usage, description, and the panels of options."""
        from rich.console import Console
        from rich.markdown import Markdown
        from rich.padding import Padding
        from rich.panel import Panel
        from rich.table import Table
        from rich.text import Text

        panels = _panels(self.get_params(ctx))
        width = max(len(_name(one)) for shown in panels.values() for one in shown)
        console = Console()
        console.print(Padding(Text(self.get_usage(ctx), style="bold"), 1))
        console.print(Padding(Markdown(self.help or ""), (0, 1, 1, 1)))
        for title, shown in panels.items():
            table = Table.grid(padding=(0, 2), expand=True)
            table.add_column(width=width, no_wrap=True, style="bold cyan")
            table.add_column(ratio=1)
            for one in shown:
                table.add_row(_name(one), Text(_help(one), overflow="fold"))
            console.print(Panel(table, title=title, title_align="left", border_style="dim"))


def _panels(parameters: list[Any]) -> dict[str, list[Any]]:
    """Return parameters by panel: the command's own ones first, then those that commands share."""
    found: dict[str, list[Any]] = {}
    for parameter in parameters:
        if isinstance(parameter, TyperArgument):
            panel = "Arguments"
        else:
            panel = getattr(parameter, "rich_help_panel", None) or "Options"
        found.setdefault(panel, []).append(parameter)
    first = [name for name in ("Arguments", "Options") if name in found]
    names = [*first, *(name for name in found if name not in (*first, *_LAST)), *_LAST]
    return {name: found[name] for name in names if name in found}


def _name(parameter: Any) -> str:
    """Return an option as it is typed, with what stands for its value."""
    if isinstance(parameter, TyperArgument):
        return str(parameter.display_name_raw)
    typed = "/".join([*parameter.opts, *parameter.secondary_opts])
    if getattr(parameter, "is_flag", True):
        return typed
    kind = parameter.type_descriptor.annotation
    (kind,) = get_args(kind) or (kind,)  # of a list
    return f"{typed} {parameter.metavar or _METAVARS.get(kind, 'TEXT')}"


def _help(parameter: Any) -> str:
    """Return what an option is for, its range and its default."""
    notes = []
    help = str(parameter.help or "")
    if not help.endswith("]"):  # else it says so itself
        low = getattr(parameter, "min", None)
        notes += [f"≥ {low:g}"] if low is not None else []
        default = parameter.default
        notes += [f"default: {default}"] if default not in (None, False) else []
    notes += ["required"] if parameter.required else []
    return f"{help} [{'; '.join(notes)}]" if notes else help
