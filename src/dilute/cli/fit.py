"""`dilute fit`: from labels as given to a model."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dilute.cli import console, options, progress

if TYPE_CHECKING:
    from dilute.data import LabelledSet, Reading
    from dilute.runs import Fit


@options.data
@options.training
@options.reading
@options.execution
@options.store
@options.json
def fit(
    data: str,
    training: dict[str, Any],
    reading: Reading,
    execution: dict[str, Any],
    store: str,
    json: bool,
    out: Path = Path("model"),
    estimate: Path | None = None,
    cleaned: bool = False,
    test: str | None = None,
    force: bool = False,
) -> None:
    """Train a model on labels as given, however noisy, and keep it in a folder.

    Model, method and length of training are chosen by the inputs and by what the labels show,
    unless you name them. Data in one piece are taken whole; a held-out share of them selects the
    model. The same again is answered from the store, an interrupted run goes on where it was.

    Example: `dilute fit folder:my-images --out model`

    Training:
        estimate: folder of dilute estimate on these data, whose law of labels is taken as known.
        cleaned: with --estimate: train on the rows and labels that it has cleaned instead.

    Evaluation:
        test: data whose labels are right, to measure accuracy on; they choose nothing.

    Output:
        out: folder for the model.
        force: train even if the store has the answer.
    """
    import dilute
    from dilute.data import load
    from dilute.files import as_path, check_writable
    from dilute.runs import Execution, measure_of
    from dilute.serving import check_model_folder
    from dilute.training import Recipe

    check_writable(as_path(store))
    check_model_folder(out)
    fields = {name: training.pop(name) for name in _OF_FIT if name in training}
    recipe = Recipe(**training)
    splits = load(data, reading)
    labelled = splits.whole() if not splits.train_is_clean else splits.train
    own_test = splits.test if splits.cut_rows is None or splits.train_is_clean else None
    is_clean = splits.test_is_clean
    if test is not None:
        own_test, is_clean = _test_set(test, reading, labelled), True
    measure = measure_of("clean" if is_clean else "given")
    with progress.training_progress(splits.name, measure=measure) as on_step:
        found = dilute.fit(
            labelled,
            recipe=recipe,
            estimate=estimate,
            cleaned=cleaned,
            test=own_test,
            test_is_clean=is_clean,
            store=store,
            force=force,
            execution=Execution(on_step=on_step, **execution),
            **fields,
        )
    if found.record.status != "failed":
        found.save(out, resize=reading.resize)
    if json:
        record = found.record.model_dump(mode="json")
        console.print_json({"record": record, "reasons": dict(found.reasons), "model": str(out)})
    else:
        print(_text(found, labelled, out))
    if found.record.status == "failed":
        raise typer.Exit(1)


_WIDTH = 96
_OF_FIT = ("model", "heldout_fraction", "seed")


def _test_set(name: str, reading: Reading, labelled: LabelledSet) -> LabelledSet:
    """Return the data to measure on: all of a source in one piece, else its test part."""
    from dilute.data import load, reading_for, with_classes

    splits = load(name, reading_for(name, replace(reading, clean_test=False, labels=None), [name]))
    return with_classes(splits.measured(), labelled.class_names, f"the test set {name}")


def _text(found: Fit, labelled: LabelledSet, out: Path) -> str:
    record, spec = found.record, found.record.spec
    chosen = {"model": spec["model"], "method": spec["method"], "budget": ""}
    rows = [
        ["data", f"{len(labelled):,} examples of {labelled.num_classes} classes ({spec['data']})"]
    ]
    rows.append(["labels", found.reasons.get("labels", "")])
    for name, value in chosen.items():
        why = found.reasons.get(name)
        rows.append([name, ": ".join(part for part in (value, why) if part)])
    rows += _results(found)
    if record.status == "failed":
        rows.append(["failed", str(record.message)])
    else:
        rows.append(["model in", str(out)])
    lines = [
        textwrap.fill(f"{name:10}{value}", _WIDTH, subsequent_indent=" " * 10)
        for name, value in rows
        if value
    ]
    if record.status != "failed":
        lines += ["", f"dilute predict {out} NEW_DATA --out predictions.csv"]
    return "\n".join(lines)


def _results(found: Fit) -> list[list[str]]:
    """Return what was measured, and on how many labels."""
    record = found.record
    point = next((one for one in record.curve if one.step == record.selected_step), None)
    rows = [["took", console.duration(record.seconds)]]
    if point is not None and point.heldout_accuracy is not None:
        rows.append(
            [
                "held out",
                f"agreement with given labels {point.heldout_accuracy:.1%} of "
                f"{record.num_heldout:,}, which chose the stopping point",
            ]
        )
    accuracy = record.accuracy.selected if record.selected_by else record.accuracy.last
    if accuracy is not None:
        rows.append(["test", f"{record.measure} {accuracy:.1%} of {record.num_test:,}"])
    return rows
