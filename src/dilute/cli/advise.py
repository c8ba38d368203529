"""`dilute advise`: method, batch size, labels per visit, learning rate and length of training."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dilute.cli import console, options

if TYPE_CHECKING:
    from dilute.advice import Advice


def advise(
    data: options.DataName,
    model: options.Model,
    alpha: options.Alpha = None,
    rate: options.Rate = None,
    noise: options.Noise = "uniform",
    delta: options.Delta = None,
    order: options.Order = None,
    order_seed: options.OrderSeed = None,
    class_order: options.ClassOrder = None,
    class_map: options.ClassMap = None,
    confusion: options.ConfusionFile = None,
    noisy_images: options.NoisyImages = "same",
    images: Annotated[
        int,
        typer.Option(
            help="How many images the gradient is taken over; four times as many if noise hides it.",
            min=64,
        ),
    ] = 8192,
    store: Annotated[
        str | None, typer.Option(help="Folder of records, whose learning rates count if they fit.")
    ] = None,
    seed: options.Seed = 0,
    device: options.Device = None,
    threads: options.CpuThreads = None,
    data_dir: options.DataDir = None,
    resize: options.Resize = None,
    json: options.Json = False,
) -> None:
    """Say how to train: method, batch size, labels per visit, learning rate and steps, each with its reason.

    Measures the gradient before the first step and the time of a step: under a minute for small networks.
    Without --alpha or --rate the labels are taken as they are, however noisy.

    Example: `dilute advise mnist --model conv4 --alpha 50`
    """
    chosen = options.pattern(noise, delta, order, order_seed, class_order, class_map, confusion)
    import torch

    from dilute.advice import advise as find_advice
    from dilute.advice import like
    from dilute.environment import choose_device
    from dilute.runs import Store

    if threads is not None:
        torch.set_num_threads(threads)
    reading = options.reading_of(data_dir, resize)
    material = options.material_of(data, model, alpha, rate, chosen, noisy_images, seed, reading)
    noisy = material.noisy
    runs = like(material.spec, Store(store).records()) if store is not None else []
    found = find_advice(
        model,
        noisy,
        runs=runs,
        num_images=images,
        seed=seed,
        device=choose_device(device),
        on_progress=console.say,
    )
    given: dict[str, Any] = {
        "model": model,
        "alpha": alpha,
        "rate": rate,
        "noise": noise if noise != "uniform" else None,
        "delta": delta,
        "order": order,
        "order_seed": order_seed,
        "class_order": class_order,
        "class_map": class_map,
        "confusion": confusion,
        "noisy_images": noisy_images if noisy_images != "same" else None,
        "resize": resize,
        "data_dir": data_dir,
    }
    command = _command(found, data, given)
    if json:
        console.print_json({**asdict(found), "command": command})
    else:
        print(_text(found, command))


def _command(found: Advice, data: str, given: dict[str, Any]) -> str:
    """Return the run that the advice is, as a command.

    Arguments:
        given: the options that say what to train on; those that are None were not given.
    """
    recipe = found.recipe()
    options = {
        **given,
        "method": recipe.method,
        "copies": recipe.copies,
        "batch_size": recipe.batch_size,
        "learning_rate": f"{recipe.learning_rate:.2g}",
        "warmup_steps": recipe.warmup_steps,
        "steps": recipe.budget_steps,
    }
    words = ["dilute", "run", data]
    for name, value in options.items():
        if value is not None:
            words += [
                f"--{name.replace('_', '-')}",
                f"{value:g}" if isinstance(value, float) else str(value),
            ]
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
