"""`dilute advise`: method, batch size, labels per visit, learning rate and length of training."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING

from dilute.cli import console, options

if TYPE_CHECKING:
    from dilute.advice import Advice
    from dilute.data import Reading
    from dilute.runs import RunSpec


_IMAGES = options.argument("dilute.advice", "advise", "num_images")


@options.noisy_set
@_IMAGES
@options.reading
@options.place
@options.json
def advise(
    spec: RunSpec,
    reading: Reading,
    place: options.Place,
    images: int,
    json: bool,
    given: options.Given,
    store: str | None = None,
) -> None:
    """Say how to train: method, batch size, labels per visit, learning rate, steps, and why.

    Measures the gradient before the first step and the time of a step: under a minute for small
    networks. Without --alpha or --rate labels of your own are taken as given, however noisy.

    Example: `dilute advise mnist --model conv4 --alpha 50`

    Options:
        store: folder of records, whose learning rates count if they fit.
    """
    from dilute.advice import advise as find_advice
    from dilute.advice import like
    from dilute.runs import Material, RunSpec, Store

    device = place.use()
    material = Material.of(spec, reading)
    as_given = not (material.splits.train_is_clean or spec.alpha or spec.rate)
    if as_given:
        own = RunSpec(data=spec.data, model=spec.model, seed=spec.seed, as_given=True)
        material = Material.of(own, reading, splits=material.splits)
    runs = like(material.spec, Store(store).records()) if store is not None else []
    found = find_advice(
        spec.model,
        material.noisy,
        runs=runs,
        num_images=images,
        seed=spec.seed,
        device=device,
        on_progress=console.say,
    )
    noise = [] if as_given else [options.noise]
    same = given.words([options.model, *noise, options.reading])
    command = _command(found, ["dilute", "fit" if as_given else "run", given["data"], *same])
    if json:
        console.print_json({**asdict(found), "command": command})
    else:
        print(_text(found, command))


def _command(found: Advice, words: list[str]) -> str:
    """Return the run that the advice is, as a command.

    Arguments:
        words: its beginning, which says what to train on.
    """
    recipe = found.recipe()
    values = {
        "method": recipe.method,
        "copies": recipe.copies,
        "batch_size": recipe.batch_size,
        "learning_rate": f"{recipe.learning_rate:.2g}",
        "warmup_steps": recipe.warmup_steps,
        "steps": recipe.budget_steps,
    }
    for name, value in values.items():
        words += [options.flag(name), str(value)]
    return shlex.join(words)


def _text(found: Advice, command: str) -> str:
    rate, steps = found.learning_rate, found.steps
    rows = [
        ("method", found.method),
        ("copies", found.copies),
        ("batch_size", found.batch_size),
        ("learning_rate", f"{rate.value:.2g} ({rate.low:.2g} to {rate.high:.2g})"),
        ("steps", f"{steps.value:,.0f} ({steps.low:,.0f} to {steps.high:,.0f})"),
    ]
    lines = [
        f"{name.replace('_', ' '):14}{value}\n    {found.reasons[name]}" for name, value in rows
    ]
    pooling = (
        found.method_seconds and f", after {console.duration(found.method_seconds)} of pooling"
    )
    time = f"about {console.duration(found.seconds)} of steps here{pooling or ''}"
    return "\n".join([*lines, f"{'time':14}{time}", "", command])
