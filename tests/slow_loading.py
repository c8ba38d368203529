"""A run whose loader worker is slow at one batch, for the tests that interrupt it just then."""

from __future__ import annotations

import sys
import time
from pathlib import Path

SLOW_COMMAND = """
import sys, time
from pathlib import Path
from dilute.dilution import Visits

class Slowly(Visits):
    def batch(self, start, stop):
        mark = Path(sys.argv[1])
        if start >= 64 and not mark.exists():
            mark.touch()
            time.sleep(3)
        return super().batch(start, stop)

import dilute.training.loop
dilute.training.loop.Visits = Slowly
from dilute.cli import main
sys.exit(main(sys.argv[2:]))
"""


def slow_run(mark: Path, store: Path) -> list[str]:
    options = [
        "run",
        "digits",
        "--model",
        "mlp1",
        "--alpha",
        "1",
        "--steps",
        "30",
        "--threads",
        "1",
    ]
    options += ["--batch-size", "16", "--loader-workers", "1", "--store", str(store)]
    return [sys.executable, "-c", SLOW_COMMAND, str(mark), *options]


def wait_for(mark: Path) -> None:
    deadline = time.monotonic() + 60
    while not mark.exists():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    time.sleep(0.7)  # until what was made before is used up
