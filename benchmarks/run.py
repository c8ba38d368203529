"""`make bench`: every measurement in a process of its own, as ratios in one run on this machine."""

from __future__ import annotations

import statistics
import sys
from typing import Any

from report import ROOT, Rows, measured_apart, measured_table, spread

from dilute.files import write_file
from dilute.study.pages import write_table

MEASURE = ROOT / "benchmarks" / "measure.py"
ROUNDS = 5
TIME_LIMIT_FACTOR = 15.0


def measure(name: str, *arguments: float) -> dict[str, Any]:
    words = [name, *map(str, arguments)]
    print(f"measuring {' '.join(words)}", file=sys.stderr, flush=True)
    return measured_apart(str(MEASURE), *words)


def speed() -> Rows:
    pairs = [(measure("speed_ours"), measure("speed_plain")) for _ in range(ROUNDS)]
    ours, theirs = ([pair[i]["images_per_second"] for pair in pairs] for i in (0, 1))
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return [
        ("Conv4, `copies = 1`, images/s: dilute over plain script", spread(ratios), "≥ 1.6"),
        ("  dilute, images/s", spread(ours, "{:,.0f}"), ""),
        ("  plain script, images/s", spread(theirs, "{:,.0f}"), ""),
    ]


def overhead() -> Rows:
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


def time_to_target() -> Rows:
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


def memory() -> Rows:
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


def labels() -> Rows:
    found = measure("labels")
    return [
        (
            f"Drawing {found['labels']:,.0f} labels, s",
            f"{found['seconds']:.2f} (median of 5)",
            "< 1",
        )
    ]


def main() -> None:
    text = measured_table([labels, memory, overhead, speed, time_to_target])
    print(text)
    write_file(ROOT / "results" / "benchmarks.md", text.encode())
    write_table(ROOT / "README.md", "bench", text)


if __name__ == "__main__":
    main()
