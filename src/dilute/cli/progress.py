"""Progress of a run and of a sweep: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dilute.cli.console import duration, say

if TYPE_CHECKING:
    from dilute.runs import RunRecord
    from dilute.sweeps import SweepProgress
    from dilute.training import Trained

_STATE_EVERY_SECONDS = 60.0
_COUNT_EVERY_SECONDS = 10.0


@contextmanager
def training_progress(
    title: str, *, quiet: bool = False
) -> Iterator[Callable[[int, int, Trained], None]]:
    """Yield an `on_step` that shows progress: a bar on a terminal, lines elsewhere.

    Arguments:
        quiet: show nothing.
    """
    if quiet:
        yield lambda step, num_steps, trained: None
    elif sys.stderr.isatty():
        yield from _bar(title)
    else:
        yield _lines(title)


def _bar(title: str) -> Iterator[Callable[[int, int, Trained], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("steps · {task.fields[rate]} · {task.fields[accuracy]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=5) as progress:
        task = progress.add_task(title, total=None, rate="starting", accuracy="no accuracy yet")

        def on_step(step: int, num_steps: int, trained: Trained) -> None:
            rate = f"{step / max(trained.training_seconds, 1e-9):,.1f} steps/s"
            accuracy = _accuracy(trained) or "no accuracy yet"
            progress.update(task, completed=step, total=num_steps, rate=rate, accuracy=accuracy)

        yield on_step


def _lines(title: str) -> Callable[[int, int, Trained], None]:
    shown = 0
    started = time.monotonic()
    first_step = None

    def on_step(step: int, num_steps: int, trained: Trained) -> None:
        nonlocal shown, first_step
        if first_step is None:
            first_step, shown = step, len(trained.curve)
            say(
                f"{title}: {'started' if step == 1 else f'resumed at step {step - 1}'}, "
                f"{num_steps} steps"
            )
        if len(trained.curve) == shown:
            return
        shown = len(trained.curve)
        left = (time.monotonic() - started) / (step - first_step + 1) * (num_steps - step)
        accuracy = _accuracy(trained)
        say(
            f"{title}: step {step}/{num_steps}{', ' + accuracy if accuracy else ''}, "
            f"{left:.0f} s left"
        )

    return on_step


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
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    console = Console(stderr=True)
    with Progress(*columns, console=console, refresh_per_second=5) as progress:
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
    shown = f"test accuracy {accuracy:.1%}" if accuracy is not None else "done"
    return f"{label}: {shown}, {duration(record.seconds)}"


def _accuracy(trained: Trained) -> str | None:
    if not trained.curve or trained.curve[-1].test_accuracy is None:
        return None
    return f"test accuracy {trained.curve[-1].test_accuracy:.1%}"
