"""`torchrun … -m dilute run`: one process among several, of which one speaks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dilute import launcher
from dilute.errors import RankError, WorldError

if TYPE_CHECKING:
    from dilute.world import World

_world: World | None = None


def check_command(name: str | None) -> None:
    """Refuse a command that several ranks would each do for themselves.

    Errors: `WorldError`.
    """
    size = launcher.number("WORLD_SIZE", 1)
    if size > 1 and name not in (None, "run"):
        raise WorldError(
            f"dilute {name} was started as {size} ranks (WORLD_SIZE = {size}), but only dilute run is data-parallel; "
            "start it without torchrun"
        )


@contextmanager
def joined(device: str | None, silence_seconds: float) -> Iterator[World]:
    """Yield the world of this process, and let the first of its ranks that fails say why for all."""
    global _world
    from dilute import world

    with world.joined(device, silence_seconds) as _world:
        yield _world


def may_say_why(error: BaseException | None = None) -> bool:
    """Return whether this process is the one that says why it ends: rank 0, or the first that fails once they have met.

    Arguments:
        error: why; what is wrong with this process alone it always says.
    """
    if isinstance(error, RankError):
        return True
    if _world is not None and _world.size > 1:
        return _world.speaks_first()
    return launcher.number("RANK", 0) == 0


def say_why(message: str, error: BaseException | None = None) -> None:
    """Say in one line why this process fails, if it is the one to say it.

    Arguments:
        error: as for `may_say_why`.
    """
    if may_say_why(error):
        print(f"dilute: {message}", file=sys.stderr, flush=True)
