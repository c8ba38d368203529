"""Groups of options that commands share, generated from the library's models.

Each is a decorator: `@options.noise` gives a command the options of the noise, and its function
a parameter `noise`. A new field of `Recipe`, `RunSpec` or `Reading` is an option without a change
here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dilute.cli import described
from dilute.cli.described import MISSING, Described
from dilute.cli.from_models import any_of, argument, option
from dilute.cli.groups import (
    ARGUMENTS,
    Given,
    Group,
    Option,
    excludes,
    flag,
    needs,
    refuses,
    single,
)
from dilute.cli.pages import DATA, EVALUATION, MACHINE, NOISE, OUTPUT, TRAINING

if TYPE_CHECKING:
    import torch

__all__ = ["Given", "argument", "flag", "refuses"]


def _of_spec(name: str, panel: str) -> Option:
    return option(described.fields("dilute.runs", "RunSpec")[name], panel)


# What to train on


def _data() -> Option:
    own = described.constant("dilute.data", "OWN").items()
    forms = any_of(f"{form}:{what.args[0]}" for form, what in own)
    text = f"A known name (dilute data list), or {forms}."
    return option(Described("data", str, MISSING, text), ARGUMENTS)


def _reading_options() -> list[Option]:
    return [option(field, DATA) for field in described.fields("dilute.data", "Reading").values()]


def _reading(given: Given) -> Any:
    from dilute.data.reading import Reading

    return Reading(**given.fields(_reading_options()))


data = single("data", _data)
reading = Group("reading", _reading_options, _reading)
num_clean = single("num_clean", lambda: _of_spec("num_clean", DATA))


# Which noise


_OF_FILES = ("class_names", "is_law")
"""Fields of patterns that a file says in itself."""


def _patterns() -> dict[str, list[Described]]:
    """Return the fields of each noise pattern by its name, none of them required."""
    return {
        name: [
            replace(field, default=None if field.default is MISSING else field.default)
            for field in described.fields("dilute.noise", pattern.name).values()
            if field.name not in ("pattern", *_OF_FILES)
        ]
        for name, pattern in described.constant("dilute.noise", "PATTERNS").items()
    }


def _pattern_options() -> list[Option]:
    which = described.fields("dilute.runs", "RunSpec")["noise"]
    patterns = described.constant("dilute.noise", "PATTERNS").items()
    usual = next(name for name, pattern in patterns if pattern.name == which.default.name)
    users: dict[str, list[str]] = {}
    found: dict[str, Option] = {}
    for pattern, fields in _patterns().items():
        for field in fields:
            one = option(field, NOISE)
            users.setdefault(one.name, []).append(pattern)
            found.setdefault(one.name, one)
    own = Described("noise_options", dict[str, str], None, "")
    return [
        replace(option(which, NOISE, default=usual), default=usual),
        *(
            replace(one, help=f"{', '.join(users[name])}: {one.help}", default=None, field=name)
            for name, one in found.items()
        ),
        option(own, NOISE, help="An option of a pattern of your own. Repeatable."),
    ]


def _pattern(given: Given) -> Any:
    from dilute.noise import make_pattern

    options = given.fields(_pattern_options())
    options.pop("noise", None)
    options |= options.pop("noise_options", {})
    has_rows = any(field.name == "rows" for field in _patterns().get(given["noise"], []))
    if "confusion" in options and has_rows:
        options["rows"] = options.pop("confusion")
    return make_pattern(given["noise"], **options)


def _amounts() -> list[Option]:
    return [_of_spec(name, NOISE) for name in ("alpha", "rate", "noisy_images")]


def _noise_options() -> list[Option]:
    alpha, rate, noisy_images = _amounts()
    return [alpha, rate, *_pattern_options(), noisy_images]


def _noise(given: Given) -> dict[str, Any]:
    return {**given.fields(_amounts()), "noise": _pattern(given)}


pattern = Group("pattern", _pattern_options, _pattern)
noise = Group("noise", _noise_options, _noise, (needs([pattern], "alpha", "rate"),))


def _set_options() -> list[Option]:
    return [_data(), _of_spec("model", TRAINING), *_noise_options(), _of_spec("seed", TRAINING)]


def _set(given: Given) -> Any:
    from dilute.runs import RunSpec

    return RunSpec(**{name: given[name] for name in ("data", "model", "seed")}, **_noise(given))


noisy_set = Group("spec", _set_options, _set, noise.rules)
"""A noisy set and a model for it, as a `RunSpec`."""


# Which model, how to train it


_PANELS = {
    "num_clean": DATA,
    "curve_points": EVALUATION,
    "test_curve": EVALUATION,
    "log_gradients": EVALUATION,
    "heldout_fraction": EVALUATION,
    "heldout_labels": EVALUATION,
}
_OWN = ("labels_hash", "heldout_hash", "as_given")
_NO_OPTION = ("data", "alpha", "rate", "noise", "noisy_images", *_OWN)


def _recipe_options() -> list[Option]:
    spec = described.fields("dilute.runs", "RunSpec")
    recipe = described.fields("dilute.training", "Recipe")
    # With a preset it need not be given.
    own = replace(spec["model"], default=None)
    model = option(own, TRAINING, default="the preset's")
    others = [
        option(field, _PANELS.get(name, TRAINING), default=_usual(field))
        for name, field in {**recipe, **spec}.items()
        if name not in (*_NO_OPTION, "model")
    ]
    return [model, _preset(), *others]


def _preset() -> Option:
    own = described.constant("dilute.runs.presets", "PRESETS").items()
    names = "; ".join(f"{name}: {preset.args[0]}" for name, preset in own)
    text = f"Network and recipe by name, which other options change. {names}."
    return option(Described("preset", str | None, None, ""), TRAINING, help=text)


def _with_preset(fields: dict[str, Any]) -> dict[str, Any]:
    from dilute.runs import with_preset

    return with_preset(fields)


def _usual(field: Described) -> str | None:
    """Return the default of a field of `Recipe` that depends on others, to show."""
    module, name = "dilute.training.recipe", field.name
    if name == "budget_steps":
        return f"{described.constant(module, '_DEFAULT_BUDGET_STEPS')} if no budget is given"
    if name == "warmup_steps":
        return f"{field.default} for linear"
    if name == "epsilon":
        own = described.constant(module, "_DEFAULT_EPSILON")
    else:
        table = described.constant(module, "_DEFAULTS")
        own = {optimizer: fields[name] for optimizer, fields in table.items() if name in fields}
    return ", ".join(f"{value:g} for {optimizer}" for optimizer, value in own.items()) or None


_CHOSEN = {
    "model": "by the inputs",
    "method": "by what the labels show",
    "batch_size": "128, fewer of few images",
    "budget_steps": "20 passes, 1,000 steps or more",
    "heldout_fraction": "0.05, more of few images",
}
"""What `dilute.fit` chooses where nothing is said, and by what."""


model = single("model", lambda: _of_spec("model", TRAINING))
seed = single("seed", lambda: _of_spec("seed", TRAINING))
recipe = Group(
    "recipe", _recipe_options, lambda given: _with_preset(given.fields(_recipe_options()))
)


def _training_options() -> list[Option]:
    """Return the options of a recipe of which much may be chosen: these have no default to show."""
    recipe = described.fields("dilute.training", "Recipe")
    spec = described.fields("dilute.runs", "RunSpec")
    fields = {"model": spec["model"], **recipe}
    fields |= {name: spec[name] for name in ("heldout_fraction", "seed")}
    return [
        _preset(),
        *(
            option(
                replace(field, default=None) if name in _CHOSEN else field,
                _PANELS.get(name, TRAINING),
                default=_CHOSEN.get(name) or _usual(field),
            )
            for name, field in fields.items()
        ),
    ]


training = Group(
    "training", _training_options, lambda given: _with_preset(given.fields(_training_options()))
)
"""A recipe of which all may be chosen, with model, held-out share and seed."""


# Where and with what


_NOT_TYPED = ("checkpoint", "on_step", "should_stop", "world")


def _execution_fields() -> dict[str, Described]:
    return described.fields("dilute.runs", "Execution")


def _execution_options() -> list[Option]:
    fields = _execution_fields().items()
    return [option(field, MACHINE) for name, field in fields if name not in _NOT_TYPED]


execution = Group("execution", _execution_options, lambda given: given.fields(_execution_options()))
threads = single("threads", lambda: option(_execution_fields()["threads"], MACHINE))


@dataclass(frozen=True)
class Place:
    """The device and the number of threads that the user named."""

    device: str | None
    threads: int | None

    def use(self) -> torch.device:
        """Return the device, and give this process its threads."""
        import torch

        from dilute.environment import choose_device

        if self.threads is not None:
            torch.set_num_threads(self.threads)
        return choose_device(self.device)


place = Group(
    "place",
    lambda: [one for one in _execution_options() if one.name in ("device", "threads")],
    lambda given: Place(given["device"], given["threads"]),
)

_ENGINE = Described(
    "engine",
    Literal["local", "ray"],
    "local",
    "who does the runs: processes of this machine (local), or of a cluster (ray)",
)


def _ray_options() -> list[Option]:
    fields = described.fields("dilute.sweeps", "Cluster")
    return [
        replace(one, help=f"ray: {one.help}")
        for one in (option(fields[name], MACHINE) for name in ("address", "gpus_per_run"))
    ]


def _engine_options() -> list[Option]:
    return [option(_ENGINE, MACHINE), *_ray_options()]


def _cluster(given: Given) -> Any:
    """Return the cluster that the options describe, None for processes on this machine.

    Errors: `SpecError` for an unknown engine.
    """
    from dilute.errors import SpecError, unknown_name
    from dilute.sweeps import Cluster

    engines = described.choices(_ENGINE.type)
    if given["engine"] not in engines:
        raise SpecError(unknown_name("engine", given["engine"], engines))
    return None if _local(given) else Cluster(**given.fields(_ray_options()))


def _local(given: Given) -> str | None:
    return "--engine local" if given["engine"] == "local" else None


def _sweeping_option(name: str) -> Option:
    return option(described.arguments("dilute.sweeps", "run_sweep")[name], MACHINE)


def _sweeping_options() -> list[Option]:
    return [*map(_sweeping_option, _SWEEPING), *_engine_options()]


_SWEEPING = ("workers", "threads", "device", "retry_failed", "loader_workers", "hang_seconds")
engine = Group("cluster", _engine_options, _cluster, (excludes(_local, "address", "gpus_per_run"),))
sweeping = Group(
    "sweeping",
    _sweeping_options,
    lambda given: {**{name: given[name] for name in _SWEEPING}, "cluster": _cluster(given)},
    engine.rules,
)
workers = single("workers", lambda: _sweeping_option("workers"))


# What comes out


def _output(name: str, kind: Any, default: object, text: str) -> Group:
    return single(name, lambda: option(Described(name, kind, default, text), OUTPUT))


_STORE = "folder of records, or s3://… or gs://…: answered from, and written to"
store = _output("store", str, "runs", _STORE)
json = _output("json", bool, False, "print one JSON document on standard output")
picture = _output("picture", Path, None, "draw the result into this .png or .svg file")
