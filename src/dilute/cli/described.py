"""What the library's models say of their fields, read from the source.

Importing them takes seconds, which help and slips of the pen need not wait for.

A test compares all of it with the models themselves.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import pathlib
import typing
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, get_args, get_origin

from dilute.extensions import files_of

_PACKAGE = pathlib.Path(__file__).parents[1]
_BOUNDS = ("ge", "gt", "le", "lt")
MISSING = inspect.Parameter.empty


@dataclass(frozen=True)
class Described:
    """A field of a model.

    Arguments:
        type: as annotated; an `Unread` for what only an import could tell.
        default: `inspect.Parameter.empty` where a value is required.
        help: the field's description, else what the class's docstring says of it.
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
    names, node = _Names(module).find(name)
    assert isinstance(node, ast.ClassDef)
    said = _arguments(ast.get_docstring(node) or "")
    return {
        item.target.id: _described(item, names, said)
        for item in node.body
        if isinstance(item, ast.AnnAssign)
        and isinstance(item.target, ast.Name)
        and not ast.unparse(item.annotation).startswith("ClassVar")
    }


@cache
def arguments(module: str, name: str) -> dict[str, Described]:
    """Return the arguments of function `name` of `module`, as its signature and docstring say."""
    names = _Names(module)
    home, node = names.find(name)
    assert isinstance(node, ast.FunctionDef)
    said = _arguments(ast.get_docstring(node) or "")
    places, keywords = node.args.args, node.args.kwonlyargs
    values: list[ast.expr | None] = [None] * (len(places) - len(node.args.defaults))
    values += [*node.args.defaults, *node.args.kw_defaults]
    return {
        one.arg: Described(
            one.arg,
            home.value(one.annotation) if one.annotation else str,
            MISSING if value is None else home.value(value),
            said.get(one.arg, ""),
        )
        for one, value in zip([*places, *keywords], values, strict=True)
    }


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


def choices(kind: Any) -> tuple[str, ...]:
    """Return the words that a `Literal` type allows, also as a part of a union."""
    if get_origin(kind) is typing.Literal:
        return tuple(word for word in get_args(kind) if isinstance(word, str))
    return tuple(word for part in get_args(kind) for word in choices(part))


class _Names(dict[str, Any]):
    """The names of a module, each evaluated when it is asked for."""

    def __init__(self, module: str) -> None:
        super().__init__()
        self.module = module

    def find(self, name: str) -> tuple[_Names, ast.stmt | None]:
        """Return what binds `name`, and the names of the module of this package where it is."""
        found = _module(self.module).get(name)
        if isinstance(found, ast.ImportFrom) and (found.module or "").startswith("dilute."):
            return _Names(found.module or "").find(_real_name(found, name))
        return self, found

    def __missing__(self, name: str) -> Any:
        found = _module(self.module).get(name)
        if isinstance(found, ast.ImportFrom) and found.module:
            if _is_module(f"{found.module}.{_real_name(found, name)}"):
                return Unread(name)
            if found.module.startswith("dilute."):
                return _Names(found.module)[_real_name(found, name)]
            if found.module in ("typing", "pathlib", "collections.abc"):
                return getattr(__import__(found.module, fromlist=[name]), name)
        if isinstance(found, ast.Assign | ast.AnnAssign) and found.value is not None:
            return self.value(found.value)
        return getattr(builtins, name) if found is None else Unread(name)

    def value(self, node: ast.AST) -> Any:
        """Return the value of an expression of the module."""
        assert isinstance(node, ast.expr)
        return eval(compile(ast.Expression(node), self.module, "eval"), {}, self)


def _described(node: ast.AnnAssign, names: _Names, said: dict[str, str]) -> Described:
    assert isinstance(node.target, ast.Name)
    name = node.target.id
    kind, extras = names.value(node.annotation), []
    if get_origin(kind) is Annotated:
        kind, *extras = get_args(kind)
    default: Any = MISSING if node.value is None else names.value(node.value)
    keywords: dict[str, Any] = {}
    for one in (*extras, default):
        if isinstance(one, Unread) and one.name.lower() == "field":
            keywords |= one.keywords
            if one is default:
                default = one.args[0] if one.args else one.keywords.get("default", MISSING)
    bounds: dict[str, float] = {end: keywords[end] for end in _BOUNDS if end in keywords}
    return Described(name, kind, default, keywords.get("description") or said.get(name, ""), bounds)


def _is_module(name: str) -> bool:
    """Return whether `dilute.…` names a module, and not something in one."""
    path = _PACKAGE.joinpath(*name.split(".")[1:])
    return name.startswith("dilute.") and (path.is_dir() or path.with_suffix(".py").exists())


@cache
def _module(name: str) -> dict[str, ast.stmt]:
    """Return what binds each name at the top of a module of this package."""
    path = _PACKAGE.joinpath(*name.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    bound: dict[str, ast.stmt] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            bound[node.name] = node
        elif isinstance(node, ast.ImportFrom):
            bound |= {alias.asname or alias.name: node for alias in node.names}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            bound[node.target.id] = node
        elif isinstance(node, ast.Assign):
            bound |= _assigned(node.targets[0], node.value)
        elif isinstance(node, ast.Import):
            bound |= {alias.asname or alias.name: node for alias in node.names}
    return bound


def _assigned(target: ast.expr, value: ast.expr) -> dict[str, ast.stmt]:
    """Return an assignment for each name of one, as `a, b = 1, 2` has two."""
    if isinstance(target, ast.Name):
        return {target.id: ast.Assign([target], value)}
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        pairs = zip(target.elts, value.elts, strict=True)
        return {name: node for pair in pairs for name, node in _assigned(*pair).items()}
    return {}


def _real_name(node: ast.ImportFrom, name: str) -> str:
    return next(alias.name for alias in node.names if name in (alias.asname, alias.name))


def _arguments(docstring: str) -> dict[str, str]:
    """Return what a docstring says of each argument, on one line."""
    found: dict[str, str] = {}
    lines = iter(inspect.cleandoc(docstring).splitlines())
    for line in lines:
        if line.startswith("Arguments"):
            break
    last = ""
    for line in lines:
        text = line.strip()
        if not line.startswith("    ") and text:
            break
        if line.startswith("        "):
            found[last] += f" {text}"
        elif text:
            last, _, said = text.partition(": ")
            found[last] = said
    return {
        name: " ".join(text.split()) for names, text in found.items() for name in names.split(", ")
    }
