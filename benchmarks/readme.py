"""Tables that commands write into the README, between markers."""

from __future__ import annotations

from pathlib import Path

from dilute.files import write_file

README = Path(__file__).parent.parent / "README.md"


def with_table(readme: str, name: str, table: str) -> str:
    """Return the README's text with `table` between the markers of `name`.

    Errors: `ValueError` if the markers are not there.
    """
    start, end = f"<!-- {name}: written by `make {name}` -->", f"<!-- end of {name} -->"
    before, found, rest = readme.partition(start)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise ValueError(f"{README} lacks the markers {start} and {end}")
    return f"{before}{start}\n{table.strip()}\n{end}{after}"


def write_table(name: str, table: str) -> None:
    """Put `table` between the markers of `name` in the README."""
    write_file(README, with_table(README.read_text(), name, table).encode())
