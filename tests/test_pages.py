"""The pages: of a width that can be read, and compared, in any window."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
MOST_CHARACTERS = 100
# A line may be broken at spaces outside of `code`.
UNBREAKABLE = re.compile(r"(?:`+[^`]*`+|\S)+")
LIST_MARK = re.compile(r"\s*(?:[-*+]|\d+\.)\s+")


def long_lines(text: str) -> list[int]:
    """Return the numbers of the lines that are too long and could be broken.

    Tables, code and HTML cannot be, and what a command writes between `<!-- name: … -->` and
    `<!-- end of name -->` is the command's.
    """
    found, is_code, is_written = [], False, False
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("```"):
            is_code = not is_code
        elif line.startswith("<!-- "):
            is_written = "written by" in line
        elif is_code or is_written or line.lstrip().startswith(("|", "<", "![")):
            continue
        elif len(line) > MOST_CHARACTERS:
            words = UNBREAKABLE.findall(LIST_MARK.sub("", line, count=1))
            if len(words) > 1:
                found.append(number)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_are_short(page: Path):
    assert not long_lines(page.read_text())


def test_what_cannot_be_broken_may_be_long():
    long = "x" * 101
    assert long_lines(f"{long}\n- {long}\n| {long} | b |\n`{long} b`\n") == []
    assert long_lines(f"```\n{long} b\n```\n{long} b\n") == [4]
    written = f"<!-- a: written by `make a` -->\n{long} b\n<!-- end of a -->\n"
    assert long_lines(f"{written}1. {long} b\n") == [4]
