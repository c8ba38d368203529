"""Studies by name: the known ones, and a user's own by path or by module."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from dilute.errors import SpecError, one_line, unknown_name
from dilute.study.study import Study

_NAME_IN_FILE = "STUDY"


def find_studies(
    names: Sequence[str], known: Mapping[str, Study], of_all: Sequence[str]
) -> list[Study]:
    """Return the studies named, each once.

    Arguments:
        names: keys of `known`; `all`; `my_study.py`, a file whose `STUDY` is meant; or
            `module:name`, found on PYTHONPATH.
        known: studies by name.
        of_all: the names that `all` stands for.

    Errors: `SpecError` for a name that is not known, or names no study.
    """
    wanted = dict.fromkeys(
        each for name in names for each in (of_all if name == "all" else (name,))
    )
    return each_once([find_study(name, known) for name in wanted])


def each_once(studies: Iterable[Study]) -> list[Study]:
    """Return the studies, each once.

    Errors: `SpecError` for two of one name, whose files would be the same.
    """
    found: dict[str, Study] = {}
    for study in studies:
        if found.setdefault(study.name, study) is not study:
            raise SpecError(
                f"two studies are called '{study.name}', and so are their files; rename one"
            )
    return list(found.values())


def find_study(name: str, known: Mapping[str, Study]) -> Study:
    """Return the study of this name, as `find_studies` takes it.

    Errors: `SpecError` for a name that is not known, or names no study.
    """
    if name in known:
        return known[name]
    if ":" in name:
        module, _, attribute = name.partition(":")
        return _study_of(name, importlib.import_module, module, attribute)
    if name.endswith(".py"):
        return _study_of(name, _module_of_file, name, _NAME_IN_FILE)
    raise SpecError(
        unknown_name("study", name, [*known, "all"])
        + "; or my_study.py or module:name for your own"
    )


def _study_of(name: str, load: Any, module: str, attribute: str) -> Study:
    try:
        found = getattr(load(module), attribute)
    except Exception as error:  # whatever the user's module raises
        raise SpecError(
            f"study '{name}' cannot be imported ({one_line(error)}); it must be a file with a Study "
            f"called {_NAME_IN_FILE}, or module:name, found on PYTHONPATH"
        ) from error
    if not isinstance(found, Study):
        raise SpecError(
            f"study '{name}' is a {type(found).__name__}; it must be a dilute.study.Study"
        )
    return found


def _module_of_file(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
