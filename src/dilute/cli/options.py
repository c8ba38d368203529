"""Groups of options that commands share, generated from the library's models.

Each is a decorator: `@options.noise` gives a command the options of the noise, and its function
a parameter `noise`. A new field of `Recipe`, `RunSpec` or `Reading` is an option without a change
here.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from dilute.cli import described, values
from dilute.cli.described import MISSING, Described
from dilute.cli.from_models import any_of, argument, option, single
from dilute.cli.groups import Given, Group, Option, excludes, flag, needs, refuses

__all__ = ["Given", "argument", "flag", "refuses", "single"]

NOISE, TRAINING, EVALUATION, DATA = "Noise", "Training", "Evaluation", "Data"
MACHINE, OUTPUT = "Machine", "Output"


def _spec() -> dict[str, Described]:
    return described.fields("dilute.runs", "RunSpec")


# What to train on


def _data_help() -> str:
    forms = (
        f"{form}:{own.args[0]}" for form, own in described.constant("dilute.data", "OWN").items()
    )
    return f"A known name (dilute data list), or {any_of(forms)}."


data = single(
    "data", lambda: Option("data", str, MISSING, _data_help(), "", metavar="DATA", argument=True)
)


def _reading_options() -> list[Option]:
    return [option(field, DATA) for field in described.fields("dilute.data", "Reading").values()]


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


def _pattern_options() -> list[Option]:
    patterns = _patterns()
    field = _spec()["noise"]
    names = described.constant("dilute.noise", "PATTERNS").items()
    usual = next(str(name) for name, pattern in names if pattern.name == field.default.name)
    found = {"noise": replace(option(field, NOISE, default=usual), default=usual)}
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
    spec = _spec()
    amounts = [option(spec[name], NOISE) for name in ("alpha", "rate")]
    return [*amounts, *_pattern_options(), option(spec["noisy_images"], NOISE)]


def _noise(given: Given) -> dict[str, Any]:
    names = ("alpha", "rate", "noisy_images")
    found = given.fields([one for one in _noise_options() if one.name in names])
    return {**found, "noise": _pattern(given)}


pattern = Group("pattern", _pattern_options, _pattern)
noise = Group("noise", _noise_options, _noise, (needs([pattern], "alpha", "rate"),))


# Which model, how to train it


_PANELS = {
    "num_clean": DATA,
    "curve_points": EVALUATION,
    "test_curve": EVALUATION,
    "log_gradients": EVALUATION,
    "heldout_fraction": EVALUATION,
    "heldout_labels": EVALUATION,
}
_NO_OPTION = ("data", "alpha", "rate", "noise", "noisy_images", "labels_hash", "heldout_hash")


def _recipe_options() -> list[Option]:
    recipe = described.fields("dilute.training", "Recipe")
    fields = [_spec()["model"], *recipe.values(), *_spec().values()]
    return [
        option(field, _PANELS.get(field.name, TRAINING), default=_usual(field.name))
        for field in fields
        if field.name not in _NO_OPTION
    ]


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


model = single("model", lambda: option(_spec()["model"], TRAINING))
seed = single("seed", lambda: option(_spec()["seed"], TRAINING))
num_clean = single("num_clean", lambda: option(_spec()["num_clean"], DATA))
recipe = Group("recipe", _recipe_options, lambda given: given.fields(_recipe_options()))


# Where and with what


_NOT_TYPED = ("checkpoint", "on_step", "should_stop", "world")


def _execution_options() -> list[Option]:
    fields = described.fields("dilute.runs", "Execution")
    return [option(field, MACHINE) for name, field in fields.items() if name not in _NOT_TYPED]


execution = Group("execution", _execution_options, lambda given: given.fields(_execution_options()))
device = single("device", lambda: _execution_options()[0])
threads = single("threads", lambda: _execution_options()[1])


def _engine_options() -> list[Option]:
    fields = described.fields("dilute.sweeps", "Cluster")
    engine = Option(
        "engine",
        str,
        "local",
        "Who does the runs: processes here, or a cluster.",
        MACHINE,
        note=f"{any_of(_ENGINES)}; default: {_ENGINES[0]}",
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
    found = described.arguments("dilute.sweeps", "run_sweep")
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
