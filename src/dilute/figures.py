"""Pictures of noisy sets and of runs, written as PNG or SVG."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dilute.dilution import NoisySet
from dilute.errors import cut, printable
from dilute.files import as_path, write_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from dilute.runs import RunRecord

# Okabe and Ito's colours, which people with any colour vision tell apart.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
_DPI = 150
_MOST_NUMBERS = 20
_WRONG, _RIGHT = "#B00020", "#00703C"


def save(figure: Figure, path: Path | str) -> None:
    """Write `figure` to a `.png` or `.svg` file, wholly or not at all, and equal for equal figures.

    Text in it is text: nothing in it is read as a formula, and what cannot be printed is shown as
    escapes.

    `path` may be an address in object storage.

    Errors: `StoreError` if it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    path = as_path(path)
    FigureCanvasAgg(figure)
    kind = path.suffix.removeprefix(".")
    undated = {"Date": None} if kind == "svg" else {}
    _as_text(figure)
    with warnings.catch_warnings():
        # A name in a script that the font lacks is shown as boxes; that needs no warning.
        warnings.filterwarnings("ignore", "Glyph")
        write_file(path, lambda f: figure.savefig(f, format=kind, dpi=_DPI, metadata=undated))


def _as_text(figure: Figure) -> None:
    """Keep Matplotlib from reading formulas in what is written in `figure`.

    The exponents at logarithmic axes, which are formulas, stay.
    """
    from matplotlib.text import Text
    from matplotlib.ticker import FixedFormatter, FuncFormatter

    axes = figure.axes
    own = [axis for one in axes for axis in (one.xaxis, one.yaxis)]
    ticks: set[Any] = set()
    for axis in own:
        formatter = axis.get_major_formatter()
        if isinstance(formatter, FixedFormatter | FuncFormatter):
            axis.set_major_formatter(FuncFormatter(_printable_ticks(formatter)))
        else:
            ticks.update(id(text) for text in axis.findobj(Text) if text is not axis.label)
    for text in figure.findobj(Text):
        if id(text) not in ticks:
            text.set_parse_math(False)
            text.set_text("\n".join(map(printable, text.get_text().split("\n"))))


def _printable_ticks(formatter: Any) -> Callable[[float, int | None], str]:
    return lambda value, place: printable(formatter(value, place))


def draw_labels(noisy: NoisySet, path: Path | str, *, rows: int = 2, columns: int = 5) -> None:
    """Draw some images with their true label and the labels that training sees for them.

    Arguments:
        noisy: a set of images.
        path: the PNG to write.
        rows, columns: how many images; one of each class first.
    """
    from matplotlib.figure import Figure

    block = noisy.blocks[0]
    true_labels = noisy.true_labels
    firsts = [int(np.flatnonzero(true_labels == k)[0]) for k in np.unique(true_labels)]
    rest = [i for i in range(len(block)) if i not in set(firsts)]
    figure = Figure(figsize=(2.4 * columns, 2.75 * rows + 0.7))
    figure.set_layout_engine("constrained", hspace=0.1)
    figure.suptitle(
        f"What training sees: one right label and {noisy.alpha:g} drawn at random for each image,\n"
        "without being told which is which",
        fontsize=12,
    )
    for axes, image in zip(
        np.ravel(figure.subplots(rows, columns)), [*firsts, *rest][: rows * columns], strict=False
    ):
        _draw_image(axes, block.source.gather(block.rows[[image]])[0])
        labels = block.labels[image, : int(block.lengths(np.array([image]))[0])]
        true_name = noisy.clean.class_names[true_labels[image]]
        axes.set_title(f"true label: {cut(true_name, 18)}", fontsize=10, parse_math=False)
        _write_labels(
            axes, [noisy.clean.class_names[k] for k in labels], true_labels[image] == labels
        )
    save(figure, path)


def _write_labels(axes: Axes, names: Sequence[str], is_right: Any) -> None:
    """Write two lines of label names under an image: the true class green, others red."""
    per_line = 11 if max(map(len, names)) == 1 else 5
    shown = 2 * per_line - 1
    spacing = 1.12 / per_line
    for number, name in enumerate(names[:shown]):
        line, column = divmod(number, per_line)
        axes.text(
            -0.02 + column * spacing,
            -0.1 - 0.12 * line,
            name[:4],
            transform=axes.transAxes,
            fontsize=9,
            fontweight="bold" if is_right[number] else "normal",
            color=_RIGHT if is_right[number] else _WRONG,
            parse_math=False,
        )
    if len(names) > shown:
        axes.text(
            1,
            -0.34,
            f"… {len(names) - shown} more",
            transform=axes.transAxes,
            fontsize=7,
            ha="right",
        )


