"""Options come from the library's models, reach it, and are refused where they have no effect."""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from own_data import write_pictures

import dilute.cli
from dilute.cli import described, main, options
from dilute.cli.commands import Command, add_command
from dilute.cli.groups import notes
from dilute.data import OWN
from dilute.methods import METHODS
from dilute.models import MODELS
from dilute.noise import PATTERNS
from dilute.runs import RunSpec
from dilute.studies import STUDIES

CLI = Path(dilute.cli.__file__).parent
MODELS_OF_OPTIONS = [
    ("dilute.training", "Recipe"),
    ("dilute.runs", "RunSpec"),
    ("dilute.runs", "Execution"),
    ("dilute.data", "Reading"),
    ("dilute.sweeps", "Cluster"),
    ("dilute.gradients", "Sampling"),
    *(("dilute.noise", pattern.__name__) for pattern in PATTERNS.values()),
]
ARGUMENTS_OF_OPTIONS = [
    ("dilute.sweeps", "run_sweep"),
    ("dilute.world", "joined"),
    ("dilute.advice", "advise"),
    ("dilute.study", "compare"),
    ("dilute.studies", "reproduce"),
    ("dilute.estimation", "cross_validated"),
]
REQUIRED = {
    "fit": ["digits"],
    "predict": ["model", "digits", "--out", "classes.csv"],
    "run": ["digits", "--model", "mlp1"],
    "sweep": ["sweep.yaml"],
    "compare": ["digits", "--model", "mlp1", "--alpha", "2"],
    "reproduce": ["fig1"],
    "plan": ["digits", "--target", "0.9"],
    "estimate": ["digits"],
    "advise": ["digits", "--model", "mlp1"],
    "gradients": ["digits", "--model", "mlp1"],
    "labels": ["digits", "--out", "labels.parquet"],
    "data info": ["digits"],
    "data fetch": ["digits"],
    "data check": ["folder:images"],
    "demo": [],
    "data list": [],
    "store pack": ["runs"],
    "store delete": ["runs", "007a92c8aa4a2cf580f1"],
}
STRUCTURED = ["--noise", "structured", "--delta", "0.1"]
BESIDE = {
    "--class-map": ["--noise", "asymmetric", "--class-map", "mnist"],
    "--delta": STRUCTURED,
    "--order": STRUCTURED,
    "--order-seed": [*STRUCTURED, "--order", "random"],
    "--class-order": STRUCTURED,
    "--confusion": STRUCTURED,
    "--noise-option": STRUCTURED,
    "--address": ["--engine", "ray"],
    "--gpus-per-run": ["--engine", "ray"],
}
"""What an option needs beside it."""
VALUES = {
    "--noise": "pair",
    "--preset": "paper",
    "--class-map": "7:1,2:7",
    "--delta": "0.2",
    "--order": "reverse",
    "--class-order": "3,1,2",
    "--noise-option": "order=reverse",
    "--noisy-images": "white_noise",
    "--method-option": "q=0.5",
    "--copies": "expected",
    "--engine": "ray",
    "--on-corrupt": "skip",
    "--gpus-per-run": "0.5",
    "--picture": "other.svg",
    "--learning-rates": "0.01",
}
"""Values of options, where a word or a number like any other will not do."""


@functools.cache
def commands() -> dict[str, Command]:
    """Return all commands by name, each with its options."""
    return dict(_commands_of(typer.main.get_command(dilute.cli.app), ""))


def _commands_of(group: Any, prefix: str) -> Iterator[tuple[str, Command]]:
    for name, one in group.commands.items():
        if isinstance(one, Command):
            one.make_options()
            yield prefix + name, one
        else:
            yield from _commands_of(one, f"{prefix}{name} ")


def called(command: Command) -> Callable[..., None]:
    """Return the function of a command."""
    return command.callback.function


def received(name: str, arguments: list[str]) -> dict[str, Any]:
    """Return what the function of a command would be called with."""
    found: dict[str, Any] = {}

    @functools.wraps(called(commands()[name]))
    def recorder(**values: Any) -> None:
        found.update({name: value for name, value in values.items() if name != "given"})

    app = typer.Typer()
    recorder.__name__ = "recorder"
    add_command(app, recorder)
    command = typer.main.get_command(app)
    command.make_options()
    with command.make_context(name, list(arguments)) as context:
        command.invoke(context)
    return found


def walked() -> list[Any]:
    return [
        pytest.param(name, option.opts[0], id=f"{name} {option.opts[0]}")
        for name, command in commands().items()
        for option in command.params
        if isinstance(option, typer.core.TyperOption)
    ]


