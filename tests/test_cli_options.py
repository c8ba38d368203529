"""Options come from the library's models, reach it, and are refused where they would have no effect."""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

import dilute.cli
from dilute.cli import described, main
from dilute.cli.pages import Command
from dilute.data import OWN
from dilute.methods import METHODS
from dilute.models import MODELS
from dilute.noise import PATTERNS

CLI = Path(dilute.cli.__file__).parent
MODELS_OF_OPTIONS = [
    ("dilute.training.recipe", "Recipe"),
    ("dilute.runs.spec", "RunSpec"),
    ("dilute.runs.running", "Execution"),
    ("dilute.data.reading", "Reading"),
    ("dilute.sweeps.ray_crew", "Cluster"),
    ("dilute.gradients.measure", "Sampling"),
    *(("dilute.noise", pattern.__name__) for pattern in PATTERNS.values()),
]
ARGUMENTS_OF_OPTIONS = [
    ("dilute.sweeps.engine", "run_sweep"),
    ("dilute.world", "joined"),
    ("dilute.advice.choices", "advise"),
]
REQUIRED = {
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
    "demo": [],
    "data list": [],
}
BESIDE = {
    "--noise": ["--alpha", "1"],
    "--class-map": ["--noise", "asymmetric"],
    "--delta": ["--noise", "structured", "--order", "random"],
    "--order": ["--noise", "structured", "--delta", "0.1"],
    "--order-seed": ["--noise", "structured", "--delta", "0.1", "--order", "random"],
    "--class-order": ["--noise", "structured", "--delta", "0.1"],
    "--confusion": ["--noise", "confusion"],
    "--noise-option": ["--noise", "structured", "--order", "random"],
    "--address": ["--engine", "ray"],
    "--gpus-per-run": ["--engine", "ray"],
}
"""What an option needs beside it."""
VALUES = {
    "--noise": "pair",
    "--class-map": "7:1,2:7",
    "--delta": "0.2",
    "--order": "reverse",
    "--class-order": "3,1,2",
    "--noise-option": "delta=0.3",
    "--noisy-images": "white_noise",
    "--method-option": "q=0.5",
    "--copies": "expected",
    "--engine": "ray",
    "--on-corrupt": "skip",
    "--gpus-per-run": "0.5",
    "--picture": "other.svg",
}
"""Values of options, where a word or a number like any other will not do."""


def commands(group: Any = None, prefix: str = "") -> Iterator[tuple[str, Command]]:
    """Yield all commands by name, each with its options."""
    for name, one in (group or typer.main.get_command(dilute.cli.app)).commands.items():
        if isinstance(one, Command):
            one.make_options()
            yield prefix + name, one
        else:
            yield from commands(one, f"{prefix}{name} ")


def called(command: Command) -> Callable[..., None]:
    """Return the function of a command."""
    return command.callback.function


def received(command: Command, arguments: list[str]) -> dict[str, Any]:
    """Return what the function of a command would be called with."""
    found: dict[str, Any] = {}
    function = called(command)

    @functools.wraps(function)
    def recorder(**values: Any) -> None:
        found.update({name: value for name, value in values.items() if name != "given"})

    command.callback.function = recorder
    command.make_options()
    with command.make_context("dilute", arguments) as context:
        command.invoke(context)
    command.callback.function = function
    return found


def walked() -> list[Any]:
    return [
        pytest.param(name, option.opts[0], id=f"{name} {option.opts[0]}")
        for name, command in commands()
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
        bounds = {end: getattr(one, end) for one in info.metadata for end in ("ge", "gt", "le", "lt") if hasattr(one, end)}  # fmt: skip
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
    assert "…" not in re.sub(r"(cuda, |cuda:1, |mps, |s3://|gs://)…", "", out), "a name is cut off"


def test_every_command_is_walked():
    assert {name for name, _ in commands()} == set(REQUIRED)


def test_every_option_has_help():
    for name, command in commands():
        for option in command.params:
            assert option.help, f"{name} {option.name}"


def test_help_names_what_the_registries_have():
    texts = {option.name: option.help for option in dict(commands())["run"].params}
    for name, known in (("model", MODELS), ("method", METHODS), ("noise", PATTERNS)):
        words = re.findall(r"[a-z0-9_]+", texts[name])
        assert set(known) <= set(words)
    assert all(f"{form}:" in texts["data"] for form in OWN)


def test_no_list_of_names_stands_in_the_commands():
    for path in CLI.glob("*.py"):
        tree = ast.parse(path.read_text())
        docs = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)}  # fmt: skip
        texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        for text in texts:
            if not isinstance(text, str) or text in docs:
                continue
            words = set(re.findall(r"[a-z0-9_]+", text))
            for known in (MODELS, METHODS, PATTERNS):
                assert len(words & set(known)) < 3, f"{path.name}: {text}"


@pytest.mark.parametrize(("name", "flag"), walked())
def test_an_option_reaches_the_function(name: str, flag: str, tmp_path: Path):
    command = dict(commands())[name]
    option = next(one for one in command.params if flag in one.opts)
    np.savetxt(tmp_path / "matrix.csv", np.eye(3) + 0.1, delimiter=",")
    beside = BESIDE.get(flag, []) if flag in BESIDE else []
    if name in ("run", "labels", "advise", "gradients") and beside[:1] == ["--noise"]:
        beside = ["--alpha", "1", *beside]
    elif flag == "--noise" and name in ("plan", "compare"):
        beside = []
    base = [*REQUIRED[name], *beside]
    if flag == "--rate" and "--alpha" in base:
        base = [*base[: base.index("--alpha")], "--rate", "0.1"]
    value = VALUES.get(flag) or _value(option, tmp_path)
    typed = [flag] if option.is_flag else [flag, value]
    matrix = ["--confusion", str(tmp_path / "matrix.csv")]
    before = [] if flag == "--confusion" or "confusion" not in base else matrix
    if flag == "--confusion":
        command.params  # its pattern cannot be without it
        other = received(command, REQUIRED[name])
    else:
        needed = {"--delta": ["--delta", "0.1"], "--class-map": ["--class-map", "mnist"], "--noise-option": ["--delta", "0.1"]}  # fmt: skip
        extra = needed.get(flag, [])
        other = received(command, [*base, *before, *extra])
    if flag == "--noise-option":
        typed = [flag, "delta=0.3"]
    assert received(command, [*base, *typed]) != other


def _value(option: Any, folder: Path) -> str:
    kind = option.type_descriptor.annotation
    if option.opts[0] == "--confusion":
        return str(folder / "matrix.csv")
    return {int: "77", float: "0.77"}.get(kind, "other")


@pytest.mark.parametrize("name", REQUIRED)
def test_a_function_uses_all_that_it_gets(name: str):
    function = called(dict(commands())[name])
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert set(inspect.signature(function).parameters) <= used
