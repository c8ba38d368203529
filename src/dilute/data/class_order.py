"""The order of classes, in every kind of source."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WHOLE_NUMBER = re.compile("-?[0-9]{1,18}")


def in_class_order(names: Iterable[str]) -> list[str]:
    """Return the distinct names in the order of classes: as numbers if all are whole, else as text.

    Arguments:
        names: class names, in any order, repeated or not.
    """
    distinct = sorted(set(names))
    if all(_WHOLE_NUMBER.fullmatch(name) for name in distinct):
        return sorted(distinct, key=int)  # which leaves "01" before "1"
    return distinct
