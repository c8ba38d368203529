"""`torchrun … -m dilute run`: one process among several, of which one speaks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dilute import launcher
from dilute.errors import RankError, WorldError, cut, printable

if TYPE_CHECKING:
    from dilute.world import World

_MOST_CHARACTERS = 4000


def check_command(name: str | None) -> None:
    """Refuse a command that several ranks would each do for themselves.

    Errors: `WorldError`.
    """
    size = launcher.number("WORLD_SIZE", 1)
    if size > 1 and name not in (None, "run"):
        raise WorldError(
            f"dilute {name} was started as {size} ranks (WORLD_SIZE = {size}), but only dilute run "
            "is data-parallel; start it without torchrun"
        )


class Ranks:
    """What this process knows of the others; every command finds it as its context's `obj`."""

    def __init__(self) -> None:
        self._world: World | None = None

    @contextmanager
    def joined(self, device: str | None, silence_seconds: float) -> Iterator[World]:
        """Yield the world of this process; from then on the first rank to fail speaks for all."""
        from dilute import world

        with world.joined(device, silence_seconds) as self._world:
            yield self._world

    def may_say_why(self, error: BaseException | None = None) -> bool:
        """Return whether this process says why it ends: rank 0; once they met, the first to fail.

        Arguments:
            error: why; what is wrong with this process alone it always says.
        """
        if isinstance(error, RankError):
            return True
        if self._world is not None and self._world.size > 1:
            return self._world.speaks_first()
        return launcher.number("RANK", 0) == 0

    def say_why(self, message: str, error: BaseException | None = None) -> None:
        """Say in one line why this process fails, if it is the one to say it.

        Arguments:
            error: as for `may_say_why`.
        """
        if self.may_say_why(error):
            print(
                f"dilute: {cut(printable(message), _MOST_CHARACTERS)}", file=sys.stderr, flush=True
            )
