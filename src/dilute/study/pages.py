"""What benchmarks leave: results as JSON, and tables in the README and the pages of docs/, between markers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dilute.files import write_file

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def with_table(page: str, name: str, table: str, command: str) -> str:
    """Return the page's text with `table` between the markers of `name`, which say what writes it.

    Errors: `ValueError` if the markers are not there.
    """
    start, end = f"<!-- {name}: written by `{command}` -->", f"<!-- end of {name} -->"
    before, found, rest = page.partition(start)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise ValueError(f"the page lacks the markers {start} and {end}")
    return f"{before}{start}\n{table.strip()}\n{end}{after}"


def write_table(name: str, table: str, *, command: str, path: Path = README) -> None:
    """Put `table` between the markers of `name` in the page at `path`."""
    write_file(path, with_table(path.read_text(), name, table, command).encode())


def write_results(name: str, results: dict[str, Any]) -> None:
    """Write what was measured to `results/NAME.json`."""
    content = json.dumps(results, indent=1, ensure_ascii=False)
    write_file(ROOT / "results" / f"{name}.json", f"{content}\n".encode())
