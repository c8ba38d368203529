"""Tables that studies write into pages of text, between markers."""

from __future__ import annotations

import re
from pathlib import Path

from dilute.errors import StoreError
from dilute.files import write_file


def with_table(page: str, name: str, table: str) -> str:
    """Return the page's text with `table` between the markers of `name`.

    The markers are `<!-- NAME: written by … -->` and `<!-- end of NAME -->`, and stay as they are.

    Errors: `ValueError` if the markers are not there.
    """
    pattern = (
        f"(<!-- {re.escape(name)}: written by [^\n]* -->\n).*?(<!-- end of {re.escape(name)} -->)"
    )
    found = re.search(pattern, page, re.DOTALL)
    if found is None:
        raise ValueError(
            f"the page lacks the markers <!-- {name}: written by … --> and <!-- end of {name} -->"
        )
    before, after = page[: found.start()], page[found.end() :]
    return f"{before}{found[1]}{table.strip()}\n{found[2]}{after}"


def write_table(page: Path | str, name: str, table: str) -> None:
    """Put `table` between the markers of `name` in the file `page`.

    Errors: `StoreError` if the markers are not there, or the page cannot be written.
    """
    page = Path(page)
    try:
        text = with_table(page.read_text(), name, table)
    except (OSError, ValueError) as error:
        raise StoreError(f"{page} cannot be written: {error}") from error
    write_file(page, text.encode())
