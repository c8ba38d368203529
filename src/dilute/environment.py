"""What a run ran on: versions, code, hardware, memory."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
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
_PACKAGE = Path(__file__).parent
_CHANGES_NUMBERS = (
    "data",
    "dilution",
    "gradients",
    "methods",
    "models",
    "noise",
    "runs",
    "seeds",
    "training",
    "world",
)
_GIT_SECONDS = 10


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
    """Return 12 hex digits that name the code behind a run's numbers.

    It covers the parts of this package that can change a result: data, dilution, gradients,
    methods, models, noise, runs, seeds, training and world. Commands, figures, laws and the like do
    not count.
    """
    return source_hash(*_CHANGES_NUMBERS)


@cache
def source_hash(*names: str) -> str:
    """Return 12 hex digits of the SHA-256 of some of this package's sources.

    Arguments:
        names: modules or packages, relative to this package, as `"seeds"` or `"runs/record_files"`.

    Errors: `FileNotFoundError` for a name that is not there.
    """
    digest = hashlib.sha256()
    for name in names:
        for file in _files(name):
            digest.update(file.relative_to(_PACKAGE).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _files(name: str) -> list[Path]:
    folder = _PACKAGE / name
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


@cache
def source_commit() -> str | None:
    """Return the git commit of this package's source: 40 hex digits, or None outside a repository.

    `+changes` follows if files of the package differ from the commit, new files included. A copy
    in `site-packages` has no commit, even inside someone's repository. Git is asked once per
    process (about 10 ms).
    """
    root = _PACKAGE.parent.parent
    if _PACKAGE.parent.name != "src" or not (root / ".git").exists():
        return None
    command = ["git", "--no-optional-locks", "status", "--porcelain=v2", "--branch", "--"]
    # A hook of another repository, from which a run may start, sets GIT_DIR and its like.
    environment = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    try:
        answer = subprocess.run(
            [*command, str(_PACKAGE)],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):  # no git, or a repository that it refuses
        return None
    commit = re.search(r"^# branch\.oid ([0-9a-f]{40,64})$", answer.stdout, re.MULTILINE)
    if commit is None:  # nothing is committed yet
        return None
    is_changed = any(not line.startswith("#") for line in answer.stdout.splitlines())
    return commit[1] + ("+changes" if is_changed else "")


def hardware(device: torch.device, world_size: int = 1) -> dict[str, Any]:
    """Return device, processor, cores, threads in use and memory.

    With them, the GPU's name and peak memory if it is one, and the number of ranks if several.
    """
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
    """Return the most memory that this process has held so far; None where it is unknown."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    # On Linux, getrusage would include the memory of the process that started this one.
    with suppress(OSError, StopIteration):
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
