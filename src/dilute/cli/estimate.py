"""`dilute estimate`: how noisy the labels of a data set are."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from dilute.cli import console, options, show_estimate

if TYPE_CHECKING:
    from dilute.data import Reading
    from dilute.estimation import NoiseEstimate


_MODEL = options.argument(
    "dilute.estimation",
    "cross_validated",
    "model",
    help="Model that predicts labels, for the rows in doubt; with DATA alone, for all.",
)


def _no_data(given: options.Given) -> str | None:
    return "--annotations without DATA" if given["data"] is None else None


@_MODEL
@options.seed
@options.reading
@options.place
@options.json
@options.refuses("annotations", "trusted", "model", "no_rows", "device", "threads")
@options.refuses("no_rows", "model", "device", "threads")
@options.refuses(_no_data, options.reading)
def estimate(
    model: str,
    seed: int,
    reading: Reading,
    place: options.Place,
    json: bool,
    given: options.Given,
    data: str | None = None,
    trusted: Path | None = None,
    annotations: Path | None = None,
    no_rows: bool = False,
    out: Path = Path("estimate"),
) -> None:
    """Estimate the noise of labels: matrix, rate, equivalent alpha, and which rows are wrong.

    From true labels of a few items (--trusted), several labels per item (--annotations), or nothing
    but the labels (cross-validated predictions; the least trustworthy). Data in one piece are taken
    whole. Says, too, how many clean examples the labels are worth.

    Example: `dilute estimate folder:my-images --trusted trusted.csv --model conv4`

    Arguments:
        data: the data whose labels are in doubt, as for other commands; not with --annotations
            alone.

    Options:
        trusted: CSV of true labels of some items, drawn at random: row (or file), label.
        annotations: CSV of several labels per item: item, annotator, label.
        no_rows: with --trusted: do not look for the rows in doubt, which trains models.

    Output:
        out: folder for law, rows with what to do with them, annotators, picture and numbers.
    """
    from dilute.errors import EstimateError, SpecError

    if data is None and annotations is None:
        raise SpecError(
            "nothing to estimate from; give DATA, or --annotations with a table of labels"
        )
    if no_rows and trusted is None:
        raise EstimateError("--no-rows leaves nothing to estimate from; give --trusted, too")
    from dilute.data import load
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

    device = place.use()
    make_folder(out)
    labelled = load(data, reading).whole() if data is not None else None
    names = None
    if labelled is not None and labelled.row_names is not None:
        names = labelled.row_names.tolist()
    truth = None
    if annotations is not None:
        known = (len(labelled), labelled.class_names) if labelled is not None else (None, None)
        table, items, classes = read_annotations(annotations, *known)
        found = estimate_from_annotators(table, classes, seed=seed)
        names = names or items
    elif labelled is not None and labelled.annotations is not None and trusted is None:
        hashed = labelled.labels_hash
        table, classes = labelled.annotations, labelled.class_names
        found = estimate_from_annotators(table, classes, seed=seed, labels_hash=hashed)
    else:
        assert labelled is not None
        if trusted is not None:
            truth = read_trusted(trusted, len(labelled), labelled.class_names, names)
        predictions = None
        if not no_rows:
            predictions = cross_validated(
                labelled, model, seed=seed, device=device, on_progress=console.say
            )
        if truth is not None:
            found = estimate_from_trusted(labelled, *truth, predictions=predictions, seed=seed)
        else:
            assert predictions is not None
            found = estimate_from_labels(labelled, predictions, seed=seed)
    files = write_estimate(found, out, names)
    if labelled is not None and truth is not None:
        files["trusted"] = str(out / "trusted.npz")
        write_trusted(labelled, *truth, out / "trusted.npz")
    same = given.words([options.reading])
    commands = _commands(found, data, model, files, same)
    if json:
        console.print_json({**document(found), "files": files, "commands": commands})
    else:
        print(show_estimate.text(found, files, commands))


def _commands(
    found: NoiseEstimate, data: str | None, model: str, files: dict[str, str], same: list[str]
) -> dict[str, str]:
    """Return what may be asked next: a model from these labels, and a plan with this noise.

    Arguments:
        same: the options that say how the data were read.
    """
    commands = {}
    if data is not None:
        folder = str(Path(files["law"]).parent)
        words = ["dilute", "fit", data, *same, "--estimate", folder, "--out", "model"]
        commands["fit"] = shlex.join(words)
    if found.alpha.value:
        clean = f"npz:{files['trusted']}" if "trusted" in files else "CLEAN_DATA"
        target = ["--target", "0.9", "--have", str(found.num_labels)]
        noise = ["--alpha", f"{found.alpha.value:.4g}", "--noise", "confusion"]
        words = ["dilute", "plan", clean, "--model", model, *target, *noise]
        commands["plan"] = shlex.join([*words, "--confusion", files["noise"]])
    return commands
