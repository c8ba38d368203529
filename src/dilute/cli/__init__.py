"""The command line: one command per library function; what is heavy is imported when needed."""

from __future__ import annotations

import sys

import typer
from typer.exceptions import Exit, TyperException

from dilute.cli import (
    advise,
    compare,
    console,
    data,
    demo,
    estimate,
    fit,
    gradients,
    labels,
    plan,
    predict,
    ranks,
    reproduce,
    run,
    store,
    sweep,
)
from dilute.cli.commands import add_command
from dilute.errors import DiluteError, validation_line

app = typer.Typer(
    name="dilute",
    help="Train classifiers when most labels are wrong, and know what it costs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
)
_NO_READER = 128 + 13  # as shells say it of a program that SIGPIPE ended
for command in (
    *(
        demo.demo,
        fit.fit,
        predict.predict,
        run.run,
        sweep.sweep,
        compare.compare,
        reproduce.reproduce,
        plan.plan,
    ),
    *(estimate.estimate, advise.advise, gradients.gradients, labels.labels),
):
    add_command(app, command)
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

    0: done; 1: an error that the user can fix, said in one line; 130: interrupted; 141: whoever
    read the output has stopped reading.
    """
    console.prepare_output()
    try:
        code = _run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        console.drop_output()
        return _NO_READER
    return code


def _run(arguments: list[str]) -> int:
    """Run the command line, say in one line why it fails if it does, and return its exit code."""
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
        if not message:  # without arguments: help was shown
            return 0
        return fail(f"{message}; see dilute --help")
    except DiluteError as error:
        return fail(str(error), error=error)
    except KeyboardInterrupt as error:
        return fail(f"interrupted{': ' if str(error) else ''}{error}", 130)
    except BrokenPipeError:
        raise
    except OSError as error:
        console.drop_output()  # or it fails again at exit
        where = error.filename or "the output"
        return fail(f"cannot read or write {where}: {error.strerror or error}")
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
