"""Reading a sweep's YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer

from dilute.errors import DiluteError, SpecError, cut
from dilute.runs import RunSpec
from dilute.sweeps.grid import expand

_MOST_BYTES = 64 * 2**20
_MOST_VALUES, _MOST_KEYS, _MOST_LEVELS = 500_000, 1000, 100
_TOO_DEEP = "it is nested too deeply; a sweep needs four levels and no more"


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


# libyaml's parser, where it is there, is ten times as fast.
_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _StrictLoader(Composer, _Parser):  # type: ignore[misc]
    """A loader that refuses a mapping with a key twice, of which YAML would keep the last.

    It refuses, too, what is nested deeply, or stands for very many values: a file of a few lines
    can name what it named before again and again.
    """

    def __init__(self, text: str) -> None:
        _Parser.__init__(self, text)
        Composer.__init__(self)
        self._level = self._number = 0
        self._sizes: dict[int, int] = {}  # of nodes that are whole, with all that is below them

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Return the next node, as `Composer` does."""
        is_alias = self.check_event(yaml.AliasEvent)
        mark = self.peek_event().start_mark
        self._level, self._number = self._level + 1, self._number + 1
        if self._level > _MOST_LEVELS:
            raise SpecError(_TOO_DEEP)
        if isinstance(parent, yaml.MappingNode) and len(parent.value) > _MOST_KEYS:
            raise _refusal(f"it has more than {_MOST_KEYS:,} keys; give fewer", mark)
        node = super().compose_node(parent, index)
        self._level -= 1
        if is_alias:
            if id(node) not in self._sizes:
                raise _refusal("it names itself; give the values instead", mark)
        elif isinstance(node, yaml.MappingNode):
            below = sum(self._sizes[id(part)] for pair in node.value for part in pair)
            self._sizes[id(node)] = 1 + below
        elif isinstance(node, yaml.SequenceNode):
            self._sizes[id(node)] = 1 + sum(self._sizes[id(part)] for part in node.value)
        else:
            self._sizes[id(node)] = 1
        if max(self._number, self._sizes[id(node)]) > _MOST_VALUES:
            raise _refusal(f"it stands for more than {_MOST_VALUES:,} values; give fewer", mark)
        return node


def _refusal(problem: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(problem=problem, problem_mark=mark)


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
    seen: set[str] = set()
    for name in names:
        if name in seen and name != "<<":
            raise _refusal(f"'{cut(name, 80)}' is given twice; give it once", node.start_mark)
        seen.add(name)
    loader.flatten_mapping(node)
    return dict(loader.construct_pairs(node, deep=True))


_StrictLoader.add_constructor("tag:yaml.org,2002:map", _mapping)


def _parsed(text: str) -> Any:
    try:
        return yaml.load(text, _StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        last = len(text.rstrip().splitlines())  # libyaml points behind it at what does not end
        where = f"line {min(mark.line + 1, last)}" if mark else "somewhere"
        raise SpecError(
            f"{where} is no YAML that can be read: {cut(str(error.problem))}; fix it"
        ) from None
    except RecursionError:
        raise SpecError(_TOO_DEEP) from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise SpecError(f"it is no YAML that can be read: {reason[:200]}; fix it") from None
