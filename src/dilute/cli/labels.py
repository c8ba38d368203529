"""`dilute labels`: a noise realisation as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dilute.cli import console, options

if TYPE_CHECKING:
    from dilute.data import Reading


@options.data
@options.noise
@options.seed
@options.reading
@options.json
def labels(
    data: str,
    out: Path,
    noise: dict[str, Any],
    seed: int,
    reading: Reading,
    json: bool,
) -> None:
    """Write the labels of a diluted set to a Parquet file, for others to train on the same ones.

    Example: `dilute labels mnist --alpha 20 --noise structured --order random --delta 0.5
    --out labels.parquet`

    Options:
        out: the Parquet file to write.
    """
    from dilute.dilution import write_labels
    from dilute.files import as_path, check_file
    from dilute.models import MODELS
    from dilute.runs import Material, RunSpec

    check_file(as_path(out))
    any_model = next(iter(MODELS))  # none is built
    spec = RunSpec(data=data, model=any_model, seed=seed, **noise)
    material = Material.of(spec, reading)
    noisy = material.noisy
    content_hash = write_labels(noisy, out)
    assert noisy.num_clean is not None
    console.say_lost_classes(noisy)
    document = {
        "out": str(out),
        "content_hash": content_hash,
        "num_clean": noisy.num_clean,
        "num_noisy": noisy.num_noisy,
        "noise_rate": 1 - noisy.num_clean / len(noisy),
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
