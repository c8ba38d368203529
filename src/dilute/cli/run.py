"""`dilute run`: one run, from the store if it is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dilute.cli import console, options, progress, show_run
from dilute.cli.pages import MACHINE

if TYPE_CHECKING:
    from dilute.data import Reading
    from dilute.runs import Material, RunSpec


_SILENCE = options.argument(
    "dilute.world",
    "joined",
    "silence_seconds",
    MACHINE,
    help="Under torchrun: how long a rank waits for the others before it gives up.",
)


_NOTHING_PLANTED = (
    "no noise is planted (alpha = 0) in labels as given, of which it is not known how many are "
    "wrong; dilute fit is for these: it chooses a method, and keeps a model"
)


@options.data
@options.noise
@options.recipe
@options.reading
@options.execution
@_SILENCE
@options.store
@options.json
@options.refuses("realisation", options.noise.but("noisy_images"), options.num_clean)
@options.refuses("heldout", "heldout_fraction", "heldout_labels")
def run(
    data: str,
    noise: dict[str, Any],
    recipe: dict[str, Any],
    reading: Reading,
    execution: dict[str, Any],
    silence_seconds: float,
    store: str,
    json: bool,
    given: options.Given,
    realisation: Path | None = None,
    heldout: str | None = None,
    force: bool = False,
) -> None:
    """Train one model on one noisy set, and keep the record.

    The same run again is answered from the store; an interrupted one goes on where it was.

    Example: `dilute run mnist --model conv4 --alpha 100 --copies all`

    On several devices: `torchrun --nproc-per-node 2 -m dilute run mnist --model conv4 --alpha 100`

    Noise:
        realisation: train on the labels in this file (of `dilute labels`) instead of drawing them.

    Evaluation:
        heldout: select by this clean set instead, named as DATA is.

    Output:
        force: run even if the store has the answer.
    """
    from dilute.runs import Execution, RunSpec, Store, measure_of
    from dilute.world import own_device

    # Before the data are read, so that most slips in an option cost no waiting.
    spec = RunSpec(data=data, **noise, **recipe)
    ranks, device = given.context.obj, execution.pop("device", None)
    with ranks.joined(device, silence_seconds) as world:
        material = _material(spec, reading, realisation, heldout)
        if world.is_first:
            if not material.splits.train_is_clean and not (spec.alpha or spec.rate):
                material.check()
                console.say(_NOTHING_PLANTED)
            console.say_lost_classes(material.noisy)
        title = f"{material.splits.name} {spec.model}"
        with progress.training_progress(
            title, measure=measure_of(material.test_labels), quiet=not world.is_first
        ) as on_step:
            how = Execution(
                device=own_device(device, world.size), on_step=on_step, world=world, **execution
            )
            fit = Store(store).run(material, how, force=force)
        record = fit.record
        if record.status == "failed" and world.size > 1:
            # Before the others notice, who know only that rank 0 has gone.
            ranks.say_why(f"rank {world.rank} failed: {record.message}")
    if world.is_first:
        if fit.was_known:
            console.say(f"answered from the store {store} ({record.key}); --force runs it again")
        if json:
            console.print_json(record.model_dump(mode="json"))
        else:
            print(show_run.summary(record))
    if record.status == "failed":
        raise typer.Exit(1)


def _material(
    spec: RunSpec, reading: Reading, realisation: Path | None, heldout: str | None
) -> Material:
    """Return what the run is made of, its labels drawn or those of a file."""
    from dilute.data import LabelledSet
    from dilute.dilution import read_labels
    from dilute.runs import Material

    material = Material.of(spec, reading, heldout=heldout)
    if realisation is None:
        return material
    pool = material.pool if isinstance(material.pool, LabelledSet) else None
    return material.with_noisy(read_labels(realisation, material.splits.train, images=pool))
