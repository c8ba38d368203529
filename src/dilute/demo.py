"""The demonstration: real digits, most labels wrong, and what is left of the accuracy."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from dilute.advice.method_choice import POOLED
from dilute.figures import draw_curves, draw_labels
from dilute.methods import PLAIN
from dilute.runs import Execution, Material, RunRecord, RunSpec, Store
from dilute.training import Trained

ALPHAS = (0.0, 10.0, 20.0)
OnStep = Callable[[int, int, Trained], None]


@dataclass(frozen=True)
class Demonstration:
    """What the demonstration found, the pictures that it drew, and how many runs were known."""

    sentence: str
    records: list[RunRecord]
    pictures: list[Path]
    num_known: int


def demonstrate(
    out: Path | str,
    progress: Callable[[str], AbstractContextManager[OnStep]],
    execution: Execution | None = None,
) -> Demonstration:
    """Train Conv4 on 4,000 digits with 0, 10 and 20 random labels for each right one.

    The last is trained once more, with a method that uses all labels well.

    Arguments:
        out: folder for pictures and records; a run whose record is there is not repeated.
        progress: from a title to a context that yields the `on_step` that shows it.
        execution: device, threads.

    Errors: `StoreError` if `out` cannot be written to; `Interrupted` if asked to stop.
    """
    import dilute.data

    out = Path(out)
    store = Store(out / "runs")
    splits = dilute.data.load("mnist5k")
    specs = [*(demo_spec(alpha) for alpha in ALPHAS), demo_spec(ALPHAS[-1], POOLED)]
    pictures = [out / "labels.png", out / "curves.png"]
    draw_labels(Material.of(specs[-1], splits=splits).noisy, pictures[0])
    records = []
    num_known = 0
    for spec in specs:
        title = f"alpha = {spec.alpha:g}" + (f", {POOLED}" if spec.method == POOLED else "")
        with progress(title) as on_step:
            shown = replace(execution or Execution(), on_step=on_step)
            fit = store.run(Material.of(spec, splits=splits), shown)
        records.append(fit.record)
        num_known += fit.was_known
    draw_curves(records, pictures[1], title="Reading digits from labels that are mostly wrong")
    return Demonstration(_sentence(records), records, pictures, num_known)


def demo_spec(alpha: float, method: str = PLAIN) -> RunSpec:
    """Return the demonstration's run at `alpha`."""
    return RunSpec(
        data="mnist5k",
        model="conv4",
        alpha=alpha,
        method=method,
        batch_size=128,
        budget_steps=240,
        curve_points=8,
    )


def _sentence(records: list[RunRecord]) -> str:
    for record in records:
        if record.accuracy.selected is None:
            return (
                f"The run at alpha = {record.spec['alpha']:g} gave no model: "
                f"{record.message or record.status}."
            )
    clean, last, best = records[0], records[-2], records[-1]
    return (
        f"With {last.spec['alpha']:g} randomly labelled examples for each rightly labelled one "
        f"({last.wrong_rate:.0%} of all labels wrong), the network reads "
        f"{last.accuracy.selected:.1%} of {last.num_test:,} unseen digits; with the same labels "
        f"pooled over digits that look alike ({POOLED}, {best.seconds:.0f} s in all against "
        f"{last.seconds:.0f} s) it reads {best.accuracy.selected:.1%}; with clean labels "
        f"{clean.accuracy.selected:.1%}. (One run each, {last.num_clean:,} training digits.)"
    )
