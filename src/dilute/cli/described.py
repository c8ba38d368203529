"""What the library's models and functions say of their fields, read from the source.

Importing them takes seconds, which help and slips of the pen need not wait for. Tests compare all
of it with the models themselves.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pathlib
import re
import typing
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, get_args, get_origin

from dilute.extensions import files_of

_PACKAGE = pathlib.Path(__file__).parents[1]
_BOUNDS = ("ge", "gt", "le", "lt")
_LIGHT = ("typing", "pathlib", "collections.abc")
"""Modules whose names are imported."""
MISSING = inspect.Parameter.empty


@dataclass(frozen=True)
class Described:
    """A field of a model, or an argument of a function.

    Arguments:
        type: as annotated; an `Unread` for what only an import could tell.
        default: `inspect.Parameter.empty` where a value is required.
        help: the field's description, else what the docstring says of it.
        bounds: as pydantic names them: `ge`, `gt`, `le`, `lt`.
    """

    name: str
    type: Any
    default: Any
    help: str
    bounds: dict[str, float] = field(default_factory=dict)

    @property
    def range(self) -> str:
        """Return the bounds in words, as `0 to below 1`; empty if there are none."""
        low, above = self.bounds.get("ge"), self.bounds.get("gt")
        most, below = self.bounds.get("le"), self.bounds.get("lt")
        end = f"{most:g}" if most is not None else f"below {below:g}" if below is not None else ""
        if low is not None:
            return f"{low:g} to {end}" if end else f"≥ {low:g}"
        if above is not None:
            return f"above {above:g} to {end}" if end else f"> {above:g}"
        return f"≤ {end}" if most is not None else end


class Unread:
    """A name that only an import could tell, and what it is called with."""

    def __init__(self, name: str, *args: Any, **keywords: Any) -> None:
        self.name, self.args, self.keywords = name, args, keywords

    def __call__(self, *args: Any, **keywords: Any) -> Unread:
        """Return the same, called with these values."""
        return Unread(self.name, *args, **keywords)

    def __getattr__(self, name: str) -> Unread:
        if name.startswith("_"):
            raise AttributeError(name)
        return Unread(name)

    def __getitem__(self, item: Any) -> Unread:
        return self

    def __or__(self, other: Any) -> Unread:
        return self

    __ror__ = __or__


@cache
def fields(module: str, name: str) -> dict[str, Described]:
    """Return the fields that class `name` of `module` (`dilute.…`) itself has, in order."""
    home, _, node = _Names(module).find(name)
    assert isinstance(node, ast.ClassDef)
    own = [
        item
        for item in node.body
        if isinstance(item, ast.AnnAssign)
        and not ast.unparse(item.annotation).startswith("ClassVar")
    ]
    places = [ast.arg(ast.unparse(item.target), item.annotation) for item in own]
    values = [item.value for item in own]
    return _described(home, node, ast.arguments([], [], None, places, values, None, []))


@cache
def arguments(module: str, name: str) -> dict[str, Described]:
    """Return the arguments of function `name` of `module`, as its signature and docstring say."""
    home, _, node = _Names(module).find(name)
    assert isinstance(node, ast.FunctionDef)
    return _described(home, node, node.args)


@cache
def constant(module: str, name: str) -> Any:
    """Return what is assigned to `name` in `module`, or where that imports it from.

    What the files of a package list (`extensions.listed`) is collected from them.
    """
    found = _Names(module)[name]
    if not (isinstance(found, Unread) and found.name == "listed"):
        return found
    package, table = found.args
    tables = [_Names(file)[table] for file in files_of(package, table, **found.keywords)]
    return {name: one for own in tables if isinstance(own, dict) for name, one in own.items()}


def names_of(package: str, class_name: str) -> list[str]:
    """Return what the files of a package and its folders call their objects of a class."""
    given = re.compile(rf'^\w+ = {class_name}\(\s*name="([^"]+)"', re.MULTILINE)
    files = sorted(_PACKAGE.joinpath(*package.split(".")[1:]).rglob("*.py"))
    return [name for file in files for name in given.findall(file.read_text(encoding="utf-8"))]


def choices(kind: Any) -> tuple[str, ...]:
    """Return the words that a `Literal` type allows, also as a part of a union."""
    if get_origin(kind) is typing.Literal:
        return tuple(word for word in get_args(kind) if isinstance(word, str))
    return tuple(word for part in get_args(kind) for word in choices(part))


def sections(docstring: str | None) -> dict[str, dict[str, str]]:
    """Return what a docstring says of each name, on one line, by the section's title.

    The text before the first section is under an empty title and name.
    """
    text = inspect.cleandoc(docstring or "") + "\n"
    found = re.findall(r"^([A-Z][\w ()]*):\n((?:    .*\n|\n)+)", text, re.MULTILINE)
    before = re.split(r"^[A-Z][\w ()]*:\n    ", text, maxsplit=1, flags=re.MULTILINE)[0]
    entries = re.compile(r"^    (\w[\w, ]*): (.*(?:\n        .*)*)", re.MULTILINE)
    return {
        "": {"": before.strip()},
        **{
            title: {
                name: " ".join(said.split())
                for names, said in entries.findall(body)
                for name in names.split(", ")
            }
            for title, body in found
        },
    }


class _Names(dict[str, Any]):
    """The names of a module, each evaluated when it is asked for."""

    def __init__(self, module: str) -> None:
        super().__init__()
        self.module = module

    def find(self, name: str) -> tuple[_Names, str, ast.stmt | None]:
        """Return where in this package a name is bound, how it is called there, and by what."""
        found = _bindings(self.module).get(name)
        if isinstance(found, ast.ImportFrom):
            module = found.module or ""
            if module.startswith("dilute.") and module != self.module:
                return _Names(module).find(found.names[0].name)
        return self, name, found

    def __missing__(self, name: str) -> Any:
        home, name, found = self.find(name)
        if found is None and home is self:
            raise KeyError(name)  # a builtin
        if isinstance(found, ast.ImportFrom) and found.module in _LIGHT:
            return getattr(importlib.import_module(found.module), found.names[0].name)
        return home.run(found)[name] if isinstance(found, ast.Assign) else Unread(name)

    def run(self, statement: ast.stmt) -> dict[str, Any]:
        """Return what a statement binds among the names of the module."""
        code = ast.fix_missing_locations(ast.Module([statement], []))
        bound = _Names(self.module)
        exec(compile(code, self.module, "exec", dont_inherit=True), bound)
        return bound


def _described(
    home: _Names, node: ast.ClassDef | ast.FunctionDef, arguments: ast.arguments
) -> dict[str, Described]:
    (function,) = ast.parse("def function(): pass").body
    assert isinstance(function, ast.FunctionDef)
    function.args = arguments
    said = sections(ast.get_docstring(node)).get("Arguments", {})
    parameters = inspect.signature(home.run(function)["function"]).parameters.values()
    return {one.name: _of_parameter(one, said.get(one.name, "")) for one in parameters}


def _of_parameter(one: inspect.Parameter, said: str) -> Described:
    kind, default = one.annotation, one.default
    extras: list[Any] = []
    if get_origin(kind) is Annotated:
        kind, *extras = get_args(kind)
    keywords: dict[str, Any] = {}
    for extra in (*extras, default):
        if isinstance(extra, Unread) and extra.name.lower() == "field":
            keywords |= extra.keywords
            if extra is default:
                default = extra.args[0] if extra.args else keywords.get("default", MISSING)
    bounds = {end: keywords[end] for end in _BOUNDS if end in keywords}
    kind = str if kind is MISSING else kind
    return Described(one.name, kind, default, keywords.get("description") or said, bounds)


@cache
def _bindings(module: str) -> dict[str, ast.stmt]:
    """Return what binds each name at the top of a module of this package."""
    path = _PACKAGE.joinpath(*module.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    bound: dict[str, ast.stmt] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.ClassDef() | ast.FunctionDef():
                bound[node.name] = node
            case ast.ImportFrom():
                for alias in node.names:
                    bound[alias.asname or alias.name] = ast.ImportFrom(node.module, [alias], 0)
            case ast.Import():
                bound |= {alias.asname or alias.name: node for alias in node.names}
            case ast.AnnAssign(value=ast.expr() as value):
                bound[ast.unparse(node.target)] = ast.Assign([node.target], value)
            case ast.Assign():
                names = [one for one in ast.walk(node.targets[0]) if isinstance(one, ast.Name)]
                bound |= {one.id: node for one in names}
    return bound
