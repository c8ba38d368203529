"""Groups of options that commands share, generated from the library's models.

Each is a decorator: `@options.noise` gives a command all options of the noise and its function a parameter `noise`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from dilute.cli import described, values
from dilute.cli.described import Described
from dilute.cli.groups import MISSING, Given, Group, Option, excludes, flag, needs, refuses

__all__ = ["Given", "flag", "refuses"]

NOISE, TRAINING, EVALUATION, DATA = "Noise", "Training", "Evaluation", "Data"
MACHINE, OUTPUT = "Machine", "Output"

_READ: dict[str, Callable[[Any], Any]] = {
    "copies": values.copies,
    "class_order": values.class_order,
    "class_map": values.class_map,
    "confusion": values.matrix,
    "rows": values.matrix,
}
_FLAGS = {
    "test_curve": "--test-at-end",
    "budget_steps": "--steps",
    "budget_epochs": "--epochs",
    "budget_examples": "--examples",
    "checkpoint_every_steps": "--checkpoint-every",
    "num_images": "--images",
    "rows": "--confusion",
}
"""Options that are not called as the field that they give."""
_HELP = {
    "test_curve": "Evaluate the test set at the end alone, not at every curve point.",
    "method_options": "An option of the method, as q=0.5 or matrix=FILE. Repeatable.",
}
"""What an option is for, where that is not what its field says."""
_LEAST = {
    "checkpoint_every_steps": 1,
    "loader_workers": 0,
    "micro_batch_size": 1,
    "num_images": 64,
    "silence_seconds": 1,
    "threads": 1,
    "workers": 1,
}
"""Lower ends of ranges that plain dataclasses and arguments do not say."""


def option(
    field: Described,
    panel: str,
    *,
    help: str = "",
    metavar: str | None = None,
    default: object = None,
) -> Option:
    """Return the option that gives a field of a model.

    Arguments:
        default: to show instead of the field's own.
    """
    name = _called(field.name)
    kind, read = _kind(field.type), _READ.get(field.name)
    help = help or _HELP.get(field.name) or _sentence(field.help)
    least = field.bounds.get("ge", _LEAST.get(field.name))
    is_switch = kind is bool and field.default in (None, False, True) and not _has_three(field)
    if is_switch:
        off = field.default is True or get_args(field.type)[:1] == (False,)
        read = (lambda value: not value) if off else None
    shown = default if default is not None else field.default
    names = [name for name in described.choices(field.type) if name not in help]
    notes = [_any_of(described.choices(field.type)) if names else ""]
    notes.append(field.range or ("" if least is None else f"≥ {least:g}"))
    if not is_switch and shown not in (None, MISSING):
        notes.append(f"default: {f'{shown:g}' if isinstance(shown, float) else shown}")
    return Option(
        name,
        Path if read is values.matrix else bool if is_switch else kind,
        False if is_switch else field.default,
        help,
        panel,
        metavar=metavar,
        flag=flag(name) + (f"/--no-{name.replace('_', '-')}" if _has_three(field) else ""),
        note="; ".join(note for note in notes if note),
        field=field.name,
        read=read,
        minimum=int(least) if kind is int and least is not None else None,
    )


def _kind(type_: Any) -> Any:
    """Return the type of the text of an option: int, float, bool, Path, or str for all others."""
    parts = [part for part in get_args(type_) if part is not type(None)]
    if type_ in (int, float, bool, Path):
        return type_
    if Path in parts:
        return Path
    if len(parts) == 1 and not described.choices(type_):
        return bool if isinstance(parts[0], bool) else _kind(parts[0])
    return str


def _has_three(field: Described) -> bool:
    """Return whether a field is true, false, or left to the library."""
    return bool in get_args(field.type) and field.default is None


def _any_of(names: Iterable[str]) -> str:
    *most, last = names or ("",)
    return f"{', '.join(most)} or {last}" if most else last


def _sentence(text: str) -> str:
    """Return a description as a sentence; a name at its beginning keeps its form."""
    is_name = "_" in text.partition(" ")[0] or text.startswith("`")
    text = text.replace("`", "")
    text = text if is_name else text[:1].upper() + text[1:]
    return text if text.endswith(".") else f"{text}."


def single(name: str, make: Callable[[], Option]) -> Group:
    """Return the group of one option, whose value is the option's."""
    return Group(name, lambda: [make()], lambda given: given[name])


def argument(module: str, function: str, name: str, panel: str = "", *, help: str = "") -> Group:
    """Return the group of one option, which is an argument of a function of the library."""
    return single(
        _called(name), lambda: option(described.arguments(module, function)[name], panel, help=help)
    )


