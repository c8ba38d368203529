"""`dilute.reproduce`: studies by name, from what is missing to pictures and verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dilute.runs import RunSpec, Store
from dilute.studies.known import chosen_studies
from dilute.study import Reproduction, Scale, Study, reproduce_studies
from dilute.study.finding import each_once
from dilute.study.sweeping import Sweeping


def reproduce(
    studies: str | Study | Sequence[str | Study],
    *,
    scale: Scale = "laptop",
    store: Store | Path | str = "runs",
    out: Path | str = "figures",
    draw_only: bool = False,
    sweeping: Sweeping | None = None,
) -> Reproduction:
    """Train what is missing for studies, draw them, and judge their claims.

    Arguments:
        studies: one or several: names (`fig1`, …, `all`), `my_study.py` or `module:name` for your
            own, or `Study` objects.
        scale: `"smoke"` (minutes; proves the path, judges nothing), `"laptop"` or `"paper"`.
        store: answers runs and keeps those that are trained.
        out: folder for pictures, tables and claims.
        draw_only: train nothing.
        sweeping: how runs are done, which changes no result.

    Errors: `SpecError` for a name or a scale that is not known; `StoreError` if runs are missing
        and nothing is to be trained; `DataError` for a part of a public data set; `Interrupted` if
        asked to stop.
    """
    sweeping = sweeping or Sweeping()
    kept = store if isinstance(store, Store) else Store(store)

    def train(specs: Sequence[RunSpec]) -> None:
        sweeping.train(specs, kept, allow_parts=False)

    given = [studies] if isinstance(studies, str | Study) else studies
    named = chosen_studies([one for one in given if isinstance(one, str)])
    return reproduce_studies(
        each_once([*named, *(one for one in given if isinstance(one, Study))]),
        scale,
        kept,
        Path(out),
        None if draw_only else train,
        retry_failed=sweeping.retry_failed,
        reading=sweeping.reading,
    )
