"""`dilute advise`: method, batch size, labels per visit, learning rate and length of training."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dilute.cli import console, options

if TYPE_CHECKING:
    from dilute.advice import Advice
    from dilute.data import Reading


_IMAGES = options.argument("dilute.advice", "advise", "num_images")


@options.data
@options.model
@_IMAGES
@options.noise
@options.seed
@options.reading
@options.device
@options.threads
@options.json
def advise(
    data: str,
    model: str,
    noise: dict[str, Any],
    seed: int,
    reading: Reading,
    device: str | None,
    threads: int | None,
    images: int,
    json: bool,
    given: options.Given,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="Folder of records, whose learning rates count if they fit."
        ),
    ] = None,
) -> None:
    """Say how to train: method, batch size, labels per visit, learning rate, steps, and why.

    Measures the gradient before the first step and the time of a step: under a minute for small
    networks. Without --alpha or --rate the labels are taken as they are, however noisy.

    Example: `dilute advise mnist --model conv4 --alpha 50`
    """
    import torch

    from dilute.advice import advise as find_advice
    from dilute.advice import like
    from dilute.environment import choose_device
    from dilute.runs import Material, RunSpec, Store

    if threads is not None:
        torch.set_num_threads(threads)
    material = Material.of(RunSpec(data=data, model=model, seed=seed, **noise), reading)
    runs = like(material.spec, Store(store).records()) if store is not None else []
    found = find_advice(
        model,
        material.noisy,
        runs=runs,
        num_images=images,
        seed=seed,
        device=choose_device(device),
        on_progress=console.say,
    )
    same = given.words([options.model, options.noise, options.reading])
    command = _command(found, ["dilute", "run", data, *same])
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
        ["method", found.method, found.reasons["method"]],
        ["copies", str(found.copies), found.reasons["copies"]],
        ["batch size", str(found.batch_size), found.reasons["batch_size"]],
        [
            "learning rate",
            f"{rate.value:.2g} ({rate.low:.2g} to {rate.high:.2g})",
            found.reasons["learning_rate"],
        ],
        [
            "steps",
            f"{steps.value:,.0f} ({steps.low:,.0f} to {steps.high:,.0f})",
            found.reasons["steps"],
        ],
    ]
    lines = [f"{name:14}{value}\n    {reason}" for name, value, reason in rows]
    before = (
        f", after {console.duration(found.method_seconds)} of pooling"
        if found.method_seconds
        else ""
    )
    lines.append(f"{'time':14}about {console.duration(found.seconds)} of steps here{before}")
    return "\n".join([*lines, "", command])
