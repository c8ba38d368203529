"""Tables in Markdown, and how they come into pages of text, between markers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from dilute.errors import StoreError
from dilute.files import write_file


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown: the heads of its columns, and a row of cells each."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def write_table(page: Path | str, name: str, table: str) -> None:
    """Put `table` between the markers of `name` in the file `page`.

    The markers are `<!-- NAME: written by … -->` and `<!-- end of NAME -->`, and stay as they are.

    Errors: `StoreError` if the markers are not there, or the page cannot be written.
    """
    page, marker = Path(page), re.escape(name)
    pattern = f"(<!-- {marker}: written by [^\n]* -->\n).*?(<!-- end of {marker} -->)"
    try:
        text = page.read_text()
    except OSError as error:
        raise StoreError(f"{page} cannot be read: {error}") from error
    found = re.search(pattern, text, re.DOTALL)
    if found is None:
        raise StoreError(
            f"{page} cannot be written: it lacks the markers <!-- {name}: written by … --> and "
            f"<!-- end of {name} -->"
        )
    before, after = text[: found.start()], text[found.end() :]
    write_file(page, f"{before}{found[1]}{table.strip()}\n{found[2]}{after}".encode())