@pytest.mark.parametrize(("module", "name"), MODELS_OF_OPTIONS)
def test_what_is_read_of_a_model_is_what_it_says(module: str, name: str):
    model = getattr(importlib.import_module(module), name)
    read = described.fields(module, name)
    if dataclasses.is_dataclass(model):
        real = {one.name: one.default for one in dataclasses.fields(model)}
        assert set(real) == set(read)
        plain = {one for one in real if isinstance(real[one], str | int | float | None)}
        assert {one: read[one].default for one in plain} == {one: real[one] for one in plain}
        return
    own = [one for one in inspect.get_annotations(model) if one in model.model_fields]
    assert list(read) == own
    for field in read.values():
        info = model.model_fields[field.name]
        if info.is_required():
            assert field.default is inspect.Parameter.empty
        elif isinstance(info.default, str | int | float | None):
            assert field.default == info.default
        bounds = {
            end: getattr(one, end)
            for one in info.metadata
            for end in ("ge", "gt", "le", "lt")
            if hasattr(one, end)
        }
        assert field.bounds == bounds
        assert info.description is None or field.help == info.description


@pytest.mark.parametrize(("module", "name"), ARGUMENTS_OF_OPTIONS)
def test_what_is_read_of_a_function_is_what_it_says(module: str, name: str):
    real = inspect.signature(getattr(importlib.import_module(module), name)).parameters
    read = described.arguments(module, name)
    assert list(read) == list(real)
    for one in real.values():
        if isinstance(one.default, str | int | float | None | type(inspect.Parameter.empty)):
            assert read[one.name].default == one.default


def test_the_registries_are_read_as_they_are():
    assert list(described.constant("dilute.models", "MODELS")) == list(MODELS)
    assert list(described.constant("dilute.methods", "METHODS")) == list(METHODS)
    assert list(described.constant("dilute.noise", "PATTERNS")) == list(PATTERNS)
    assert list(described.constant("dilute.data", "OWN")) == list(OWN)


@pytest.mark.parametrize("name", REQUIRED)
def test_help_has_an_example_and_json_and_fits(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*name.split(), "--help"]) == 0
    out = capsys.readouterr().out
    assert f"Example: dilute {name}" in " ".join(out.split())
    assert "--json" in out
    assert max(len(line) for line in out.splitlines()) <= 80
    for option in commands()[name].params:
        assert all(flag in out for flag in option.opts if flag.startswith("--")), "cut off"


def test_every_command_is_walked():
    assert set(commands()) == set(REQUIRED)


def test_every_option_has_help():
    for name, command in commands().items():
        for option in command.params:
            assert option.help, f"{name} {option.name}"


@pytest.mark.parametrize("name", REQUIRED)
def test_every_parameter_is_given_by_an_option(name: str):
    """A parameter that the docstring does not describe would be left out."""
    function = called(commands()[name])
    made = {"given", *(group.value for group in notes(function).groups)}
    own = inspect.signature(function).parameters.keys() - made
    assert own <= {option.name for option in commands()[name].params}


def test_help_names_what_the_registries_have():
    texts = {option.name: option.help for option in commands()["run"].params}
    for name, known in (("model", MODELS), ("method", METHODS), ("noise", PATTERNS)):
        words = re.findall(r"[a-z0-9_]+", texts[name])
        assert set(known) <= set(words)
    assert all(f"{form}:" in texts["data"] for form in OWN)


def test_no_list_of_names_stands_in_the_commands():
    for path in CLI.glob("*.py"):
        tree = ast.parse(path.read_text())
        documented = ast.Module | ast.FunctionDef | ast.ClassDef
        nodes = [node for node in ast.walk(tree) if isinstance(node, documented)]
        docs = {ast.get_docstring(node, clean=False) for node in nodes}
        texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        for text in texts:
            if not isinstance(text, str) or text in docs:
                continue
            words = set(re.findall(r"[a-z0-9_]+", text))
            for known in (MODELS, METHODS, PATTERNS):
                assert len(words & set(known)) < 3, f"{path.name}: {text}"


@pytest.mark.parametrize(("name", "flag"), walked())
def test_an_option_reaches_the_function(name: str, flag: str, tmp_path: Path):
    option = next(one for one in commands()[name].params if flag in one.opts)
    has_amount = any(one.name == "rate" for one in commands()[name].params)
    base = [*REQUIRED[name], *BESIDE.get(flag, [])]
    if has_amount and "--alpha" not in base and (flag == "--noise" or "--noise" in base):
        base += ["--alpha", "1"]
    if flag == "--rate" and "--alpha" in base:
        base[base.index("--alpha")] = "--rate"
    if flag == "--setting":
        base[0] = "."  # a folder of records
    typed = [flag] if option.is_flag else [flag, VALUES.get(flag) or _value(option, tmp_path)]
    assert received(name, [*base, *typed]) != received(name, base)


