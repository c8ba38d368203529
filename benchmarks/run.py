"""`make bench`: every measurement in a process of its own, as ratios in one run on this machine."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dilute.files import write_file
from dilute.study.pages import write_table

HERE = Path(__file__).parent
ROUNDS = 5
TIME_LIMIT_FACTOR = 15.0


def measure(name: str, *arguments: float) -> dict[str, Any]:
    print(f"measuring {name} {' '.join(map(str, arguments))}", file=sys.stderr, flush=True)
    command = [sys.executable, str(HERE / "measure.py"), name, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def spread(values: Iterable[float], form: str = "{:.2f}") -> str:
    values = sorted(values)
    median, low, high = (form.format(v) for v in (statistics.median(values), values[0], values[-1]))
    return f"{median} ({low} to {high}, n = {len(values)})"


def speed() -> list[tuple[str, str, str]]:
    pairs = [(measure("speed_ours"), measure("speed_plain")) for _ in range(ROUNDS)]
    ours, theirs = ([pair[i]["images_per_second"] for pair in pairs] for i in (0, 1))
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return [
        ("Conv4, `copies = 1`, images/s: dilute over plain script", spread(ratios), "≥ 1.6"),
        ("  dilute, images/s", spread(ours, "{:,.0f}"), ""),
        ("  plain script, images/s", spread(theirs, "{:,.0f}"), ""),
    ]


def overhead() -> list[tuple[str, str, str]]:
    rounds = [measure("overhead") for _ in range(ROUNDS)]
    over = [100 * (found["loop_over_bare"] - 1) for found in rounds]
    ceiling = [
        found["loop_images_per_second"] / found["convolutions_images_per_second"]
        for found in rounds
    ]
    return [
        ("Loop over bare forward, backward and step, % more time", spread(over, "{:.1f}"), "≤ 3"),
        ("Loop's images/s as a share of the convolutions' alone", spread(ceiling), ""),
    ]


def time_to_target() -> list[tuple[str, str, str]]:
    ours = [measure("time_to_target_ours", seed) for seed in range(3)]
    assert all(found["accuracy"] >= 0.9 for found in ours), ours
    median = statistics.median(found["seconds"] for found in ours)
    theirs = measure("time_to_target_plain", TIME_LIMIT_FACTOR * median)
    is_there = theirs["accuracy"] >= 0.9
    bound = "" if is_there else "> "
    note = "" if is_there else f" (stopped there, at {theirs['accuracy']:.1%})"
    return [
        (
            "Training time to 90 % on MNIST at `alpha = 20`: plain script over dilute with "
            "`copies = all`",
            f"{bound}{theirs['seconds'] / median:.1f}",
            "≥ 10",
        ),
        (
            "  dilute, s (batch 128, AdamW, warm-up and linear decay over 600 steps)",
            spread([found["seconds"] for found in ours], "{:.0f}"),
            "",
        ),
        (
            "  plain script, s (batch 128, AdamW, constant 0.001)",
            f"{bound}{theirs['seconds']:.0f}{note} (n = 1)",
            "",
        ),
    ]


def memory() -> list[tuple[str, str, str]]:
    mebibytes = {
        alpha: measure("memory_ours", alpha)["peak_bytes"] / 2**20 for alpha in (0, 20, 100)
    }
    theirs = measure("memory_plain", 20)["peak_bytes"] / 2**20
    return [
        (
            "Peak memory at `alpha = 20`: plain script over dilute",
            f"{theirs / mebibytes[20]:.1f}",
            "",
        ),
        ("  dilute, MiB", f"{mebibytes[20]:,.0f}", ""),
        ("  plain script, MiB", f"{theirs:,.0f}", ""),
        (
            "Peak memory at `alpha = 100` less that at `alpha = 0`, MiB",
            f"{mebibytes[100] - mebibytes[0]:,.0f}",
            "< 95 (100 MB)",
        ),
    ]


def labels() -> list[tuple[str, str, str]]:
    found = measure("labels")
    return [
        (
            f"Drawing {found['labels']:,.0f} labels, s",
            f"{found['seconds']:.2f} (median of 5)",
            "< 1",
        )
    ]


def machine() -> str:
    code = (
        "import json, torch; from dilute.environment import hardware, versions; "
        "print(json.dumps([hardware(torch.device('cpu')), versions()]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
    )
    hardware, versions = json.loads(done.stdout)
    return (
        f"{hardware['processor']} ({hardware['capability']}), {hardware['threads']} threads, "
        f"{hardware['memory_bytes'] / 2**30:.0f} GiB; PyTorch {versions['torch']}"
    )


def main() -> None:
    sections = [labels, memory, overhead, speed, time_to_target]
    rows = []
    for section in sections:
        for row in section():
            rows.append(row)
            print(
                " | ".join(row), file=sys.stderr, flush=True
            )  # at once: the whole takes 20 minutes
    lines = [
        "| measured | result | to reach |",
        "| --- | --- | --- |",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    text = "\n".join(
        [*lines, "", f"Median (lowest to highest of n rounds). Machine: {machine()}.", ""]
    )
    print(text)
    write_file(HERE.parent / "results" / "benchmarks.md", text.encode())
    write_table(HERE.parent / "README.md", "bench", text)


if __name__ == "__main__":
    main()
