"""`dilute gradients`: what noise leaves of the gradient, and what a batch is worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dilute.cli import console, described, options, show_gradients, values
from dilute.cli.from_models import option
from dilute.cli.groups import Option, single
from dilute.cli.pages import OPTIONS

if TYPE_CHECKING:
    from dilute.data import Reading
    from dilute.gradients import GradientReport
    from dilute.runs import RunSpec


def _images() -> Option:
    sampling = described.fields("dilute.gradients", "Sampling")
    usual = sampling["signal_batches"].default * sampling["signal_batch_size"].default
    text = "how many images the mean gradient is taken over"
    return option(described.Described("num_images", int, usual, text), OPTIONS)


@options.noisy_set
@options.reading
@options.place
@single("images", _images)
@options.json
@options.refuses("weights", "at")
def gradients(
    spec: RunSpec,
    reading: Reading,
    place: options.Place,
    images: int,
    json: bool,
    copies: str = "1,4,all,expected",
    batch_size: int = 128,
    weights: list[Path] | None = None,
    at: str | None = None,
) -> None:
    """Measure the gradient: what noise leaves of it, and how many clean labels a batch is worth.

    Looks at the initialisation, or at the weights that are given, or along a short training run.

    Example: `dilute gradients mnist --model mlp1 --alpha 20 --at 0,100,400`

    Options:
        copies: labels per visit to look at: numbers, all, expected; by commas.
        batch_size: images of the batch whose worth is said, and of --at's training.
        weights: weights of a run, as KEY.last.safetensors. Repeatable.
        at: train (all labels, AdamW) and look after so many steps, as 0,50,200.
    """
    kinds = [values.copies(part) for part in copies.split(",")]
    steps = sorted(set(values.whole_numbers("steps", at, "0,50,200"))) if at is not None else [0]
    from dilute.gradients import Sampling, measure_along_training, measure_gradients
    from dilute.runs import Material, fresh_model
    from dilute.training import Recipe
    from dilute.training.checkpoints import read_model

    device = place.use()
    material = Material.of(spec, reading)
    noisy = material.noisy
    console.say_count_as_clean(material.splits)
    network = fresh_model(spec.model, noisy, spec.seed, device)
    how: dict[str, Any] = {
        "copies": kinds,
        "sampling": Sampling(signal_batch_size=images // Sampling.signal_batches),
        "seed": spec.seed,
        "device": device,
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
