"""The two-minute demonstration: real digits, most labels wrong, and what is left of the accuracy."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from dilute.figures import draw_curves, draw_labels
from dilute.files import make_folder
from dilute.runs import Execution, RunRecord, RunSpec, noisy_set
from dilute.store import Store
from dilute.training import Trained

ALPHAS = (0.0, 10.0, 20.0)
OnStep = Callable[[int, int, Trained], None]


@dataclass(frozen=True)
class Demonstration:
    """What the demonstration found, and the pictures that it drew."""

    sentence: str
    records: list[RunRecord]
    pictures: list[Path]


def demonstrate(
    out: Path,
    progress: Callable[[str], AbstractContextManager[OnStep]],
    execution: Execution | None = None,
) -> Demonstration:
    """Train Conv4 on 4,000 digits with 0, 10 and 20 random labels for each right one.

    Arguments:
        out: folder for pictures and records; a run whose record is there is not repeated.
        progress: from a title to a context that yields the `on_step` that shows it.
        execution: device, threads.

    Errors: `StoreError` if `out` cannot be written to; `Interrupted` if asked to stop.
    """
    import dilute.data

    make_folder(out)
    store = Store(out / "runs")
    splits = dilute.data.load("mnist5k")
    specs = [demo_spec(alpha) for alpha in ALPHAS]
    pictures = [out / "labels.png", out / "curves.png"]
    draw_labels(noisy_set(specs[-1], splits.train), pictures[0])
    records = []
    for spec in specs:
        with progress(f"alpha = {spec.alpha:g}") as on_step:
            told = Execution(
                device=execution.device if execution else None,
                threads=execution.threads if execution else None,
                on_step=on_step,
            )
            records.append(store.run(spec, told, splits=splits)[0])
    draw_curves(records, pictures[1], title="Reading digits from labels that are mostly wrong")
    return Demonstration(_sentence(records), records, pictures)


def demo_spec(alpha: float) -> RunSpec:
    """Return the demonstration's run at `alpha`."""
    return RunSpec(
        data="mnist5k", model="conv4", alpha=alpha, batch_size=128, budget_steps=240, curve_points=8
    )


def _sentence(records: list[RunRecord]) -> str:
    clean, last = records[0], records[-1]
    if last.accuracy.selected is None or clean.accuracy.selected is None:
        return f"The run at alpha = {last.spec['alpha']:g} gave no model ({last.status})."
    return (
        f"With {last.spec['alpha']:g} randomly labelled examples for each rightly labelled one ({last.wrong_rate:.0%} of "
        f"all labels wrong), the network reads {last.accuracy.selected:.1%} of {last.num_test:,} unseen digits; "
        f"with clean labels it reads {clean.accuracy.selected:.1%}. (One run each, {last.num_clean:,} training digits.)"
    )