def _called(field: str) -> str:
    """Return the name of the option that gives a field."""
    return _FLAGS.get(field, flag(field))[2:].replace("-", "_")


def _names_of(module: str, table: str) -> str:
    return ", ".join(described.constant(module, table))


# What to train on


def _data_help() -> str:
    forms = (
        f"{form}:{own.args[0]}" for form, own in described.constant("dilute.data", "OWN").items()
    )
    return f"A known name (dilute data list), or {_any_of(forms)}."


data = single(
    "data", lambda: Option("data", str, MISSING, _data_help(), "", metavar="DATA", argument=True)
)


def _reading_options() -> list[Option]:
    return [
        option(field, DATA) for field in described.fields("dilute.data.reading", "Reading").values()
    ]


def _reading(given: Given) -> Any:
    from dilute.data.reading import Reading

    return Reading(**given.fields(_reading_options()))


reading = Group("reading", _reading_options, _reading)


# Which noise


def _patterns() -> dict[str, dict[str, Described]]:
    """Return the fields of each noise pattern by its name."""
    patterns = described.constant("dilute.noise", "PATTERNS")
    return {
        name: {
            field.name: field
            for field in described.fields("dilute.noise", pattern.name).values()
            if field.name != "pattern"
        }
        for name, pattern in patterns.items()
    }


def _default_pattern() -> str:
    default = described.fields("dilute.runs.spec", "RunSpec")["noise"].default
    patterns = described.constant("dilute.noise", "PATTERNS")
    return next(str(name) for name, pattern in patterns.items() if pattern.name == default.name)


def _pattern_options() -> list[Option]:
    patterns = _patterns()
    chosen = _default_pattern()
    found = {
        "noise": Option(
            "noise",
            str,
            chosen,
            f"{_any_of(patterns)}; or module:Class.",
            NOISE,
            metavar="PATTERN",
            note=f"default: {chosen}",
        )
    }
    users: dict[str, list[str]] = {}
    for pattern, fields in patterns.items():
        for field in fields.values():
            one = option(field, NOISE)
            users.setdefault(one.name, []).append(pattern)
            found.setdefault(one.name, one)
    for name, names in users.items():
        one = found[name]
        found[name] = replace(one, help=f"{', '.join(names)}: {one.help}", default=None, field=name)
    found["noise_option"] = Option(
        "noise_option",
        list[str],
        None,
        "An option of a pattern of your own. Repeatable.",
        NOISE,
        metavar="NAME=VALUE",
        read=values.noise_options,
    )
    return list(found.values())


def _pattern(given: Given) -> Any:
    from dilute.noise import make_pattern

    name = given["noise"]
    options = given.fields([one for one in _pattern_options() if one.name != "noise"])
    options |= options.pop("noise_option", {})
    if "confusion" in options and "rows" in _patterns().get(name, {}):
        options["rows"] = options.pop("confusion")
    return make_pattern(name, **options)


def _noise_options() -> list[Option]:
    spec = described.fields("dilute.runs.spec", "RunSpec")
    amounts = [option(spec[name], NOISE) for name in ("alpha", "rate")]
    return [*amounts, *_pattern_options(), option(spec["noisy_images"], NOISE)]


def _noise(given: Given) -> dict[str, Any]:
    names = ("alpha", "rate", "noisy_images")
    found = given.fields([one for one in _noise_options() if one.name in names])
    return {**found, "noise": _pattern(given)}


def _pattern_names() -> tuple[str, ...]:
    return tuple(one.name for one in _pattern_options())


def _without_amount(given: Given) -> str | None:
    """Refuse a pattern of noise that there is none of."""
    return needs(_pattern_names(), "alpha", "rate")(given)


pattern = Group("pattern", _pattern_options, _pattern)
noise = Group("noise", _noise_options, _noise, (_without_amount,))


# Which model, how to train it


def _model_option() -> Option:
    field = described.fields("dilute.runs.spec", "RunSpec")["model"]
    names = f"{_names_of('dilute.models', 'MODELS')}, or module:callable."
    return option(field, TRAINING, help=names, metavar="MODEL")


def _seed_option() -> Option:
    return option(described.fields("dilute.runs.spec", "RunSpec")["seed"], TRAINING)


_PANELS = {
    "num_clean": DATA,
    "curve_points": EVALUATION,
    "test_curve": EVALUATION,
    "log_gradients": EVALUATION,
    "heldout_fraction": EVALUATION,
    "heldout_labels": EVALUATION,
}
_NO_OPTION = (
    "data",
    "alpha",
    "rate",
    "noise",
    "noisy_images",
    "labels_hash",
    "heldout_hash",
    "model",
    "seed",
)


