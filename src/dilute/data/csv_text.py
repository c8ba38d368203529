"""The form of a CSV file: what stands between its cells."""

from __future__ import annotations

from pathlib import Path

from dilute.errors import DataError, DiluteError, reason_of

_DELIMITERS = (",", ";", "\t")


def check_csv(path: Path, error: type[DiluteError] = DataError) -> str:
    """Return what stands between the cells of a CSV file: a comma, a semicolon or a tab.

    That which the first line has most of is taken; a comma if it has none.

    Arguments:
        error: the class of what is raised.

    Errors: `error` for a file that is missing, cannot be read, or is not text in UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            while file.read(1 << 20):
                pass
    except FileNotFoundError:
        raise error(f"{path} does not exist; give a CSV file") from None
    except UnicodeDecodeError as reason:
        raise error(
            f"{path} cannot be read as CSV: it is not text in UTF-8 (byte "
            f"{reason.object[reason.start]:#04x}); save it as CSV in UTF-8, as spreadsheets offer"
        ) from None
    except OSError as reason:
        raise error(f"{path} cannot be read as CSV: {reason_of(reason)}") from None
    return max(_DELIMITERS, key=first.count)
