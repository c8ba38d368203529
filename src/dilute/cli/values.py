"""From the text of an option to the value that the library takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dilute.errors import NoiseError, SpecError
from dilute.files import as_path, check_file


def copies(text: str) -> Any:
    """Return labels per visit as `Recipe` takes them: a number, or a word as it is."""
    return int(text) if text.isascii() and text.isdigit() else text


def picture(path: Path) -> Path:
    """Return the path of a picture.

    Errors: `SpecError` for a kind that is not drawn.
    """
    if path.suffix not in (".png", ".svg"):
        raise SpecError(f"picture {path} ends in '{path.suffix}'; allowed are .png and .svg")
    check_file(as_path(path))
    return path


def words(text: str) -> list[str]:
    """Return the words of a list by commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def numbers(what: str, text: str, example: str = "20 or 5,20,50") -> list[float]:
    """Return the numbers of a list by commas, called `what` in errors.

    Errors: `SpecError` for anything else.
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise SpecError(f"{what} '{text}' cannot be read; give numbers as in {example}") from None


def whole_numbers(what: str, text: str, example: str) -> list[int]:
    """Return the whole numbers, from 0, of a list by commas; arguments as for `numbers`.

    Errors: `SpecError` for anything else.
    """
    if not all(part.isascii() and part.isdigit() for part in text.split(",")):
        raise SpecError(f"{what} '{text}' cannot be read; give numbers as in {example}")
    return [int(part) for part in text.split(",")]


def rates(text: str) -> list[float]:
    """Return learning rates from a list by commas.

    Errors: as for `numbers`.
    """
    return numbers("learning rates", text, example="0.001 or 0.001,0.003")


def class_order(text: str) -> list[int]:
    """Return class numbers from a list by commas.

    Errors: as for `numbers`.
    """
    return whole_numbers("class order", text, "3,5,8")


def class_map(text: str) -> str | dict[int, int]:
    """Return a map of classes: its name as it is, or pairs as in `7:1,2:7`.

    Errors: `NoiseError` for anything else.
    """
    if ":" not in text:
        return text
    try:
        halves = [part.split(":") for part in text.split(",")]
        pairs = [(int(source), int(target)) for source, target in halves]
        if len({source for source, _ in pairs}) == len(pairs):
            return dict(pairs)
    except ValueError:
        pass
    raise NoiseError(
        f"class map '{text}' cannot be read; give pairs as in 7:1,2:7, each class once before a "
        "colon"
    )


def method_options(pairs: list[str]) -> dict[str, Any]:
    """Return a method's options from pairs as in `q=0.5`; `matrix` takes the name of a matrix file.

    Errors: `SpecError` for anything else; what `read_matrix` raises.
    """
    return _pairs("method", pairs, "q=0.5 or matrix=FILE")


def noise_options(pairs: list[str]) -> dict[str, Any]:
    """Return the options of a noise pattern from pairs as in `delta=0.5`.

    Errors: as for `method_options`.
    """
    return _pairs("noise", pairs, "delta=0.5 or matrix=FILE")


def matrix(path: Path) -> Any:
    """Return the matrix in a file.

    Errors: as for `dilute.noise.read_matrix`.
    """
    from dilute.noise import read_matrix

    return read_matrix(path)


def _pairs(what: str, pairs: list[str], example: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals and value) or name in found:
            raise SpecError(
                f"{what} option '{pair}' cannot be read; give each once, as in {example}"
            )
        is_file = name == "matrix" and Path(value).suffix
        found[name] = matrix(Path(value)) if is_file else value
    return found
