"""How the parts of a data set are called, in every kind of source: training, and test."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

_log = logging.getLogger("dilute.data")
TRAIN_NAMES = ("train", "training")
# The best first: where there are several, one is the test set.
TEST_NAMES = ("test", "testing", "validation", "valid", "val", "dev", "eval")
_FILE = re.compile(
    f"({'|'.join(sorted((*TRAIN_NAMES, *TEST_NAMES), key=len, reverse=True))})(set)?(?![a-z])", re.I
)


def find_parts(names: Iterable[str]) -> tuple[str | None, list[str]]:
    """Return which of `names` is the training part, and which may be the test part, the best first.

    Case does not count. Without a name of a training part, the first is None.
    """
    # Of names that differ in case alone, that in small letters wins.
    called = {name.lower(): name for name in sorted(names)}
    train = next((called[name] for name in TRAIN_NAMES if name in called), None)
    return train, [called[name] for name in TEST_NAMES if name in called]


def part_of_file(name: str) -> str | None:
    """Return the name of a part that a file's name begins with, as `test` of `Test-0.tar`, or None.

    A letter must not follow, unless they make it `testset`.
    """
    found = _FILE.match(name)
    return found[1].lower() if found else None


def part_of_key(key: str) -> tuple[str, str]:
    """Return the part and the rest of a key such as `x_train` or `train_images`, in small letters.

    Without a name of a part, it is empty.
    """
    first, _, last = key.lower().partition("_")
    for part, rest in ((first, last), (last, first)):
        if rest and part in (*TRAIN_NAMES, *TEST_NAMES):
            return part, rest
    return "", key.lower()


def say_unused(where: object, unused: Iterable[object]) -> None:
    """Name in the log what a source holds beside what is read of it."""
    if names := sorted(map(str, unused)):
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        _log.warning("%s: not used: %s%s", where, ", ".join(names[:5]), more)
