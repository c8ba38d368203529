"""`dilute gradients`: what noise leaves of the gradient, and what a batch is worth."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dilute.cli import console, options

if TYPE_CHECKING:
    from dilute.gradients import GradientReport, Interval, VisitNoise


def gradients(
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
    copies: Annotated[
        str, typer.Option(help="Labels per visit to look at: numbers, all, expected; by commas.")
    ] = "1,4,all,expected",
    batch_size: Annotated[
        int, typer.Option(help="The batch whose worth is told, and of --at's training.", min=1)
    ] = 128,
    weights: Annotated[
        list[Path] | None,
        typer.Option(help="Weights of a run, KEY.last.safetensors or so; may be repeated."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            help="Train (all labels, AdamW) and look after so many steps, as in 0,50,200."
        ),
    ] = None,
    images: Annotated[
        int, typer.Option(help="How many images the mean gradient is taken over.", min=64)
    ] = 2048,
    seed: options.Seed = 0,
    device: options.Device = None,
    threads: options.CpuThreads = None,
    data_dir: options.DataDir = None,
    resize: options.Resize = None,
    json: options.Json = False,
) -> None:
    """Measure the gradient at given weights: what noise leaves of it, and how many clean labels a batch is worth.

    Looks at the initialisation, or at the weights that are given, or along a short training run.

    Example: `dilute gradients mnist --model mlp1 --alpha 20 --at 0,100,400`
    """
    chosen = options.pattern(noise, delta, order, order_seed, class_order, class_map, confusion)
    kinds = [options.copies_value(part) for part in copies.split(",")]
    steps = options.steps_list(at) if at is not None else [0]
    options.refuse_beside("--weights", weights, {"at": at})
    import torch

    from dilute.environment import choose_device
    from dilute.gradients import Sampling, measure_along_training, measure_gradients
    from dilute.runs import fresh_model
    from dilute.training import Recipe
    from dilute.training.checkpoints import read_model

    if threads is not None:
        torch.set_num_threads(threads)
    reading = options.reading_of(data_dir, resize)
    noisy = options.material_of(data, model, alpha, rate, chosen, noisy_images, seed, reading).noisy
    place = choose_device(device)
    network = fresh_model(model, noisy, seed, place)
    sampling = Sampling(signal_batch_size=images // Sampling.signal_batches)
    found: list[tuple[str, GradientReport]] = []
    if weights:
        for path in weights:
            console.say(f"{path}:")
            read_model(path, network)
            report = measure_gradients(
                network,
                noisy,
                copies=kinds,
                sampling=sampling,
                seed=seed,
                device=place,
                on_progress=console.say,
            )
            found.append((str(path), report))
    else:
        recipe = Recipe(batch_size=batch_size, budget_steps=max(1, *steps), curve_points=1)
        points = measure_along_training(
            network,
            noisy,
            recipe,
            steps,
            copies=kinds,
            sampling=sampling,
            seed=seed,
            device=place,
            on_progress=console.say,
        )
        found = [(f"after {point.step} steps", point.report) for point in points]
    if json:
        console.print_json([_document(name, report, batch_size) for name, report in found])
        return
    print("\n\n".join(_text(name, report, batch_size) for name, report in found))


def _worths(one: VisitNoise, alpha: float, batch_size: int) -> dict[str, float]:
    """Return what a batch is worth in clean labels by both readings."""
    from dilute.gradients import clean_examples, signal_over_noise

    return {
        "counting_clean_examples": clean_examples(batch_size, one.copies, alpha),  # type: ignore[arg-type]
        "signal_over_noise": signal_over_noise(batch_size, one.copies, alpha),  # type: ignore[arg-type]
    }


def _document(name: str, report: GradientReport, batch_size: int) -> dict[str, Any]:
    visits = [
        {
            **asdict(one),
            "batch_size": batch_size,
            "effective_batch": {
                "measured": [_times(end, batch_size) for end in asdict(one.worth).values()],
                **_worths(one, report.alpha, batch_size),
            },
        }
        for one in report.visits
    ]
    return {"weights": name, **asdict(report), "visits": visits}


def _times(value: float | None, batch_size: int) -> float | None:
    return None if value is None else value * batch_size


def _text(name: str, report: GradientReport, batch_size: int) -> str:
    whole, *layers = report.signals
    rows = [["layer", "parameters", "length", "clean", "drawn", "cosine to clean", "surviving, %"]]
    rows += [
        [
            signal.layer or "all",
            f"{signal.num_parameters:,}",
            *(
                "–" if length is None else f"{length:.3g}"
                for length in (signal.length, signal.clean_length, signal.noise_length)
            ),
            _interval(signal.cosine, "{:.3f}"),
            _interval(signal.surviving, "{:.2f}", 100),
        ]
        for signal in (whole, *layers)
    ]
    worth = f"{batch_size} visits in clean labels"
    table = [
        ["copies", "noise scale, visits", f"{worth}: measured", "counted", "signal over noise"],
        ["clean", _interval(report.clean.scale, "{:,.0f}"), str(batch_size), "", ""],
    ]
    table += [
        [
            str(one.copies),
            _interval(one.scale, "{:,.0f}"),
            _interval(one.worth, "{:.3g}", batch_size),
            *(f"{value:.3g}" for value in _worths(one, report.alpha, batch_size).values()),
        ]
        for one in report.visits
    ]
    title = f"{name}, alpha = {report.alpha:g}: {report.clean_share:.1%} of the labels clean"
    return f"{title}\n{console.columns(rows)}\n{console.columns(table)}"


def _interval(found: Interval, form: str, factor: float = 1.0) -> str:
    """Return an estimate with its interval, as far as there is one."""
    ends = [
        None if end is None else form.format(factor * end)
        for end in (found.value, found.low, found.high)
    ]
    value, low, high = ends
    if low is None and high is None:
        return value or "–"
    if high is None:
        return f"above {low}"
    return f"{value} ({low} to {high})"