def _draw_image(axes: Axes, image: Any) -> None:
    if image.shape[0] == 1:
        axes.imshow(image[0], cmap="gray_r", vmin=0, vmax=255)
    else:
        axes.imshow(np.moveaxis(image, 0, -1))
    axes.set_xticks([])
    axes.set_yticks([])


def draw_curves(records: Sequence[RunRecord], path: Path | str, *, title: str) -> None:
    """Draw test accuracy along each run, a colour per amount of noise and method.

    The selected model is marked.

    Arguments:
        records: finished runs with a curve.
        path: the PNG to write.
        title: above the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.subplots()
    kinds = sorted({_kind(record) for record in records})
    for record in records:
        number = kinds.index(_kind(record))
        points = [point for point in record.curve if point.test_accuracy is not None]
        steps = [point.step for point in points]
        accuracies = [100 * (point.test_accuracy or 0.0) for point in points]
        is_first = record is next(r for r in records if _kind(r) == _kind(record))
        axes.plot(
            steps,
            accuracies,
            color=COLOURS[number % len(COLOURS)],
            marker=".",
            label=_curve_label(record) if is_first else None,
        )
        chosen = [i for i, step in enumerate(steps) if step == record.selected_step]
        axes.plot(
            [steps[i] for i in chosen],
            [accuracies[i] for i in chosen],
            color=COLOURS[number % len(COLOURS)],
            marker="o",
            markersize=10,
            markerfacecolor="none",
            linestyle="none",
        )
    axes.set_xlabel(f"steps (batches of {records[0].spec['batch_size']} images)")
    axes.set_ylabel(f"{records[0].measure}, % (n = {records[0].num_test or 0:,})")
    axes.set_ylim(0, 101)
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    axes.legend(
        title="noisy examples per clean one\n(circle: model chosen on held-out noisy labels)",
        loc="lower right",
    )
    axes.set_title(title, fontsize=12)
    save(figure, path)


def _kind(record: RunRecord) -> tuple[float, str]:
    return record.spec["alpha"], record.spec["method"]


def _curve_label(record: RunRecord) -> str:
    alpha, method = _kind(record)
    return noise_label(alpha) + ("" if method == "cross_entropy" else f", {method}")


def noise_label(alpha: float) -> str:
    """Return how a legend names an amount of dilution."""
    return f"{alpha:g}" if alpha else "0 (clean)"


def draw_matrix(
    shares: NDArray[np.float64],
    class_names: Sequence[str],
    path: Path | str,
    *,
    rows: str,
    columns: str,
    title: str,
) -> None:
    """Draw a matrix of shares of each row, in per cent.

    Arguments:
        shares: float64 `[K, K]`, 0 to 1.
        class_names: K names.
        path: the PNG or SVG file to write.
        rows, columns: what they are, in words.
        title: above the picture.

    Errors: `StoreError` if the file cannot be written.
    """
    from matplotlib.figure import Figure

    size, most = len(shares), float(shares.max())
    inches = min(12.0, 3.2 + 0.42 * min(size, _MOST_NUMBERS))
    figure = Figure(figsize=(inches + 0.8, inches + 0.4), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100 * most)
    if size <= _MOST_NUMBERS:
        for (row, column), share in np.ndenumerate(shares):
            colour = "white" if share > most / 2 else "black"
            where: Any = {"ha": "center", "va": "center", "fontsize": 7, "color": colour}
            axes.text(column, row, f"{100 * share:.0f}", **where)
        names = [cut(name, 12) for name in class_names]
        style: Any = {"fontsize": 7, "parse_math": False}
        axes.set_xticks(np.arange(size), names, rotation=45, ha="right", **style)
        axes.set_yticks(np.arange(size), names, **style)
    axes.set_xlabel(columns, fontsize=8)
    axes.set_ylabel(rows, fontsize=8)
    axes.set_title(title, fontsize=8)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("share of the row, %", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    save(figure, path)
