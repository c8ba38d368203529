"""What benchmarks leave: results as JSON, a table in a page, and which machine it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dilute.files import write_file

ROOT = Path(__file__).parent.parent


def write_results(name: str, results: dict[str, Any]) -> None:
    """Write what was measured to `results/NAME.json`."""
    content = json.dumps(results, indent=1, ensure_ascii=False)
    write_file(ROOT / "results" / f"{name}.json", f"{content}\n".encode())


def machine() -> str:
    """Return processor, cores and PyTorch of this machine."""
    import torch

    from dilute.environment import hardware, versions

    found = hardware(torch.device("cpu"))
    return f"{found['processor']}, {found['cores']} cores; PyTorch {versions()['torch']}"
