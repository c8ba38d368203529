"""`dilute estimate`: how noisy the labels of a data set are."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dilute.cli import console, options, show_estimate

if TYPE_CHECKING:
    import torch

    from dilute.data import LabelledSet, Reading
    from dilute.estimation import NoiseEstimate


def _no_data(given: options.Given) -> str | None:
    return "--annotations without DATA" if given["data"] is None else None


@options.seed
@options.reading
@options.place
@options.json
@options.refuses("annotations", "trusted", "model", "no_rows", "device", "threads")
@options.refuses("no_rows", "model", "device", "threads")
@options.refuses(_no_data, options.reading)
def estimate(
    seed: int,
    reading: Reading,
    place: options.Place,
    json: bool,
    given: options.Given,
    data: str | None = None,
    model: str | None = None,
    trusted: Path | None = None,
    annotations: Path | None = None,
    no_rows: bool = False,
    out: Path = Path("estimate"),
) -> None:
    """Estimate the noise of labels: matrix, rate, equivalent alpha, and which rows are wrong.

    From true labels of a few items (--trusted), several labels per item (--annotations, or --labels
    with several columns), or nothing but the labels: what items that look alike are called. Data in
    one piece are taken whole. Says, too, how many clean examples the labels are worth, and what to
    do next.

    Example: `dilute estimate folder:my-images --trusted trusted.csv --out estimate`

    Arguments:
        data: the data whose labels are in doubt, as for other commands; not with --annotations
            alone.

    Options:
        trusted: CSV of true labels of some items, drawn at random: row (or file), label.
        annotations: CSV of several labels per item: item, annotator, label.
        model: network that predicts labels by cross-validation, instead of look-alikes; slower, for
            data that do not fit into memory.
        no_rows: with --trusted: do not look for the rows in doubt.

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
        document,
        estimate_from_annotators,
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
        found = _from_labels(labelled, truth, model, seed, device, no_rows=no_rows)
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


def _from_labels(
    labelled: LabelledSet,
    truth: tuple[Any, Any] | None,
    model: str | None,
    seed: int,
    device: torch.device,
    *,
    no_rows: bool,
) -> NoiseEstimate:
    """Return the estimate from one label for each item, and the true ones of some if given."""
    from dilute.estimation import (
        check_enough,
        classes_of_look_alikes,
        cross_validated,
        estimate_from_labels,
        estimate_from_look_alikes,
        estimate_from_trusted,
    )

    if truth is not None:
        check_enough(len(truth[0]))
    if model is not None:
        predictions = cross_validated(
            labelled, model, seed=seed, device=device, on_progress=console.say
        )
        if truth is None:
            return estimate_from_labels(labelled, predictions, seed=seed)
        return estimate_from_trusted(labelled, *truth, predictions=predictions, seed=seed)
    if truth is None:
        console.say(f"looking for look-alikes among {len(labelled):,} items")
        return estimate_from_look_alikes(labelled, seed=seed)
    if no_rows:
        return estimate_from_trusted(labelled, *truth, seed=seed)
    classes, law = classes_of_look_alikes(labelled, seed)
    return estimate_from_trusted(labelled, *truth, predictions=classes @ law, seed=seed)


def _commands(
    found: NoiseEstimate,
    data: str | None,
    model: str | None,
    files: dict[str, str],
    same: list[str],
) -> dict[str, str]:
    """Return what may be asked next: a model from these labels, and a plan with this noise.

    Arguments:
        same: the options that say how the data were read.
    """
    commands = {}
    if data is not None:
        folder = str(Path(files["law"]).parent)
        known = [] if found.is_doubtful else ["--estimate", folder]
        commands["fit"] = shlex.join(["dilute", "fit", data, *same, *known, "--out", "model"])
    if found.alpha.value:
        clean = f"npz:{files['trusted']}" if "trusted" in files else "CLEAN_DATA"
        target = ["--target", "0.9", "--have", str(found.num_labels)]
        noise = ["--alpha", f"{found.alpha.value:.4g}", "--noise", "confusion"]
        words = ["dilute", "plan", clean, "--model", model or "mlp1", *target, *noise]
        commands["plan"] = shlex.join([*words, "--confusion", files["noise"]])
    return commands
