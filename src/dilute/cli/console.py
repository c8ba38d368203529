"""What commands print while they work and when they are done."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dilute.data import Splits
    from dilute.dilution import NoisySet


def prepare_output() -> None:
    """Let output take any text, and go nowhere where whoever called has closed it.

    What the output's encoding lacks is shown as escapes.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Takes the lowest free number, which is this one; else the next file would have it.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def drop_output() -> None:
    """Let what is still to be written go nowhere, as writing it has failed."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())


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


def say_count_as_clean(splits: Splits) -> None:
    """Say that labels of which nobody knows how many are wrong count as clean here."""
    if not splits.train_is_clean:
        say(
            "note: the labels are as given, and how many are wrong is not known; they count as "
            "clean here, and noise is planted beside them"
        )


def print_json(document: Any) -> None:
    """Print one JSON document on standard output, which is for programs."""
    import json

    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(document, indent=1, allow_nan=False)
    print(text)


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
