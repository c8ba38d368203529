"""The records of a study's runs in a store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dilute.errors import StoreError
from dilute.runs import RunRecord, RunSpec, Store


def find_records(specs: Sequence[RunSpec], store: Store) -> list[RunRecord | None]:
    """Return the record of each run, or None.

    The images of noisy examples may be a part of a public set, which records name by its content
    (`cifar100@0123…`): the store may have come from a machine that has another part, or the whole.
    """
    found = [store.get(spec.key()) for spec in specs]
    if all(found):
        return found
    by_plain_names = {_plain(record.spec): record for record in store.records()}
    return [
        record or by_plain_names.get(_plain(spec.canonical()))
        for record, spec in zip(found, specs, strict=True)
    ]


def present_records(specs: Sequence[RunSpec], store: Store) -> list[RunRecord]:
    """Return the records of the runs that the store has."""
    return [record for record in find_records(specs, store) if record is not None]


def all_records(specs: Sequence[RunSpec], store: Store, what: str) -> list[RunRecord]:
    """Return the record of each run.

    Arguments:
        what: whose runs they are, for the error.

    Errors: `StoreError` if the store lacks one.
    """
    records = present_records(specs, store)
    if len(records) < len(specs):
        raise StoreError(
            f"store {store.folder} lacks {len(specs) - len(records)} of the {len(specs)} runs of "
            f"{what}; leave out --draw-only to train them"
        )
    return records


def _plain(spec: Mapping[str, Any]) -> str:
    """Return a run's canonical spec as text, without the hash in the name of its noisy images."""
    plain = {"noisy_images": str(spec["noisy_images"]).partition("@")[0]}
    return json.dumps({**spec, **plain}, sort_keys=True)
