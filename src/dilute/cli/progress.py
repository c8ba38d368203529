"""Progress of a run and of a sweep: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dilute.cli.console import duration, say

if TYPE_CHECKING:
    from rich.progress import Progress

    from dilute.runs import RunRecord
    from dilute.sweeps import SweepProgress
    from dilute.training import Trained

_STATE_EVERY_SECONDS = 60.0
_COUNT_EVERY_SECONDS = 10.0
_FORETELL_AFTER_SECONDS, _WORTH_FORETELLING_SECONDS = 5.0, 60.0
_NO_ACCURACY = "no accuracy yet"


@contextmanager
def training_progress(
    title: str, *, measure: str = "test accuracy", quiet: bool = False
) -> Iterator[Callable[[int, int, Trained], None]]:
    """Yield an `on_step` that shows progress: a bar on a terminal, lines elsewhere.

    Arguments:
        measure: what is measured on the test set, in words.
        quiet: show nothing.
    """
    if quiet:
        yield lambda step, num_steps, trained: None
    elif sys.stderr.isatty():
        yield from _bar(title, measure)
    else:
        yield _lines(title, measure)


def _bar(title: str, measure: str) -> Iterator[Callable[[int, int, Trained], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    texts = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    rates = TextColumn("steps · {task.fields[rate]} · {task.fields[accuracy]}")
    with _shown(*texts, rates, TimeRemainingColumn(), TextColumn("left")) as progress:
        task = progress.add_task(title, total=None, rate="starting", accuracy=_NO_ACCURACY)

        def on_step(step: int, num_steps: int, trained: Trained) -> None:
            rate = f"{step / max(trained.training_seconds, 1e-9):,.1f} steps/s"
            accuracy = _accuracy(trained, measure) or _NO_ACCURACY
            progress.update(task, completed=step, total=num_steps, rate=rate, accuracy=accuracy)

        yield on_step


def _lines(title: str, measure: str) -> Callable[[int, int, Trained], None]:
    shown, first_step, has_foretold = 0, 0, False
    started = since = time.monotonic()

    def on_step(step: int, num_steps: int, trained: Trained) -> None:
        nonlocal shown, first_step, has_foretold, since
        if not first_step:
            first_step, shown, since = step, len(trained.curve), time.monotonic()
            how = "started" if step == 1 else f"resumed at step {step - 1}"
            say(f"{title}: {how}, {num_steps} steps")
        elif not has_foretold and time.monotonic() - since >= _FORETELL_AFTER_SECONDS:
            has_foretold = True
            left = (time.monotonic() - since) / (step - first_step) * (num_steps - step)
            if left >= _WORTH_FORETELLING_SECONDS:
                say(f"{title}: the steps will take about {duration(left)}, evaluations come on top")
        if len(trained.curve) == shown:
            return
        shown, has_foretold = len(trained.curve), True
        left = (time.monotonic() - started) / (step - first_step + 1) * (num_steps - step)
        parts = [f"step {step}/{num_steps}", _accuracy(trained, measure), f"{duration(left)} left"]
        say(f"{title}: {', '.join(part for part in parts if part)}")

    return on_step


def _shown(*columns: Any) -> Progress:
    from rich.console import Console
    from rich.progress import Progress

    return Progress(*columns, console=Console(stderr=True), refresh_per_second=5)


def counting(what: str) -> Callable[[int, int], None]:
    """Return an `on_progress` that says every ten seconds how many are done of how many."""
    shown = time.monotonic()

    def on_progress(done: int, total: int) -> None:
        nonlocal shown
        if time.monotonic() - shown >= _COUNT_EVERY_SECONDS:
            shown = time.monotonic()
            say(f"{done:,} of {total:,} {what}")

    return on_progress


@contextmanager
def sweep_progress() -> Iterator[Callable[[SweepProgress], None]]:
    """Yield an `on_progress` that shows a sweep.

    On a terminal it is a bar, elsewhere a line per run and the state each minute.
    """
    if sys.stderr.isatty():
        yield from _sweep_bar()
    else:
        yield _sweep_lines()


def _sweep_bar() -> Iterator[Callable[[SweepProgress], None]]:
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

    with _shown(BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}")) as progress:
        task = progress.add_task("starting", total=None)

        def on_progress(now: SweepProgress) -> None:
            if now.ended is not None:
                progress.console.print(escape(ended_line(*now.ended)), highlight=False)
            progress.update(
                task, completed=_ended(now), total=now.total, description=escape(_state(now))
            )

        yield on_progress


def _sweep_lines() -> Callable[[SweepProgress], None]:
    shown: float | None = None

    def on_progress(now: SweepProgress) -> None:
        nonlocal shown
        if now.ended is not None:
            say(f"[{_ended(now)}/{now.total}] {ended_line(*now.ended)}")
        if shown is None or time.monotonic() - shown >= _STATE_EVERY_SECONDS:
            shown = time.monotonic()
            say(f"[{_ended(now)}/{now.total}] {_state(now)}")

    return on_progress


def _ended(now: SweepProgress) -> int:
    return now.known + now.done + now.diverged + now.failed


def _state(now: SweepProgress) -> str:
    """Return what goes on in a sweep, in one line."""
    parts = [f"{_ended(now):,} of {now.total:,} runs done"]
    if now.failed:
        parts.append(f"{now.failed:,} of them failed")
    if now.waiting:
        parts.append(f"waiting for {now.waiting:,} of another sweep")
    parts.append(f"{len(now.running)} running at {now.images_per_second:,.0f} images/s")
    if now.remaining_seconds is not None:
        parts.append(f"{duration(now.remaining_seconds)} left")
    return ", ".join(parts)


def ended_line(label: str, record: RunRecord) -> str:
    """Return one line for a run that has ended."""
    if record.status != "done":
        return f"{label}: {record.status}{': ' + record.message if record.message else ''}"
    accuracy = record.accuracy.selected if record.selected_by else record.accuracy.last
    shown = f"{record.measure} {accuracy:.1%}" if accuracy is not None else "done"
    return f"{label}: {shown}, {duration(record.seconds)}"


def _accuracy(trained: Trained, measure: str) -> str | None:
    if not trained.curve or trained.curve[-1].test_accuracy is None:
        return None
    return f"{measure} {trained.curve[-1].test_accuracy:.1%}"
