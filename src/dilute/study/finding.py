"""Studies by name: the known ones, and a user's own by path or by module."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dilute.errors import SpecError, one_line, unknown_name
from dilute.extensions import files_of, imported
from dilute.study.study import Study

_NAME_IN_FILE, _SEVERAL_IN_FILE = "STUDY", "STUDIES"


def studies_in(package: str) -> Iterator[Study]:
    """Yield the studies in a package's files: what each calls `STUDY`, or several, `STUDIES`."""
    for file in files_of(package, _NAME_IN_FILE, _SEVERAL_IN_FILE):
        module = importlib.import_module(file)
        if hasattr(module, _NAME_IN_FILE):
            yield module.STUDY
        yield from getattr(module, _SEVERAL_IN_FILE, ())


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
    if name.endswith(".py"):
        found = _of_file(name)
    elif ":" in name:
        found = imported("study", name, SpecError, "my_study.py or module:name")
    else:
        raise SpecError(
            unknown_name("study", name, [*known, "all"])
            + "; or my_study.py or module:name for your own"
        )
    if not isinstance(found, Study):
        raise SpecError(
            f"study '{name}' is of type {type(found).__name__}; it must be a dilute.Study"
        )
    return found


def _of_file(path: str) -> Any:
    """Return what a file calls `STUDY`; importing it runs its code.

    Errors: `SpecError` if it cannot be imported, or has nothing of that name.
    """
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module  # where a dataclass looks for what its fields name
    try:
        spec.loader.exec_module(module)
        return getattr(module, _NAME_IN_FILE)
    except (Exception, SystemExit) as error:  # whatever the user's file raises
        raise SpecError(
            f"study '{path}' cannot be imported ({one_line(error)}); it must be a Python file with "
            f"a Study called {_NAME_IN_FILE}"
        ) from error
    finally:
        if before is None:
            sys.modules.pop(module.__name__, None)
        else:
            sys.modules[module.__name__] = before
