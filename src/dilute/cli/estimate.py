"""`dilute estimate`: how noisy the labels of a data set are."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dilute.cli import console, options, show_estimate

if TYPE_CHECKING:
    from dilute.data import Reading
    from dilute.estimation import NoiseEstimate


def _no_data(given: options.Given) -> str | None:
    return "--annotations without DATA" if given["data"] is None else None


@options.seed
@options.reading
@options.device
@options.threads
@options.json
@options.refuses("annotations", "trusted", "model", "no_rows", "device", "threads")
@options.refuses("no_rows", "model", "device", "threads")
@options.refuses(_no_data, options.reading)
def estimate(
    seed: int,
    reading: Reading,
    device: str | None,
    threads: int | None,
    json: bool,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATA]",
            help="The data whose labels are in doubt, as for other commands; not needed with "
            "--annotations.",
        ),
    ] = None,
    trusted: Annotated[
        Path | None,
        typer.Option(
            help="CSV of true labels of some items, drawn at random: row (or file), label."
        ),
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="CSV of several labels per item: item, annotator, label.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Model that predicts labels, for the rows in doubt; with DATA alone, for all."
        ),
    ] = None,
    no_rows: Annotated[
        bool,
        typer.Option(
            "--no-rows",
            help="With --trusted: do not look for the rows in doubt, which trains models.",
        ),
    ] = False,
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for matrix, rows in doubt, picture and numbers.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = Path("estimate"),
) -> None:
    """Estimate the noise of labels: matrix, rate, equivalent alpha, and which rows are wrong.

    From true labels of a few items (--trusted), several labels per item (--annotations), or nothing
    but the labels (cross-validated predictions; the least trustworthy). Data in one piece are taken
    whole. Says, too, how many clean examples the labels are worth.

    Example: `dilute estimate folder:my-images --trusted trusted.csv --model conv4`
    """
    from dilute.errors import EstimateError, SpecError

    if data is None and annotations is None:
        raise SpecError(
            "nothing to estimate from; give DATA, or --annotations with a table of labels"
        )
    if annotations is None and model is None and not (trusted is not None and no_rows):
        model = "mlp1"
    import torch

    from dilute.data import load, row_names
    from dilute.environment import choose_device
    from dilute.estimation import (
        cross_validated,
        document,
        estimate_from_annotators,
        estimate_from_labels,
        estimate_from_trusted,
        read_annotations,
        read_trusted,
        write_estimate,
        write_trusted,
    )
    from dilute.files import make_folder

    if threads is not None:
        torch.set_num_threads(threads)
    make_folder(out)
    labelled = load(data, reading).whole() if data is not None else None
    names = row_names(data) if data is not None else None
    rows = truth = None
    if annotations is not None:
        table, items, classes = read_annotations(
            annotations,
            len(labelled) if labelled is not None else None,
            labelled.class_names if labelled is not None else None,
        )
        found = estimate_from_annotators(table, classes, seed=seed)
        names = names or items
    else:
        assert labelled is not None
        if trusted is not None:
            rows, truth = read_trusted(trusted, len(labelled), labelled.class_names, names)
        predictions = None
        if model is not None and not no_rows:
            predictions = cross_validated(
                labelled, model, seed=seed, device=choose_device(device), on_progress=console.say
            )
        if rows is not None and truth is not None:
            found = estimate_from_trusted(labelled, rows, truth, predictions=predictions, seed=seed)
        elif predictions is not None:
            found = estimate_from_labels(labelled, predictions, seed=seed)
        else:
            raise EstimateError("--no-rows leaves nothing to estimate from; give --trusted, too")
    files = write_estimate(found, out, names)
    if labelled is not None and rows is not None and truth is not None:
        files["trusted"] = str(out / "trusted.npz")
        write_trusted(labelled, rows, truth, out / "trusted.npz")
    commands = _commands(found, data, model, files)
    if json:
        console.print_json({**document(found), "files": files, "commands": commands})
    else:
        print(show_estimate.text(found, files, commands))


def _commands(
    found: NoiseEstimate, data: str | None, model: str | None, files: dict[str, str]
) -> dict[str, str]:
    """Return what may be asked next: a plan with this noise, and how to train on these data."""
    alpha, _ = found.noise()
    model = model or "conv4"
    clean = f"npz:{files['trusted']}" if "trusted" in files else "CLEAN_DATA"
    target = ["--target", "0.9", "--alpha", f"{alpha:.3g}", "--have", str(found.num_labels)]
    noise = ["--noise", "confusion", "--confusion", files["noise"]]
    commands = {"plan": shlex.join(["dilute", "plan", clean, "--model", model, *target, *noise])}
    if data is not None:
        commands["advise"] = shlex.join(["dilute", "advise", data, "--model", model])
    return commands
