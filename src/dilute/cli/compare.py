"""`dilute compare`: methods side by side, on the same wrong labels."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dilute.cli import console, options

if TYPE_CHECKING:
    from dilute.study import MethodResult

_USUAL = "cross_entropy,gce,elr,forward_estimated,em_estimated,neighbours_estimated"


def compare(
    data: options.DataName,
    model: options.Model,
    alpha: Annotated[
        str | None,
        typer.Option(help="Wrong labels drawn for each right one; several by commas (dilution)."),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(help="Share of labels replaced; several by commas; instead of --alpha."),
    ] = None,
    methods: Annotated[
        str,
        typer.Option(
            help="Methods by commas; also: all, known, estimated (what is known of the matrix)."
        ),
    ] = _USUAL,
    passes: Annotated[
        float, typer.Option(help="Budget: how often each image may go through a network.", min=0.01)
    ] = 4.0,
    seeds: Annotated[int, typer.Option(help="How many seeds, from --seed on.", min=1)] = 3,
    learning_rates: Annotated[
        str, typer.Option(help="Peak rates to try; held-out noisy labels choose.")
    ] = "0.001",
    num_clean: options.NumClean = None,
    noise: options.Noise = "uniform",
    delta: options.Delta = None,
    order: options.Order = None,
    order_seed: options.OrderSeed = None,
    class_order: options.ClassOrder = None,
    class_map: options.ClassMap = None,
    confusion: options.ConfusionFile = None,
    seed: options.Seed = 0,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the comparison into this .png or .svg file.")
    ] = None,
    store: options.RunStore = "runs",
    workers: options.Workers = None,
    threads: options.Threads = None,
    device: options.WorkerDevice = None,
    retry_failed: options.RetryFailed = False,
    loader_workers: options.LoaderWorkers = 0,
    hang_seconds: options.HangSeconds = 900.0,
    engine: options.Engine = "local",
    address: options.Address = None,
    gpus_per_run: options.GpusPerRun = None,
    data_dir: options.DataDir = None,
    resize: options.Resize = None,
    stream: options.Stream = None,
    on_corrupt: options.OnCorrupt = "fail",
    json: options.Json = False,
) -> None:
    """Train with each method on the same noisy labels, within the same budget, and rank them.

    Held-out noisy labels choose learning rate and stopping point; the test set chooses nothing.
    What a method knows of the noise stands beside its name. The same comparison again goes on with
    what is left.

    Example: `dilute compare mnist5k --model mlp1 --alpha 5,20 --methods cross_entropy,gce,em_known`
    """
    from dilute.errors import SpecError

    if (alpha is None) == (rate is None):
        raise SpecError("noise is given by --alpha or by --rate; give exactly one")
    options.check_picture(picture)
    import dilute
    from dilute.study import Sweeping

    with console.sweep_progress() as on_progress:
        found = dilute.compare(
            data,
            options.words(methods),
            model=model,
            alpha=None if alpha is None else options.numbers("alpha", alpha),
            rate=None if rate is None else options.numbers("rate", rate),
            noise=options.pattern(
                noise, delta, order, order_seed, class_order, class_map, confusion
            ),
            num_clean=num_clean,
            passes=passes,
            learning_rates=options.numbers("learning rates", learning_rates),
            seeds=range(seed, seed + seeds),
            store=store,
            sweeping=Sweeping(
                workers=workers,
                threads=threads,
                device=device,
                loader_workers=loader_workers,
                hang_seconds=hang_seconds,
                cluster=options.cluster(engine, address, gpus_per_run),
                on_progress=on_progress,
                retry_failed=retry_failed,
                reading=options.reading_of(data_dir, resize, stream, on_corrupt),
            ),
        )
    if json:
        console.print_json(
            {"standings": [asdict(one) for one in found.results], "failures": found.failures}
        )
    else:
        print(_text(found.results))
        methods_of = {record.key: record.spec["method"] for record in found.records}
        for key, message in found.failures.items():
            print(f"failed: {methods_of[key]}: {message} ({key})")
    if picture is not None:
        found.draw(picture)
    if found.failures:
        raise typer.Exit(1)


def _text(found: list[MethodResult]) -> str:
    lines: list[str] = []
    for setting, amount in dict.fromkeys((one.setting, one.amount) for one in found):
        here = [one for one in found if (one.setting, one.amount) == (setting, amount)]
        rows = [["method", "knows", "accuracy", "over cross-entropy", "n", "seconds"]]
        rows += [_cells(one) for one in here]
        lines += [f"{setting}, {here[0].amount_name} = {amount:g}", console.columns(rows), ""]
    lines.append("mean (lowest to highest) over n seeds, test set; held-out noisy labels chose")
    return "\n".join(lines)


def _cells(one: MethodResult) -> list[str]:
    from dilute.study import in_percent

    failed = f", {one.num_failed} failed" if one.num_failed else ""
    return [
        one.title,
        one.knows,
        in_percent(one.accuracy, one.low, one.high),
        in_percent(one.gain, one.gain_low, one.gain_high, "+"),
        f"{one.num_seeds}{failed}",
        f"{one.seconds:.1f}" if one.seconds is not None else "–",
    ]
