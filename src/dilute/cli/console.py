"""What commands print while they work and when they are done."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dilute.dilution import NoisySet


def say(text: str) -> None:
    """Print a line on standard error, which is for people."""
    print(text, file=sys.stderr, flush=True)


def say_lost_classes(noisy: NoisySet) -> None:
    """Say which classes plain training cannot learn, if any."""
    lost = noisy.lost_classes()
    if lost:
        shown = ", ".join([*lost[:5], *(["…"] if len(lost) > 5 else [])])
        say(
            f"note: for {len(lost)} of {noisy.num_classes} classes ({shown}) "
            "the true label is not the most frequent one; plain training cannot recover them"
        )


def print_json(document: Any) -> None:
    """Print one JSON document on standard output, which is for programs."""
    import json

    print(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False))


def duration(seconds: float) -> str:
    """Return seconds in a form for people: `8 s`, `12 min`, `3 h 20 min`, `4 d 2 h`."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if minutes < 100:
        return f"{minutes} min"
    if hours < 48:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours // 24} d {hours % 24} h"


def columns(rows: list[list[str]]) -> str:
    """Return rows of cells, the first of them a heading, as lines with aligned columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
