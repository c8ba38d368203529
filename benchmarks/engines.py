"""`make engines`: what a sweep's engine costs per run: local processes, and Ray.

A run rests for a second, as a host does while its GPU works, and trains a perceptron for one step;
so that many go on at once on few cores. Each engine in a process of its own. `--runs 50` tries it
out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from report import ROOT, machine, measured_apart, write_results

from dilute.study.pages import write_table

HERE = Path(__file__).parent
ENGINES = ("local", "ray")
REST_SECONDS = 1.0
_TELL_EVERY = 500


def rests(shape: tuple[int, ...], num_classes: int) -> Any:
    """The model of the runs, `engines:rests`: a perceptron that takes a second to make."""
    from dilute.models import build

    time.sleep(REST_SECONDS)
    return build("perceptron", shape, num_classes)


def sweep(engine: str, runs: int, workers: int) -> dict[str, float]:
    """Do `runs` runs, `workers` at once, and return how long it all took."""
    from dilute.runs import RunSpec, Store
    from dilute.sweeps import Cluster, run_sweep

    specs = [
        RunSpec(
            data="digits",
            model="engines:rests",
            num_clean=100,
            batch_size=16,
            budget_steps=1,
            curve_points=1,
            seed=seed,
        )
        for seed in range(runs)
    ]
    cluster = None
    if engine == "ray":
        import ray

        ray.init(
            num_cpus=workers, include_dashboard=False, logging_level="ERROR", log_to_driver=False
        )
        cluster = Cluster()
    ends: list[float] = []
    own: list[float] = []

    def note(progress: Any) -> None:
        if progress.ended:
            ends.append(time.perf_counter())
            own.append(progress.ended[1].seconds)
            if len(ends) % _TELL_EVERY == 0:
                print(f"{engine}: {len(ends):,} runs", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        started, cpu = time.perf_counter(), time.process_time()
        result = run_sweep(
            specs,
            folder,
            workers=None if cluster else workers,  # all places of the cluster
            threads=1,
            device="cpu",
            cluster=cluster,
            on_progress=note,
        )
        wall, cpu = time.perf_counter() - started, time.process_time() - cpu
        kept = len(Store(folder).keys())
    assert (result.done, kept) == (runs, runs), result
    # From when all workers are at work to when the first finds nothing more to do.
    steady = slice(min(10 * workers, runs // 4), runs - workers)
    times = ends[steady]
    return {
        "wall_seconds": wall,
        "first_end_seconds": ends[0] - started,
        "run_seconds": statistics.fmean(own[steady]),
        "place_seconds_per_run": workers * (times[-1] - times[0]) / (len(times) - 1),
        "sender_cpu_seconds_per_run": cpu / runs,
    }


def measure(engine: str, runs: int, workers: int) -> dict[str, float]:
    arguments = ["--measure", engine, "--runs", str(runs), "--workers", str(workers)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path[1:]])}
    return measured_apart(__file__, *arguments, environment=environment)


def table(results: dict[str, Any]) -> str:
    engines = results["engines"]
    rows = {
        "engine, store and progress per run, ms": [
            f"{1000 * (found['place_seconds_per_run'] - found['run_seconds']):.0f}"
            for found in engines.values()
        ],
        "CPU time of the process that sends the runs, per run, ms": [
            f"{1000 * found['sender_cpu_seconds_per_run']:.1f}" for found in engines.values()
        ],
        "the run itself (its record's seconds), s": [
            f"{found['run_seconds']:.3f}" for found in engines.values()
        ],
        "start until the first run has ended, s": [
            f"{found['first_end_seconds']:.1f}" for found in engines.values()
        ],
        "all runs, s": [f"{found['wall_seconds']:,.0f}" for found in engines.values()],
    }
    lines = [f"| | {' | '.join(engines)} |", "| --- |" + " --- |" * len(engines)]
    lines += [f"| {name} | {' | '.join(values)} |" for name, values in rows.items()]
    lines += [
        "",
        f"{results['runs']:,} one-second runs with each engine, {results['workers']} at once; one "
        f"sweep of each. "
        f"A run rests for a second and trains a perceptron for one step. {results['machine']}.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=12, help="runs at once")
    parser.add_argument("--dry", action="store_true", help="print the table and write no file")
    parser.add_argument("--measure", choices=ENGINES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(sweep(given.measure, given.runs, given.workers)))
        return
    results = {
        "runs": given.runs,
        "workers": given.workers,
        "engines": {engine: measure(engine, given.runs, given.workers) for engine in ENGINES},
        "machine": machine(),
    }
    text = table(results)
    print(text)
    if not given.dry:
        write_results("engines", results)
        write_table(ROOT / "docs" / "cluster.md", "engines", text)


if __name__ == "__main__":
    main()
