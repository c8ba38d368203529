"""Images that are skipped because they do not decode: what all ranks and sessions found of them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from dilute.data import LabelledSet
from dilute.dilution import NoisySet
from dilute.world import World


def skipping(sources: Iterable[object]) -> list[LabelledSet]:
    """Return those of `sources`, each once, of which images that do not decode are left out."""
    sets = dict.fromkeys(part for part in sources if isinstance(part, LabelledSet))
    return [part for part in sets if part.unreadable is not None]


class Unreadable:
    """The images of some noisy sets that were found not to decode: rows by source.

    Arguments:
        sets: all that a training looks at; None is left out.
    """

    def __init__(self, *sets: NoisySet | None) -> None:
        blocks = (block for part in sets if part is not None for block in part.blocks)
        self._sources = skipping(block.source for block in blocks)
        self._found = [
            source.unreadable for source in self._sources if source.unreadable is not None
        ]

    def note(self, known: list[list[int]]) -> None:
        """Note what an earlier session found."""
        for found, rows in zip(self._found, known, strict=False):
            found.update(rows)

    def shared(self, known: list[list[int]], world: World) -> list[list[int]]:
        """Return what any rank has found, rows ascending, and note it on each rank.

        Where nothing is skipped, it asks no other rank.

        Arguments:
            known: what this returned before, the same on every rank.
        """
        if not self._sources or not world.any(sum(map(len, self._found)) > sum(map(len, known))):
            return known
        if world.size > 1:
            for source, found in zip(self._sources, self._found, strict=True):
                marks = torch.zeros(len(source), dtype=torch.int32)
                marks[sorted(found)] = 1
                found.update(np.flatnonzero(world.sum(marks).numpy()).tolist())
        return [sorted(found) for found in self._found]
