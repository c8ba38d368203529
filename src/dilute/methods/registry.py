"""Methods by name: how a user may spell one, and how records write it."""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import ValidationError

from dilute.errors import SpecError, unknown_name, validation_line
from dilute.extensions import imported_class, listed, name_of
from dilute.methods.matrices import MatrixMethod
from dilute.methods.method import Method

PLAIN = "cross_entropy"
"""How the paper trains."""

METHODS: dict[str, type[Method]] = listed(
    "dilute.methods",
    "METHODS",
    first=(
        "cross_entropy",
        "label_smoothing",
        "bootstrapping",
        "correction",
        "mae",
        "gce",
        "sce",
        "mixup",
        "elr",
        "co_teaching",
        "em",
        "neighbours",
    ),
)
"""The methods that come with the package, each listed as `METHODS` by its own file.

Files are in the order in which methods are shown; one that is not named here comes after them.
Others are named `module:Class`.
"""

_KNOWN, _ESTIMATED = "_known", "_estimated"
_NAMES = {kind: name for name, kind in METHODS.items()}

METHOD_NAMES: tuple[str, ...] = tuple(
    name + suffix
    for name, kind in METHODS.items()
    for suffix in ((_KNOWN, _ESTIMATED) if issubclass(kind, MatrixMethod) else ("",))
)
"""Every method as records write it: one with a matrix is there as `…_known` and `…_estimated`."""


class Description(NamedTuple):
    """A method in words: its title, and what it knows."""

    title: str
    knows: str


def make_method(name: str, /, **options: Any) -> Method:
    """Return a method by its name.

    Arguments:
        name: a key of `METHODS`; one of `METHOD_NAMES`, where `forward_known` stands for `forward`
            with `matrix = "known"`; or `module:Class` for a subclass of `Method` of your own.
        options: fields of the method; what is not given has its default.

    Errors: `SpecError` for an unknown name, an option that has no meaning for the method, or a
        value out of range.
    """
    kind, matrix = _found(name)
    fields = _meaningful(kind, matrix)
    unused = sorted(set(options) - set(fields))
    if unused:
        raise SpecError(
            f"{', '.join(unused)} has no meaning for method {name}, "
            + (f"which takes {', '.join(fields)}" if fields else "which takes no options")
        )
    if matrix is not None:
        if options.get("matrix") is None:
            options["matrix"] = matrix
        elif options["matrix"] == "estimated":
            raise SpecError(f"method {name} has a known matrix; leave matrix = estimated out")
    try:
        return kind(**options)
    except ValidationError as error:
        raise SpecError(f"method {name}: {validation_line(error)}") from None


def written(method: Method) -> tuple[str, dict[str, Any]]:
    """Return a method's name and options as records write them.

    Equal methods are written alike, however the user spelled them: names are those of
    `METHOD_NAMES` or `module:Class`; options that have their defaults are left out.

    Errors: `SpecError` for a class that other processes cannot import.
    """
    kind = type(method)
    options = method.model_dump(mode="json", exclude_defaults=True)
    if kind not in _NAMES:
        return name_of("method", kind, SpecError), options
    name = _NAMES[kind]
    if not isinstance(method, MatrixMethod):
        return name, options
    if method.rows is None:
        options.pop("matrix", None)
    return name + (_ESTIMATED if method.estimates else _KNOWN), options


def describe_method(name: str, options: dict[str, Any] | None = None) -> Description:
    """Return title and knowledge of a method by its name and options as a record has them.

    A method that is not there, as one of a user's that cannot be imported here, goes by its name.
    """
    try:
        method = make_method(name, **(options or {}))
    except SpecError:
        return Description(name, "unknown")
    return Description(method.title, method.knows)


def _found(name: str) -> tuple[type[Method], str | None]:
    """Return the class, and the matrix that the name stands for if it stands for one."""
    if name in METHODS:
        return METHODS[name], None
    if name in METHOD_NAMES:
        base, _, matrix = name.rpartition("_")
        return METHODS[base], matrix
    if ":" in name:
        return imported_class("method", name, Method, SpecError), None
    known = dict.fromkeys([*METHODS, *METHOD_NAMES])
    raise SpecError(unknown_name("method", name, known) + "; or module:Class for your own")


def _meaningful(kind: type[Method], matrix: str | None) -> list[str]:
    """Return the options of a method; without those that have no meaning for that matrix."""
    fields = list(kind.model_fields)
    if matrix is None or not issubclass(kind, MatrixMethod):
        return fields
    unused = {"matrix"} if matrix == "estimated" else kind.only_estimated
    return [field for field in fields if field not in unused]
