"""`dilute predict`: the classes of new data, by a model in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dilute.cli import console, options, progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dilute.data import Reading
    from dilute.serving import NewData, TrainedModel


@options.reading.but("resize", "clean_test")
@options.json
def predict(
    model: str,
    data: str,
    reading: Reading,
    json: bool,
    out: Path,
    top: int = 1,
    clean: bool = False,
    picture: Path | None = None,
    batch_size: int = 256,
    device: str | None = None,
    trust_code: bool = False,
) -> None:
    """Predict the classes of new data with a model that `dilute fit` wrote.

    Of each input the table has its name or row, the class, and its probability. If the data have
    labels (folders named as the model's classes are labels), it says how many agree.

    Example: `dilute predict model folder:new-images --out predictions.csv`

    Arguments:
        model: folder of the model.
        data: data to predict, as for other commands; an image, or a folder of images without
            classes, does, too.

    Options:
        clean: the labels of the data are right, so that what agrees is accuracy.
        batch_size: inputs that go through the network at once.
        device: cpu, cuda, mps, …; if not given, a GPU if there is one.
        trust_code: let the model import the code of its network, which then runs here.

    Output:
        out: table to write: a .csv, .parquet or .jsonl file.
        top: how many classes of each input to write, the likeliest first.
        picture: draw labels against predicted classes into this .png or .svg file.
    """
    from dilute.errors import SpecError
    from dilute.files import as_path, check_file
    from dilute.serving import load_model, new_data

    if out.suffix not in _WRITERS:
        raise SpecError(f"--out {out} ends in '{out.suffix}'; allowed are {', '.join(_WRITERS)}")
    if picture is not None and picture.suffix not in (".png", ".svg"):
        raise SpecError(f"--picture {picture} ends in '{picture.suffix}'; take .png or .svg")
    for path in filter(None, (out, picture)):
        check_file(as_path(path))
    trained = load_model(model, device=device, trust_code=trust_code)
    if not 1 <= top <= len(trained.class_names):
        raise SpecError(f"--top is {top}; it must be 1 to {len(trained.class_names)}, the classes")
    found = new_data(data, trained, reading)
    if picture is not None and found.labels is None:
        raise SpecError("--picture needs data with labels, and these have none; leave it out")
    probabilities = _predicted(trained, found, batch_size)
    summary = _summary(found, probabilities, clean=clean or found.are_right)
    if picture is not None:
        _draw(trained, found, probabilities, picture, summary)
    _write(out, _table(trained, found, probabilities, top))
    if json:
        console.print_json({**summary, "out": str(out)})
    else:
        print(_text(summary, out))


_WRITERS = {
    ".csv": lambda table, file: table.to_csv(file, index=False),
    ".parquet": lambda table, file: table.to_parquet(file, index=False),
    ".jsonl": lambda table, file: table.to_json(
        file, orient="records", lines=True, force_ascii=False
    ),
}


def _predicted(model: TrainedModel, found: NewData, batch_size: int) -> NDArray[np.float64]:
    """Return the probabilities of all inputs, and say on the way how many are done."""
    import numpy as np

    tell = progress.counting("inputs")
    parts = []
    for start, part in model.predictions(found.inputs, batch_size=batch_size):
        parts.append(part)
        tell(start + len(part), len(found))
    return np.concatenate(parts) if parts else np.zeros((0, len(model.class_names)))


def _table(
    model: TrainedModel, found: NewData, probabilities: NDArray[np.float64], top: int
) -> Any:
    """Return a pandas data frame with a row for each input."""
    import numpy as np
    import pandas as pd

    names = np.array(model.class_names)
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    rows: dict[str, Any] = {"row": np.arange(len(probabilities))}
    if found.names is not None:
        rows = {"name": list(found.names)}
    if found.labels is not None:
        rows["label"] = names[found.labels]
    for place in range(top):
        end = "" if place == 0 else f"_{place + 1}"
        rows[f"class{end}"] = names[order[:, place]]
        chosen = np.take_along_axis(probabilities, order[:, place, None], axis=1)[:, 0]
        rows[f"probability{end}"] = chosen.round(6)
    return pd.DataFrame(rows)


def _write(path: Path, table: Any) -> None:
    from dilute.files import as_path, write_file

    write_file(as_path(path), lambda file: _WRITERS[path.suffix](table, file))


def _summary(found: NewData, probabilities: NDArray[np.float64], *, clean: bool) -> dict[str, Any]:
    """Return how many were predicted, and how many labels agree, if there are some."""
    from dilute.runs import measure_of

    summary: dict[str, Any] = {"predicted": len(probabilities)}
    if found.labels is not None:
        agrees = float((probabilities.argmax(axis=1) == found.labels).mean())
        summary["measure"] = "accuracy" if clean else measure_of("given")
        summary["value"] = agrees
    return summary


def _text(summary: dict[str, Any], out: Path) -> str:
    lines = [f"{summary['predicted']:,} predicted, in {out}"]
    if "value" in summary:
        lines.append(f"{summary['measure']} {summary['value']:.1%} (n = {summary['predicted']:,})")
    return "\n".join(lines)


def _draw(
    model: TrainedModel,
    found: NewData,
    probabilities: NDArray[np.float64],
    path: Path,
    summary: dict[str, Any],
) -> None:
    """Draw what was predicted of each label."""
    import numpy as np

    from dilute.figures import draw_matrix

    assert found.labels is not None
    size = len(model.class_names)
    counts = np.zeros((size, size))
    np.add.at(counts, (found.labels, probabilities.argmax(axis=1)), 1)
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    title = f"{summary['measure']} {summary['value']:.1%} (n = {len(probabilities):,})"
    draw_matrix(
        shares, model.class_names, path, rows="label", columns="predicted class", title=title
    )
