"""`dilute labels`: a noise realisation as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dilute.cli import console, options


def labels(
    data: options.DataName,
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")],
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
    seed: options.Seed = 0,
    data_dir: options.DataDir = None,
    resize: options.Resize = None,
    json: options.Json = False,
) -> None:
    """Write the wrong labels of a diluted set to a Parquet file, so that others train on the very same ones.

    Example: `dilute labels mnist --alpha 20 --noise structured --order random --delta 0.5 --out labels.parquet`
    """
    chosen = options.pattern(noise, delta, order, order_seed, class_order, class_map, confusion)
    from dilute.dilution import write_labels
    from dilute.errors import NoiseError

    if rate is not None and (alpha is not None or noisy_images != "same"):
        raise NoiseError(
            "--rate replaces labels on the same images; leave out --alpha and --noisy-images"
        )
    reading = options.reading_of(data_dir, resize)
    # Labels depend on no model.
    material = options.material_of(
        data, "perceptron", alpha, rate, chosen, noisy_images, seed, reading
    )
    noisy = material.noisy
    content_hash = write_labels(noisy, out)
    console.say_lost_classes(noisy)
    document = {
        "out": str(out),
        "content_hash": content_hash,
        "num_clean": noisy.num_clean,
        "num_noisy": noisy.num_noisy,
        "noise_rate": noisy.num_noisy / len(noisy),
        "data": data,
        "data_hash": noisy.clean.content_hash,
    }
    if json:
        console.print_json(document)
    else:
        print(
            f"{out}: {noisy.num_clean:,} clean and {noisy.num_noisy:,} noisy labels "
            f"({document['noise_rate']:.1%} noise), hash {content_hash[:16]}"
        )
