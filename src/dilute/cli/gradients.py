"""`dilute gradients`: what noise leaves of the gradient, and what a batch is worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dilute.cli import console, described, options, show_gradients, values
from dilute.cli.groups import Option

if TYPE_CHECKING:
    from dilute.data import Reading
    from dilute.gradients import GradientReport


def _images() -> Option:
    sampling = described.fields("dilute.gradients", "Sampling")
    usual = sampling["signal_batches"].default * sampling["signal_batch_size"].default
    text = "How many images the mean gradient is taken over."
    note = f"≥ 64; default: {usual}"
    return Option("images", int, usual, text, "", note=note, minimum=64)


@options.data
@options.model
@options.noise
@options.seed
@options.reading
@options.device
@options.threads
@options.single("images", _images)
@options.json
@options.refuses("weights", "at")
def gradients(
    data: str,
    model: str,
    noise: dict[str, Any],
    seed: int,
    reading: Reading,
    device: str | None,
    threads: int | None,
    images: int,
    json: bool,
    copies: Annotated[
        str, typer.Option(help="Labels per visit to look at: numbers, all, expected; by commas.")
    ] = "1,4,all,expected",
    batch_size: Annotated[
        int, typer.Option(help="The batch whose worth is said, and of --at's training.", min=1)
    ] = 128,
    weights: Annotated[
        list[Path] | None,
        typer.Option(help="Weights of a run, KEY.last.safetensors or so. Repeatable."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            help="Train (all labels, AdamW) and look after so many steps, as in 0,50,200."
        ),
    ] = None,
) -> None:
    """Measure the gradient: what noise leaves of it, and how many clean labels a batch is worth.

    Looks at the initialisation, or at the weights that are given, or along a short training run.

    Example: `dilute gradients mnist --model mlp1 --alpha 20 --at 0,100,400`
    """
    kinds = [values.copies(part) for part in copies.split(",")]
    steps = values.steps(at) if at is not None else [0]
    import torch

    from dilute.environment import choose_device
    from dilute.gradients import Sampling, measure_along_training, measure_gradients
    from dilute.runs import Material, RunSpec, fresh_model
    from dilute.training import Recipe
    from dilute.training.checkpoints import read_model

    if threads is not None:
        torch.set_num_threads(threads)
    material = Material.of(RunSpec(data=data, model=model, seed=seed, **noise), reading)
    noisy, place = material.noisy, choose_device(device)
    network = fresh_model(model, noisy, seed, place)
    how: dict[str, Any] = {
        "copies": kinds,
        "sampling": Sampling(signal_batch_size=images // Sampling.signal_batches),
        "seed": seed,
        "device": place,
        "on_progress": console.say,
    }
    found: list[tuple[str, GradientReport]] = []
    for path in weights or []:
        console.say(f"{path}:")
        read_model(path, network)
        found.append((str(path), measure_gradients(network, noisy, **how)))
    if not weights:
        recipe = Recipe(batch_size=batch_size, budget_steps=max(1, *steps), curve_points=1)
        points = measure_along_training(network, noisy, recipe, steps, **how)
        found = [(f"after {point.step} steps", point.report) for point in points]
    if json:
        console.print_json([show_gradients.document(*one, batch_size) for one in found])
    else:
        print("\n\n".join(show_gradients.text(*one, batch_size) for one in found))
