"""The library's one-liner: a noisy set in hand, a record out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from dilute.data import LabelledSet, Splits
from dilute.dilution import NoisySet
from dilute.errors import DataError
from dilute.runs import Execution, RunRecord, RunSpec, run_one
from dilute.store import Store


def fit(
    noisy: NoisySet,
    *,
    model: str | Callable[..., nn.Module],
    test: LabelledSet | None = None,
    store: Path | str | None = None,
    force: bool = False,
    execution: Execution | None = None,
    **options: Any,
) -> RunRecord:
    """Train a model on a noisy set and return the record of it.

    Arguments:
        noisy: a `DilutedSet`, `ReplacedSet`, or what `read_labels` returned.
        model: a name, `module:callable`, or an importable function of (input_shape, num_classes).
        test: clean labels to judge by; it chooses nothing.
        store: a folder to answer from, and to keep record, weights and checkpoints in; none if None.
        force: run even if the store has the answer.
        execution: device, threads and the like.
        options: fields of `RunSpec`: `copies`, `batch_size`, `learning_rate`, `budget_steps`, `seed`, ….
            Without `seed` it is the noisy set's.

    Errors: `DiluteError`s for what the user can mend.
    """
    clean = noisy.clean
    name = clean.name or f"set@{clean.content_hash[:16]}"
    splits = Splits(name, clean, test, "in memory")
    spec = spec_for(noisy, name, model=_model_name(model), **options)
    execution = execution or Execution()
    if store is None:
        return run_one(spec, execution, splits=splits, noisy=noisy).record
    return Store(store).run(spec, execution, splits=splits, noisy=noisy, force=force)[0]


def spec_for(noisy: NoisySet, data: str, **options: Any) -> RunSpec:
    """Return the spec of a run on a noisy set in hand.

    Arguments:
        data: the name of the data that it was made from.
        options: the other fields of `RunSpec`.
    """
    pools = [block.source for block in noisy.blocks[1:]]
    is_whole = noisy.n == len(noisy.clean)
    is_plain = noisy.is_redrawable and is_whole and not pools
    amount = (
        {"rate": noisy.alpha / (1 + noisy.alpha)}
        if noisy.kind == "replacement"
        else {"alpha": noisy.alpha}
    )
    return RunSpec(
        data=data,
        noise=noisy.noise,
        labels_hash=None if is_plain else noisy.content_hash(),
        **{"seed": noisy.seed, **amount, **options},
    )


def _model_name(model: str | Callable[..., nn.Module]) -> str:
    if isinstance(model, str):
        return model
    name = f"{getattr(model, '__module__', '')}:{getattr(model, '__qualname__', '')}"
    if "<" in name or "." in name.partition(":")[2] or name.startswith(("__main__", ":")):
        raise DataError(
            f"model {model!r} cannot be named in a record; define it as a function at the top of a "
            "module, or give module:callable"
        )
    return name
