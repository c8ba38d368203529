"""The command line: one command per library function; what is heavy is imported when needed."""

from __future__ import annotations

import os
import sys

import typer
from typer.exceptions import Exit, TyperException

from dilute.cli import (
    advise,
    compare,
    data,
    demo,
    estimate,
    gradients,
    labels,
    plan,
    ranks,
    reproduce,
    run,
    store,
    sweep,
)
from dilute.cli.pages import add_command
from dilute.errors import DiluteError, validation_line

app = typer.Typer(
    name="dilute",
    help="Train classifiers when most labels are wrong, and know what it costs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
)
add_command(app, "demo", demo.demo)
add_command(app, "run", run.run)
add_command(app, "sweep", sweep.sweep)
add_command(app, "compare", compare.compare)
add_command(app, "reproduce", reproduce.reproduce)
add_command(app, "plan", plan.plan)
add_command(app, "estimate", estimate.estimate)
add_command(app, "advise", advise.advise)
add_command(app, "gradients", gradients.gradients)
add_command(app, "labels", labels.labels)
app.add_typer(data.app, name="data")
app.add_typer(store.app, name="store")


@app.callback(invoke_without_command=True)
def _before(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and stop."),
) -> None:
    if version:
        from dilute import __version__

        print(__version__)
        raise typer.Exit
    ranks.check_command(context.invoked_subcommand)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0: done; 1: an error that the user can fix, said in one line; 130: interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    known = ranks.Ranks()

    def fail(message: str, code: int = 1, error: BaseException | None = None) -> int:
        known.say_why(message, error)
        return code

    try:
        _invoke(arguments, known)
        sys.stdout.flush()
    except Exit as error:
        return error.exit_code
    except TyperException as error:
        message = error.format_message().rstrip(".") + _received(error, arguments)
        return (
            fail(f"{message}; see dilute --help") if message else 0
        )  # without arguments: help was shown
    except DiluteError as error:
        return fail(str(error), error=error)
    except KeyboardInterrupt as error:
        return fail(f"interrupted{': ' if str(error) else ''}{error}", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or it fails again at exit
        return fail(
            f"cannot read or write {error.filename or 'the output'}: {error.strerror or error}"
        )
    except ValueError as error:
        if type(error).__name__ != "ValidationError":  # pydantic's, whose import is slow
            raise
        return fail(validation_line(error))
    return 0


def _invoke(arguments: list[str], known: ranks.Ranks) -> None:
    """Run the command without typer's handling of interrupts, which would lose what they say."""
    command = typer.main.get_command(app)
    with command.make_context("dilute", list(arguments), obj=known) as context:
        command.invoke(context)


def _received(error: TyperException, arguments: list[str]) -> str:
    """Return the value that an option was given, in brackets, where the error is about one."""
    names = getattr(getattr(error, "param", None), "opts", [])
    for number, argument in reversed(list(enumerate(arguments))):
        name, equals, value = argument.partition("=")
        if name in names and (equals or number + 1 < len(arguments)):
            return f" (received {value if equals else arguments[number + 1]})"
    return ""