def _value(option: Any, folder: Path) -> str:
    if option.name == "confusion":
        path = folder / "matrix.csv"
        np.savetxt(path, np.eye(3) + 0.1, delimiter=",")
        return str(path)
    return {int: "77", float: "0.77"}.get(option.type_descriptor.annotation, "other")


@pytest.mark.parametrize("name", REQUIRED)
def test_a_function_uses_all_that_it_gets(name: str):
    function = called(commands()[name])
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert set(inspect.signature(function).parameters) <= used


REFUSED = {
    "plan . --target 0.9 --noise pair --workers 7 --replacement": (
        "--replacement, --noise, --workers",
        "beside a folder of records .",
    ),
    "plan digits --target 0.9 --setting mlp1": (
        "--setting",
        "beside data digits",
    ),
    "run digits --model mlp1 --realisation a.parquet --noise uniform": (
        "--noise",
        "beside --realisation a.parquet",
    ),
    "run digits --model mlp1 --realisation a.parquet --num-clean 5": (
        "--num-clean",
        "beside --realisation a.parquet",
    ),
    "run digits --model mlp1 --heldout digits --heldout-fraction 0.05": (
        "--heldout-fraction",
        "beside --heldout digits",
    ),
    "run digits --model mlp1 --noise pair": (
        "--noise",
        "without --alpha or --rate; give --alpha or --rate, too",
    ),
    "advise digits --model mlp1 --noise pair": (
        "--noise",
        "without --alpha or --rate",
    ),
    "sweep s.yaml --dry-run --hang-seconds 5 --no-weights": (
        "--hang-seconds, --no-weights",
        "beside --dry-run",
    ),
    "sweep s.yaml --dry-run --engine ray": (
        "--engine",
        "beside --dry-run",
    ),
    "sweep s.yaml --address auto": (
        "--address",
        "beside --engine local",
    ),
    "sweep s.yaml --engine local --gpus-per-run 0": (
        "--gpus-per-run",
        "beside --engine local",
    ),
    "gradients digits --model mlp1 --weights w --at 0": (
        "--at",
        "beside --weights w",
    ),
    "estimate --annotations t.csv --trusted x.csv": (
        "--trusted",
        "beside --annotations t.csv",
    ),
    "estimate --annotations t.csv --resize 8": (
        "--resize",
        "beside --annotations without DATA",
    ),
    "estimate digits --trusted t.csv --no-rows --model mlp1": (
        "--model",
        "beside --no-rows",
    ),
    "reproduce fig1 --draw-only --workers 2": (
        "--workers",
        "beside --draw-only",
    ),
    "reproduce fig1 --dry-run --hang-seconds 2": (
        "--hang-seconds",
        "beside --dry-run",
    ),
}
"""A command, which of its options it refuses, and why."""


@pytest.mark.parametrize("line", REFUSED)
def test_what_has_no_effect_is_refused(line: str, capsys: pytest.CaptureFixture[str]):
    assert main(line.split()) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    names, why = REFUSED[line]
    assert f"{names} ha{'ve' if ',' in names else 's'} no effect {why}" in err


def test_corrupt_images_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_pictures(tmp_path)
    name = f"folder:{tmp_path}"
    assert main(["data", "check", name]) == 0
    assert "every image decodes" in capsys.readouterr().out
    (tmp_path / "bee" / "3.png").write_bytes(b"not a picture")
    assert main(["data", "check", name, "--json"]) == 1
    out, err = capsys.readouterr()
    (corrupt,) = json.loads(out)["corrupt"]
    assert corrupt.endswith("3.png")
    assert "1 of its images cannot be decoded" in err


def test_every_field_of_a_run_is_an_option():
    given = {one.field for group in (options.recipe, options.noise) for one in group.options()}
    assert set(RunSpec.model_fields) - given == {
        "data",
        "labels_hash",
        "heldout_hash",
        "as_given",
    }


def test_studies_in_the_help_are_there():
    (text,) = (one.help for one in commands()["reproduce"].params if one.name == "study")
    words = set(re.findall(r"[a-z0-9-]+", text))
    assert {name for name in STUDIES if not name.startswith("compare-")} <= words
    assert {word for word in words if "-" in word} <= set(STUDIES)
