"""How the help of a command looks: panels of two columns that read well in 80 characters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dilute.cli.groups import ARGUMENTS

NOISE, TRAINING, EVALUATION, DATA = "Noise", "Training", "Evaluation", "Data"
MACHINE, OUTPUT, OPTIONS = "Machine", "Output", "Options"
_FIRST = (ARGUMENTS, OPTIONS)
_LAST = (NOISE, TRAINING, EVALUATION, DATA, MACHINE, OUTPUT)


def print_page(command: str, text: str, parameters: Sequence[Any]) -> None:
    """Print usage, description, and the panels of arguments and options.

    Arguments:
        command: as it is typed.
        text: in Markdown.
        parameters: Typer's.
    """
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.padding import Padding
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    panels = _panels(parameters)
    places = [one.metavar for one in panels.get(ARGUMENTS, [])]
    width = max(len(_name(one)) for shown in panels.values() for one in shown)
    console = Console()
    usage = Text(" ".join(["Usage:", command, *places, "[OPTIONS]"]), style="bold")
    console.print(Padding(usage, 1))
    console.print(Padding(Markdown(text), (0, 1, 1, 1)))
    for title, shown in panels.items():
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(width=width, no_wrap=True, style="bold cyan")
        table.add_column(ratio=1)
        for one in shown:
            table.add_row(_name(one), Text(str(one.help), overflow="fold"))
        console.print(Panel(table, title=title, title_align="left", border_style="dim"))


def _panels(parameters: Sequence[Any]) -> dict[str, list[Any]]:
    """Return parameters by panel: the command's own ones first, then those that commands share."""
    found: dict[str, list[Any]] = {}
    for one in parameters:
        found.setdefault(getattr(one, "rich_help_panel", None) or OPTIONS, []).append(one)
    own = [name for name in found if name not in (*_FIRST, *_LAST)]
    return {name: found[name] for name in (*_FIRST, *own, *_LAST) if name in found}


def _name(parameter: Any) -> str:
    """Return an option as it is typed, with what stands for its value."""
    if getattr(parameter, "rich_help_panel", None) == ARGUMENTS:
        return str(parameter.metavar)
    typed = "/".join([*parameter.opts, *parameter.secondary_opts])
    return typed if parameter.is_flag else f"{typed} {parameter.metavar}"
