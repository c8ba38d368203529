"""The files of studies: pictures, tables of numbers, and the table of claims."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, get_args

from dilute import figures
from dilute.errors import StoreError
from dilute.files import write_file
from dilute.study.outcome import Judged, StudyRuns, claims_markdown, notes_markdown
from dilute.study.study import Scale, Study
from dilute.study.style import common_style

Format = Literal["csv", "png", "svg"]
FORMATS: tuple[Format, ...] = get_args(Format)


def write_study(
    study: Study, data: Any, scale: Scale, out: Path, formats: Sequence[str]
) -> list[Path]:
    """Write what a study shows as `NAME.csv`, `NAME.png` and `NAME.svg`, and return their paths.

    Arguments:
        data: as of `Study.select`; None if there is nothing to show.
        formats: which of the three.
    """
    written = []
    for ending in formats if data is not None else ():
        path = out / f"{study.name}.{ending}"
        if ending == "csv" and hasattr(data, "to_csv"):
            write_file(path, data.to_csv(index=False, float_format="%.6g").encode())
        elif ending != "csv" and study.draw is not None:
            with common_style():
                figures.save(study.draw(data, scale), path)
        else:
            continue
        written.append(path)
    return written


def write_claims(judged: Sequence[Judged], studies: Sequence[StudyRuns], out: Path) -> list[Path]:
    """Write `claims.md` and `claims.json`, and return their paths.

    Rows that are there of other claims and scales stay.
    """
    if not judged:
        return []
    markdown, document = out / "claims.md", out / "claims.json"
    rows = [one.row() for one in judged]
    new = {(row["id"], row["scale"]) for row in rows}
    with suppress(OSError, ValueError, KeyError, TypeError):  # none there, or not ours
        before = json.loads(document.read_text())
        rows = [row for row in before if (row["id"], row["scale"]) not in new] + rows
    write_file(markdown, f"{claims_markdown(rows)}\n\n{notes_markdown(studies)}\n".encode())
    write_file(document, (json.dumps(rows, indent=1, ensure_ascii=False) + "\n").encode())
    return [markdown, document]


def read_measured(study: Study, scale: Scale, out: Path) -> Any:
    """Return what the study's own code measured before; None if that is not there.

    Errors: `StoreError` if the file cannot be read.
    """
    path = _measured_path(study, out)
    try:
        document = json.loads(path.read_text())
        return document["measured"] if document["scale"] == scale else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path} cannot be read ({type(error).__name__}); remove it to measure again"
        ) from error


def write_measured(study: Study, scale: Scale, measured: Any, out: Path) -> None:
    """Keep in `NAME.json` what the study's own code measured."""
    document = {"scale": scale, "measured": measured}
    text = json.dumps(document, indent=1, ensure_ascii=False)
    write_file(_measured_path(study, out), f"{text}\n".encode())


def _measured_path(study: Study, out: Path) -> Path:
    return out / f"{study.name}.json"
