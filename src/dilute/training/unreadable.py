"""Images that are skipped as they do not decode: what other ranks and earlier sessions found of them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from dilute.data import LabelledSet
from dilute.dilution import NoisySet
from dilute.world import World


def skipping(sources: Iterable[object]) -> list[LabelledSet]:
    """Return those of `sources`, each once, whose unreadable images are left out."""
    sets = dict.fromkeys(part for part in sources if isinstance(part, LabelledSet))
    return [part for part in sets if part.skips_unreadable]


class Unreadable:
    """The images of some noisy sets that could not be read so far, by source: rows, ascending.

    Arguments:
        sets: all that a training looks at; None is left out.
    """

    def __init__(self, *sets: NoisySet | None) -> None:
        blocks = (block for part in sets if part is not None for block in part.blocks)
        self._sources = skipping(block.source for block in blocks)

    def note(self, known: list[list[int]]) -> None:
        """Note what an earlier session found."""
        for source, rows in zip(self._sources, known, strict=False):
            source.note_unreadable(np.array(rows, dtype=np.int64))

    def shared(self, known: list[list[int]], world: World) -> list[list[int]]:
        """Return what any rank has found, and let each know of it; asks them nothing where nothing is skipped.

        Arguments:
            known: what this returned before, the same on every rank.
        """
        if not self._sources:
            return known
        number = sum(source.num_unreadable for source in self._sources)
        if not world.any(number > sum(map(len, known))):
            return known
        if world.size > 1:
            for source in self._sources:
                found = torch.zeros(len(source), dtype=torch.int32)
                found[source.unreadable_rows()] = 1
                source.note_unreadable(np.flatnonzero(world.sum(found).numpy()))
        return [source.unreadable_rows() for source in self._sources]