def _recipe_options() -> list[Option]:
    spec = described.fields("dilute.runs.spec", "RunSpec")
    recipe = described.fields("dilute.training.recipe", "Recipe")
    found = [_model_option()]
    for field in [*recipe.values(), *spec.values()]:
        if field.name in _NO_OPTION:
            continue
        one = option(field, _PANELS.get(field.name, TRAINING), default=_usual(field.name))
        if field.name == "method":
            one = replace(
                one,
                metavar="METHOD",
                help=f"{_names_of('dilute.methods', 'METHODS')}, or module:Class.",
            )
        if field.name == "method_options":
            one = replace(
                one,
                name="method_option",
                type=list[str],
                flag="--method-option",
                metavar="NAME=VALUE",
                read=values.method_options,
            )
        found.append(one)
    return [*found, _seed_option()]


def _usual(name: str) -> str | None:
    """Return the default of a field of `Recipe` that depends on others, to show."""
    module = "dilute.training.recipe"
    if name == "budget_steps":
        return f"{described.constant(module, '_DEFAULT_BUDGET_STEPS')} if no budget is given"
    table = described.constant(module, "_DEFAULTS")
    if name == "epsilon":
        table = described.constant(module, "_DEFAULT_EPSILON")
        table = {optimizer: {"epsilon": value} for optimizer, value in table.items()}
    own = {optimizer: fields[name] for optimizer, fields in table.items() if name in fields}
    return ", ".join(f"{value:g} for {optimizer}" for optimizer, value in own.items()) or None


model = single("model", _model_option)
seed = single("seed", _seed_option)
num_clean = single(
    "num_clean", lambda: option(described.fields("dilute.runs.spec", "RunSpec")["num_clean"], DATA)
)
recipe = Group("recipe", _recipe_options, lambda given: given.fields(_recipe_options()))


# Where and with what


_EXECUTION = ("checkpoint_every_steps", "device", "threads", "micro_batch_size", "loader_workers")


def _execution_options() -> list[Option]:
    fields = described.fields("dilute.runs.running", "Execution")
    return [option(fields[name], MACHINE) for name in _EXECUTION]


execution = Group("execution", _execution_options, lambda given: given.fields(_execution_options()))
device = single("device", lambda: _execution_options()[1])
threads = single("threads", lambda: _execution_options()[2])


def _engine_options() -> list[Option]:
    fields = described.fields("dilute.sweeps.ray_crew", "Cluster")
    engine = Option(
        "engine",
        str,
        "local",
        "Who does the runs: processes here, or a cluster.",
        MACHINE,
        note=f"{_any_of(_ENGINES)}; default: {_ENGINES[0]}",
    )
    own = [option(fields[name], MACHINE) for name in ("address", "gpus_per_run")]
    return [engine, *(replace(one, help=f"ray: {one.help}") for one in own)]


_ENGINES = ("local", "ray")


def _cluster(given: Given) -> Any:
    """Return the cluster that the options describe, None for processes on this machine.

    Errors: `SpecError` for an unknown engine.
    """
    from dilute.errors import SpecError, unknown_name
    from dilute.sweeps import Cluster

    if given["engine"] not in _ENGINES:
        raise SpecError(unknown_name("engine", given["engine"], _ENGINES))
    if given["engine"] == "local":
        return None
    return Cluster(**given.fields(_engine_options()[1:]))


def _local(given: Given) -> str | None:
    return "--engine local" if given["engine"] == "local" else None


engine = Group("cluster", _engine_options, _cluster, (excludes(_local, "address", "gpus_per_run"),))


_SWEEPING = ("workers", "threads", "device", "retry_failed", "loader_workers", "hang_seconds")


def _sweeping_options() -> list[Option]:
    found = described.arguments("dilute.sweeps.engine", "run_sweep")
    return [option(found[name], MACHINE) for name in _SWEEPING] + _engine_options()


def _sweeping(given: Given) -> dict[str, Any]:
    return {**{name: given[name] for name in _SWEEPING}, "cluster": _cluster(given)}


sweeping = Group("sweeping", _sweeping_options, _sweeping, engine.rules)
workers = single("workers", lambda: _sweeping_options()[0])


# What comes out


store = single(
    "store",
    lambda: Option(
        "store",
        str,
        "runs",
        "Folder of records, or s3://… or gs://…: answered from, and written to.",
        OUTPUT,
        metavar="FOLDER",
        note="default: runs",
    ),
)
json = single(
    "json",
    lambda: Option("json", bool, False, "Print one JSON document on standard output.", OUTPUT),
)
picture = Group(
    "picture",
    lambda: [Option("picture", Path, None, "Draw the result into this .png or .svg file.", OUTPUT)],
    lambda given: values.picture(given["picture"]),
)
