"""`python benchmarks/sweep.py`: what sweeping costs, and how to share two cores.

Writes results/sweep.md.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from typing import Any

from report import ROOT, Rows, measured_table, spread

from dilute.files import write_file
from dilute.runs import Accuracy, RunRecord, RunSpec, Store
from dilute.sweeps import run_sweep
from dilute.training import CurvePoint

ROUNDS = 3
TINY_RUNS = 200
RECORDS = 10_000
SHARES = ((2, 1), (1, 2))  # workers, threads of each


def conv4(seed: int) -> RunSpec:
    return RunSpec(
        data="mnist5k", model="conv4", alpha=20, batch_size=128, budget_steps=100, seed=seed
    )


def shares() -> Rows:
    """Images per second of all workers together in training, for each way to share the cores."""
    rates: dict[tuple[int, int], list[float]] = {share: [] for share in SHARES}
    for number in range(ROUNDS):
        for workers, threads in SHARES:
            specs = [conv4(workers * number + worker) for worker in range(workers)]
            with tempfile.TemporaryDirectory() as folder:
                run_sweep(specs, folder, workers=workers, threads=threads, device="cpu")
                found = [record.images_per_second or 0.0 for record in Store(folder).records()]
            rates[workers, threads].append(sum(found))
    ratios = [a / b for a, b in zip(*rates.values(), strict=True)]
    rows = [
        (
            f"  {workers} {'processes' if workers > 1 else 'process'} × {threads} "
            f"{'threads' if threads > 1 else 'thread'}, images/s in all",
            spread(found, "{:,.0f}"),
            "",
        )
        for (workers, threads), found in rates.items()
    ]
    return [("Conv4, 2 × 1 over 1 × 2, images/s", spread(ratios), "> 1"), *rows]


def overhead() -> Rows:
    """Seconds of a worker per run beyond the run's own, and until the first run ends."""
    specs = [
        RunSpec(
            data="digits",
            model="perceptron",
            num_clean=100,
            batch_size=16,
            budget_steps=1,
            curve_points=1,
            seed=seed,
        )
        for seed in range(TINY_RUNS)
    ]
    ends: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run_sweep(
            specs,
            folder,
            workers=1,
            threads=1,
            device="cpu",
            on_progress=lambda now: ends.append(time.perf_counter()) if now.ended else None,
        )
        own = [record.seconds for record in Store(folder).records()]
    between = statistics.median(b - a for a, b in itertools.pairwise(ends[10:]))
    inside = statistics.median(own)
    return [
        (
            f"Engine and store per run, of {TINY_RUNS} tiny runs, ms",
            f"{1000 * (between - inside):.1f}",
            "",
        ),
        ("  the run itself, ms", f"{1000 * inside:.1f}", ""),
        ("  start until the first has ended, s", f"{ends[0] - started:.1f}", ""),
    ]


def table() -> Rows:
    """Seconds of `store.table()`: without its cache, with it, and with it after one more record."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        for number in range(RECORDS):
            store.put(made_up(number))
        times = {"cold": timed(store), "warm": timed(store)}
        store.put(made_up(RECORDS))
        times["warm, one record new"] = timed(store)
    return [
        (f"`store.table()` of {RECORDS:,} records, {name}, s", f"{seconds:.2f}", bar)
        for (name, seconds), bar in zip(times.items(), ("", "< 1", ""), strict=True)
    ]


def timed(store: Store) -> float:
    started = time.perf_counter()
    rows = len(store.table())
    assert rows >= RECORDS, rows
    return time.perf_counter() - started


def made_up(number: int) -> RunRecord:
    """Return a record of the usual size that no run made; it stays in a temporary folder."""
    spec = RunSpec(data="digits", model="mlp1", alpha=number % 100, seed=number)
    point: dict[str, Any] = {"images": 1000, "examples": 1000, "train_loss": 0.5}
    return RunRecord(
        key=spec.key(),
        status="done",
        spec=spec.canonical(),
        accuracy=Accuracy(last=0.5, selected=0.5),
        curve=[CurvePoint(step=step, **point) for step in range(10)],
        seconds=1.0,
        code="made up",
        started="2000-01-01T00:00:00+00:00",
    )


def main() -> None:
    table_of_all = measured_table([table, overhead, shares])
    text = f"# Sweeps\n\nWritten by `python benchmarks/sweep.py`.\n\n{table_of_all}"
    print(text)
    write_file(ROOT / "results" / "sweep.md", text.encode())


if __name__ == "__main__":
    main()
