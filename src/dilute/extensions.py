"""What is found by name: the user's own as `module:name`, the package's own in its files."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from dilute.errors import DiluteError, one_line

Class = TypeVar("Class")


def imported(kind: str, name: str, error: type[DiluteError], form: str = "module:name") -> Any:
    """Return what `name` names; importing its module runs the module's code.

    Arguments:
        kind: what it is, for the message, as in "model".
        name: `module:name`; the module must be found on PYTHONPATH.
        error: the class of error to raise.
        form: what the message asks for.

    Errors: one of class `error`, if the module or the name in it cannot be imported.
    """
    module_name, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (Exception, SystemExit) as problem:  # whatever the user's module raises
        raise error(
            f"{kind} '{name}' cannot be imported ({one_line(problem)}); "
            f"it must be {form}, found on PYTHONPATH"
        ) from problem


def imported_class(
    kind: str, name: str, base: type[Class], error: type[DiluteError]
) -> type[Class]:
    """Return the class that `name` names, a subclass of `base`.

    Arguments: as for `imported`.

    Errors: one of class `error`, if it cannot be imported or is something else.
    """
    found = imported(kind, name, error, form="module:Class")
    if isinstance(found, type) and issubclass(found, base) and found is not base:
        return found
    shown = found.__name__ if isinstance(found, type) else f"of type {type(found).__name__}"
    home = base.__module__.rpartition(".")[0]  # the room whose file it is, where it is public
    raise error(f"{kind} '{name}' is {shown}; it must be a subclass of {home}.{base.__name__}")


def name_of(kind: str, thing: Any, error: type[DiluteError]) -> str:
    """Return the name `module:name` by which another process can import a class or function.

    Arguments:
        kind, error: as for `imported`.
        thing: a class or a function.

    Errors: one of class `error`, if it has no such name: it was defined within a function, in a
        script or in a notebook.
    """
    module = getattr(thing, "__module__", None)
    name = getattr(thing, "__qualname__", None)
    is_at_top = isinstance(name, str) and name.isidentifier()
    if not (module and is_at_top) or module in ("__main__", "__mp_main__"):
        raise error(
            f"{kind} {name or thing!r} cannot be named in a record; "
            "define it at the top of a module that other processes can import"
        )
    return f"{module}:{name}"


def files_of(package: str, *tables: str, first: Sequence[str] = ()) -> list[str]:
    """Return the modules of a package that assign one of `tables`, as `dilute.methods.gce`.

    None is imported: what lists nothing may be slow to import, and is left alone.

    Arguments:
        package: as `dilute.methods`.
        tables: names that are assigned at the top of a file.
        first: names of files that come first, in this order; all others follow by name.
    """
    home = find_spec(package)
    assert home is not None
    folder = Path((home.submodule_search_locations or [])[0])
    assigns = re.compile(rf"^({'|'.join(tables)})\b.*=", re.MULTILINE)
    names = sorted(
        file.name
        for file in pkgutil.iter_modules([str(folder)])
        if assigns.search(_source(folder / file.name, is_folder=file.ispkg))
    )
    ordered = [*first, *(name for name in names if name not in first)]
    return [f"{package}.{name}" for name in ordered]


def _source(module: Path, *, is_folder: bool) -> str:
    path = module / "__init__.py" if is_folder else module.with_suffix(".py")
    return path.read_text(encoding="utf-8")


def listed(package: str, table: str, first: Sequence[str] = ()) -> dict[str, Any]:
    """Return what the files of a package list by name, so that a new file needs no entry elsewhere.

    Arguments:
        package, first: as for `files_of`.
        table: name of the mapping that a file lists its own in.

    Errors: `ValueError` for a name that two files list.
    """
    found: dict[str, Any] = {}
    for file in files_of(package, table, first=first):
        own = getattr(importlib.import_module(file), table, {})
        if twice := found.keys() & own.keys():
            raise ValueError(f"{file} lists {', '.join(twice)}, as another file does; rename it")
        found |= own
    return found
