"""What benchmarks share: a process for each measurement, tables, results as JSON, the machine."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from dilute.files import write_file
from dilute.study.pages import markdown_table

ROOT = Path(__file__).parent.parent

Rows = list[tuple[str, str, str]]
"""What was measured, the result, and what was to be reached."""


def measured_apart(*words: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run a Python file with its arguments in a process of its own; return what it prints last."""
    done = subprocess.run(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=environment,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def answer(measurements: Mapping[str, Callable[..., dict[str, float]]], asked: str) -> None:
    """Print what a measurement gives, in the process of its own that `measured_apart` starts.

    Arguments:
        measurements: by name.
        asked: a JSON list of the name and its arguments.
    """
    name, *arguments = json.loads(asked)
    print(json.dumps(measurements[name](*arguments)))


def spread(values: Iterable[float], form: str = "{:.2f}") -> str:
    values = sorted(values)
    median, low, high = (form.format(v) for v in (statistics.median(values), values[0], values[-1]))
    return f"{median} ({low} to {high}, n = {len(values)})"


def measured_table(sections: Iterable[Callable[[], Rows]]) -> str:
    """Measure, and return the table; each row is printed at once, since the whole takes long."""
    rows = []
    for section in sections:
        for row in section():
            rows.append(row)
            print(" | ".join(row), file=sys.stderr, flush=True)
    table = markdown_table(["measured", "result", "to reach"], rows)
    return f"{table}\n\nMedian (lowest to highest of n rounds). Machine: {machine()}.\n"


def write_results(name: str, results: dict[str, Any]) -> None:
    """Write what was measured to `results/NAME.json`."""
    content = json.dumps(results, indent=1, ensure_ascii=False)
    write_file(ROOT / "results" / f"{name}.json", f"{content}\n".encode())


def machine() -> str:
    """Return processor, cores, memory and PyTorch of this machine."""
    import torch

    from dilute.environment import hardware, versions

    found = hardware(torch.device("cpu"))
    return (
        f"{found['processor']} ({found['capability']}), {found['threads']} threads, "
        f"{found['memory_bytes'] / 2**30:.0f} GiB; PyTorch {versions()['torch']}"
    )
