"""The tests' own files: of a size to read, and none that leans on another's tests."""

from __future__ import annotations

import ast
from pathlib import Path

FILES = sorted(Path(__file__).parent.glob("*.py"))
MOST_LINES = 500


def imported(path: Path) -> set[str]:
    """Return the modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_tests_do_not_import_one_another():
    """What several need stands in a module of its own, or in conftest.py."""
    assert len(FILES) > 40, "are the files found?"
    wrong = [
        f"{path.name} imports {name}"
        for path in FILES
        for name in imported(path)
        if name.split(".")[-1].startswith("test_")
    ]
    assert not wrong


def test_no_test_file_is_longer_than_one_reads():
    lengths = {path.name: len(path.read_text().splitlines()) for path in FILES}
    assert not {name: length for name, length in lengths.items() if length > MOST_LINES}
