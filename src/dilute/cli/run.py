"""`dilute run`: one run, from the store if it is there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dilute.cli import console, options, ranks


def run(
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
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Train on the labels in this file (of dilute labels) instead of drawing them."
        ),
    ] = None,
    num_clean: options.NumClean = None,
    heldout_fraction: Annotated[
        float | None,
        typer.Option(help="Share of images that selects the model, 0 to below 1. Default 0.05."),
    ] = None,
    heldout_labels: Annotated[
        str | None,
        typer.Option(help="Select by the held-out images' noisy (default) or clean labels."),
    ] = None,
    heldout: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Select by this clean set instead, named as DATA is."),
    ] = None,
    method: options.Method = "cross_entropy",
    method_option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="An option of the method, as q=0.5; for those that know the matrix, matrix=FILE. Repeatable.",
        ),
    ] = None,
    copies: Annotated[
        str, typer.Option(help="Labels of an image per visit: 1, any number, all or expected.")
    ] = "all",
    batch_size: Annotated[int, typer.Option(help="Images per step.")] = 256,
    optimizer: Annotated[str, typer.Option(help="adamw, adadelta or sgd.")] = "adamw",
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak learning rate; by optimiser 0.001, 1, 0.05.")
    ] = None,
    momentum: Annotated[float | None, typer.Option(help="sgd: momentum, default 0.9.")] = None,
    weight_decay: Annotated[
        float | None, typer.Option(help="Weight decay; default 0.01 for adamw, else 0.")
    ] = None,
    epsilon: Annotated[
        float | None,
        typer.Option(help="adamw, adadelta: keeps divisions from zero; default 1e-8, 1e-6."),
    ] = None,
    schedule: Annotated[
        str, typer.Option(help="linear (warm-up, then down to zero) or constant.")
    ] = "linear",
    warmup_steps: Annotated[
        int | None, typer.Option(help="linear: steps of warm-up, default 50.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Budget in steps. Default 600.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Budget in passes over all labels.")] = None,
    examples: Annotated[int | None, typer.Option(help="Budget in image–label pairs.")] = None,
    augment: Annotated[
        str | None,
        typer.Option(help="crop_flip: another crop of the image at each visit, perhaps mirrored."),
    ] = None,
    curve_points: Annotated[int, typer.Option(help="How often the model is judged.")] = 10,
    test_at_end: Annotated[
        bool, typer.Option("--test-at-end", help="Judge only the final models on the test set.")
    ] = False,
    log_gradients: Annotated[
        bool,
        typer.Option(
            "--log-gradients", help="Measure the gradient's length and noise scale along the run."
        ),
    ] = False,
    precision: Annotated[
        str,
        typer.Option(help="float32, or bfloat16 (automatic mixed precision in training steps)."),
    ] = "float32",
    seed: options.Seed = 0,
    store: options.RunStore = "runs",
    force: Annotated[
        bool, typer.Option("--force", help="Run even if the store has the answer.")
    ] = False,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(help="Steps between checkpoints; every minute if not given.", min=1),
    ] = None,
    device: options.Device = None,
    threads: options.CpuThreads = None,
    micro_batch_size: Annotated[
        int | None,
        typer.Option(
            help="Most images that go through the network at once; gradients add up to those of the batch.",
            min=1,
        ),
    ] = None,
    silence_seconds: Annotated[
        float,
        typer.Option(
            help="Under torchrun: how long a rank waits for the others before it gives up.", min=1
        ),
    ] = 600.0,
    data_dir: options.DataDir = None,
    resize: options.Resize = None,
    stream: options.Stream = None,
    on_corrupt: options.OnCorrupt = "fail",
    loader_workers: options.LoaderWorkers = 0,
    json: options.Json = False,
) -> None:
    """Train one model on one noisy set, and keep the record.

    The same run again is answered from the store; an interrupted one goes on where it was.

    Example: `dilute run mnist --model conv4 --alpha 100 --copies all`

    On several devices: `torchrun --nproc-per-node 2 -m dilute run mnist --model conv4 --alpha 100`
    """
    given: dict[str, Any] = {
        "alpha": alpha,
        "rate": rate,
        "num_clean": num_clean,
        "noise": None if noise == "uniform" else noise,
    }
    described: dict[str, Any] = {
        "delta": delta,
        "order": order,
        "order_seed": order_seed,
        "class_order": class_order,
        "class_map": class_map,
        "confusion": confusion,
    }
    options.refuse_beside("--labels", labels, given | described)
    options.refuse_beside(
        "--heldout",
        heldout,
        {"heldout_fraction": heldout_fraction, "heldout_labels": heldout_labels},
    )
    chosen = options.pattern(noise, **described)
    from dilute.data import white_noise_size
    from dilute.dilution import read_labels
    from dilute.runs import Execution, Material, RunSpec, Store
    from dilute.world import own_device

    reading = options.reading_of(data_dir, resize, stream, on_corrupt)
    recipe: dict[str, Any] = {
        "model": model,
        "heldout_fraction": heldout_fraction,
        "heldout_labels": heldout_labels,
        "method": method,
        "method_options": options.method_options(method_option),
        "copies": options.copies_value(copies),
        "batch_size": batch_size,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "momentum": momentum,
        "weight_decay": weight_decay,
        "epsilon": epsilon,
        "schedule": schedule,
        "warmup_steps": warmup_steps,
        "budget_steps": steps,
        "budget_epochs": epochs,
        "budget_examples": examples,
        "augment": augment,
        "curve_points": curve_points,
        "test_curve": not test_at_end,
        "log_gradients": log_gradients,
        "precision": precision,
        "seed": seed,
    }
    # Before the data are read, so that most slips in an option cost no waiting.
    spec = RunSpec(
        data=data,
        num_clean=num_clean,
        alpha=alpha,
        rate=rate,
        noise=chosen,
        noisy_images=noisy_images,
        **recipe,
    )
    with ranks.joined(device, silence_seconds) as world:
        material = Material.of(spec, reading, heldout=heldout)
        if labels is not None:
            named = noisy_images != "same" and white_noise_size(noisy_images) is None
            pool = material.pool if named else None
            material = material.with_noisy(read_labels(labels, material.splits.train, images=pool))
        if world.is_first:
            console.say_lost_classes(material.noisy)
        with console.training_progress(
            f"{material.splits.name} {model}", quiet=not world.is_first
        ) as on_step:
            fit = Store(store).run(
                material,
                Execution(
                    device=own_device(device, world.size),
                    threads=threads,
                    checkpoint_every_steps=checkpoint_every,
                    on_step=on_step,
                    micro_batch_size=micro_batch_size,
                    world=world,
                    loader_workers=loader_workers,
                ),
                force=force,
            )
            record = fit.record
        if record.status == "failed" and world.size > 1:
            # Before the others notice, who know only that rank 0 has gone.
            ranks.say_why(f"rank {world.rank} failed: {record.message}")
    if world.is_first:
        if fit.was_known:
            console.say(
                f"answered from the store ({store}/{record.key}.json); --force runs it again"
            )
        if json:
            console.print_json(record.model_dump(mode="json"))
        else:
            print(console.summary(record))
    if record.status == "failed":
        raise typer.Exit(1)
