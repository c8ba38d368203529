"""What a run ran on: versions, code, hardware, memory."""

from __future__ import annotations

import hashlib
import platform
import sys
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import torch

from dilute.errors import SpecError

_LIBRARIES = ("dilute", "torch", "torchvision", "numpy")


def choose_device(name: str | None) -> torch.device:
    """Return the device `name`, or a GPU if there is one and the CPU otherwise.

    Errors: `SpecError` for a device that PyTorch does not know or this machine does not have.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise SpecError(
            f"device '{name}' cannot be used: {reason}; take cpu, or leave it out"
        ) from None
    return device


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that a result depends on."""
    return {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}


@cache
def code_hash() -> str:
    """Return 12 hex digits of the SHA-256 of this package's sources: which code made a result."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def hardware(device: torch.device, world_size: int = 1) -> dict[str, Any]:
    """Return device, processor, cores, threads in use and memory, the GPU's name if there is one, the ranks if several."""
    answer: dict[str, Any] = {
        "device": str(device),
        "processor": _processor(),
        "cores": psutil.cpu_count(logical=True),
        "threads": torch.get_num_threads(),
        "memory_bytes": psutil.virtual_memory().total,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    if world_size > 1:
        answer["world_size"] = world_size
    if device.type == "cuda":
        answer["gpu"] = torch.cuda.get_device_name(device)
        answer["gpu_peak_memory_bytes"] = torch.cuda.max_memory_allocated(device)
    return answer


def peak_memory_bytes() -> int | None:
    """Return the most memory that this process has held so far, where the platform tells."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    with suppress(
        OSError, StopIteration
    ):  # what getrusage tells on Linux includes the process's parent
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
