"""Reading a sweep's YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from dilute.errors import DiluteError, SpecError
from dilute.runs import RunSpec
from dilute.sweeps.grid import expand

_MOST_BYTES = 64 * 2**20


def read_sweep(path: Path | str) -> list[RunSpec]:
    """Return the runs that the YAML file at `path` describes, each once; see `expand`.

    Errors: `SpecError` for a file that is missing, no YAML, or describes what cannot be.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise SpecError(
                f"sweep file {path} has {size / 2**20:,.0f} MiB; a sweep file has at most "
                f"{_MOST_BYTES >> 20} MiB; check the path"
            )
        text = path.read_bytes().decode()
    except FileNotFoundError:
        raise SpecError(f"sweep file {path} does not exist; check the path") from None
    except UnicodeDecodeError:
        raise SpecError(f"sweep file {path} is no text in UTF-8; give a YAML file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SpecError(f"sweep file {path} cannot be read: {reason}; check the path") from None
    try:
        return expand(_parsed(text))
    except DiluteError as error:
        raise SpecError(f"sweep file {path}: {error}") from None


class _StrictLoader(yaml.SafeLoader):
    """A loader that refuses a mapping with a key twice, of which YAML would keep the last."""


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None and twice != "<<":
        raise yaml.constructor.ConstructorError(
            problem=f"'{twice}' is given twice; give it once", problem_mark=node.start_mark
        )
    loader.flatten_mapping(node)
    return dict(loader.construct_pairs(node, deep=True))


_StrictLoader.add_constructor("tag:yaml.org,2002:map", _mapping)


def _parsed(text: str) -> Any:
    try:
        return yaml.load(text, _StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}" if mark else "somewhere"
        raise SpecError(f"{where} is no YAML that can be read: {error.problem}; fix it") from None
    except RecursionError:
        raise SpecError("it is nested too deeply; a sweep needs four levels and no more") from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise SpecError(f"it is no YAML that can be read: {reason[:200]}; fix it") from None
