"""`dilute estimate`: how noisy the labels of a data set are."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dilute.cli import console, options

if TYPE_CHECKING:
    from dilute.estimation import NoiseEstimate

_MOST_CLASSES_SHOWN = 12


def estimate(
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATA]",
            help="The data whose labels are in doubt, as for other commands; not needed with --annotations.",
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
    out: Annotated[
        Path, typer.Option(help="Folder for matrix, rows in doubt, picture and numbers.")
    ] = Path("estimate"),
    no_rows: Annotated[
        bool,
        typer.Option(
            "--no-rows",
            help="With --trusted: do not look for the rows in doubt, which trains models.",
        ),
    ] = False,
    seed: options.Seed = 0,
    device: options.Device = None,
    threads: options.CpuThreads = None,
    data_dir: options.DataDir = None,
    resize: options.Resize = None,
    json: options.Json = False,
) -> None:
    """Estimate the noise of labels: matrix, rate, equivalent alpha, what they are worth, and which rows are wrong.

    From true labels of a few items (--trusted), several labels per item (--annotations), or nothing but the
    labels (cross-validated predictions; the least trustworthy). Data in one piece are taken whole.

    Example: `dilute estimate folder:my-images --trusted trusted.csv --model conv4`
    """
    from dilute.errors import EstimateError, SpecError

    if data is None and annotations is None:
        raise SpecError(
            "nothing to estimate from; give DATA, or --annotations with a table of labels"
        )
    options.refuse_beside("--annotations", annotations, {"trusted": trusted, "model": model})
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
    labelled = (
        load(data, options.reading_of(data_dir, resize)).whole() if data is not None else None
    )
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
        print(_text(found, files, commands))


def _commands(
    found: NoiseEstimate, data: str | None, model: str | None, files: dict[str, str]
) -> dict[str, str]:
    """Return what may be asked next: a plan on clean data with this noise, and how to train on these."""
    alpha, _ = found.noise()
    model = model or "conv4"
    clean = f"npz:{files['trusted']}" if "trusted" in files else "CLEAN_DATA"
    target = ["--target", "0.9", "--alpha", f"{alpha:.3g}", "--have", str(found.num_labels)]
    noise = ["--noise", "confusion", "--confusion", files["noise"]]
    commands = {"plan": shlex.join(["dilute", "plan", clean, "--model", model, *target, *noise])}
    if data is not None:
        commands["advise"] = shlex.join(["dilute", "advise", data, "--model", model])
    return commands


def _text(found: NoiseEstimate, files: dict[str, str], commands: dict[str, str]) -> str:
    from dilute.estimation import alpha_text
    from dilute.planning import amount

    wrong = found.wrong_rate
    rows = [
        ["wrong labels", f"{wrong.value:.1%} ({wrong.low:.1%} to {wrong.high:.1%})"],
        ["alpha", f"{alpha_text(found.alpha)}: uniform noise with as many wrong labels"],
        [
            "worth",
            f"{amount(found.worth)} clean examples, of {found.num_items:,} items with {found.num_labels:,} labels",
        ],
    ]
    if found.rows is not None:
        rows.append(
            ["probably wrong", f"{int((found.rows.wrong > 0.5).sum()):,} rows, in {files['rows']}"]
        )
    lines = [f"{name:16}{value}" for name, value in rows]
    lines += [f"{'note':16}{warning}" for warning in found.warnings]
    lines.append(f"{'from':16}{found.source} ({found.num_evidence:,}); 90 % intervals")
    if len(found.class_names) <= _MOST_CLASSES_SHOWN:
        lines += ["", "given label, % of each true class:", _matrix(found)]
    lines += ["", *files.values(), "", *commands.values()]
    return "\n".join(lines)


def _matrix(found: NoiseEstimate) -> str:
    names = [name[:10] for name in found.class_names]
    rows = [["", *names]]
    rows += [
        [name, *(f"{100 * value:.1f}" for value in row)]
        for name, row in zip(names, found.laws, strict=True)
    ]
    return console.columns(rows)
