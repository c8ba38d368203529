"""Imports go one way: what is upstream knows nothing of what is downstream."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import dilute

ROOT = Path(dilute.__file__).parent
ORDER = [
    "errors",
    "extensions",
    "files",
    "seeds",
    "interruption",
    "environment",
    "launcher",
    "world",
    "data",
    "noise",
    "dilution",
    "models",
    "methods",
    "training",
    "serving",
    "gradients",
    "runs",
    "sweeps",
    "figures",
    "laws",
    "estimation",
    "planning",
    "advice",
    "fitting",
    "classifier",
    "study",
    "studies",
    "demo",
    "cli",
    "__main__",
]


def layer(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0]


def imports(path: Path) -> set[str]:
    """Return the layers of this package that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            names = (
                [node.module]
                if node.module != "dilute"
                else [f"dilute.{a.name}" for a in node.names]
            )
        found |= {name.split(".")[1] for name in names if name.startswith("dilute.")}
    return found - {"__version__"}


def test_imports_go_upstream():
    files = [path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py"]
    assert {layer(path) for path in files} == set(ORDER), "a new module needs its place in ORDER"
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files
        for name in imports(path)
        if ORDER.index(name) > ORDER.index(layer(path))
    ]
    assert not wrong


def test_type_checkers_see_the_public_names():
    """The names that are imported when they are first used are those that a type checker reads."""
    tree = ast.parse((ROOT / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == dilute._HOME_OF | dict.fromkeys(dilute._ROOMS, "dilute")


def test_public_names_are_all_there():
    for name in dilute.__all__:
        assert getattr(dilute, name) is not None


def test_heavy_libraries_wait_until_they_are_needed():
    heavy = {"torch", "numpy", "pandas", "datasets", "matplotlib", "pydantic", "PIL", "sklearn"}
    code = "import sys, dilute, dilute.cli; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not heavy & set(loaded.stdout.split())


def test_workers_start_without_what_they_seldom_need():
    code = "import sys, dilute.sweeps; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"scipy", "pandas", "matplotlib", "sklearn"} & set(loaded.stdout.split())


def test_type_checkers_see_which_fields_have_defaults():
    """Without pydantic's plugin they take a default for one only where it is named."""
    unnamed = [
        f"{path.name}:{call.lineno}"
        for path in ROOT.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Field" and call.args
    ]
    assert unnamed == []
