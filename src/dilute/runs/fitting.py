"""The library's one-liner: a noisy set in hand, a record out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import nn

from dilute.data import LabelledSet, Splits
from dilute.dilution import NoisySet
from dilute.errors import ModelError, SpecError, validation_line
from dilute.runs.record import RunRecord
from dilute.runs.running import Execution, run_one
from dilute.runs.spec import RunSpec
from dilute.runs.store import Store

_OF_THE_SET = {"data", "num_clean", "alpha", "rate", "noise", "noisy_images", "labels_hash"}


def fit(
    noisy: NoisySet,
    *,
    model: str | Callable[..., nn.Module],
    test: LabelledSet | None = None,
    heldout: LabelledSet | None = None,
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
        heldout: clean labels to select the model by; without them a share of the noisy set is held out.
        store: a folder to answer from, and to keep record, weights and checkpoints in; none if None.
        force: run even if the store has the answer.
        execution: device, threads and the like.
        options: fields of `Recipe`, as `copies`, `batch_size`, `learning_rate` or `budget_steps`, and
            `heldout_fraction`, `heldout_labels`, `seed`. Without `seed` it is the noisy set's.

    Errors: `DiluteError`s for what the user can mend.
    """
    own = sorted(set(options) & _OF_THE_SET)
    if own:
        raise SpecError(
            f"{', '.join(own)} cannot be given beside a noisy set, which has its own; make another set"
        )
    clean = noisy.clean
    name = clean.name or f"set@{clean.content_hash[:16]}"
    splits = Splits(name, clean, test, "in memory")
    if heldout is not None:
        options |= judged_by(heldout)
    spec = spec_for(noisy, name, model=_model_name(model), **options)
    execution = execution or Execution()
    if store is None:
        return run_one(spec, execution, splits=splits, noisy=noisy, heldout=heldout).record
    kept = Store(store)
    return kept.run(spec, execution, splits=splits, noisy=noisy, heldout=heldout, force=force)[0]


def judged_by(heldout: LabelledSet) -> dict[str, Any]:
    """Return the fields of a `RunSpec` whose model is selected by the clean set `heldout`."""
    return {
        "heldout_fraction": 0.0,
        "heldout_labels": "clean",
        "heldout_hash": heldout.content_hash,
    }


def spec_for(noisy: NoisySet, data: str, **options: Any) -> RunSpec:
    """Return the spec of a run on a noisy set in hand.

    Arguments:
        data: the name of the data that it was made from.
        options: fields of `RunSpec` that do not describe the set, as for `fit`.

    Errors: `SpecError` for an option that is out of range or unknown.
    """
    pools = [getattr(block.source, "name", "") or "white_noise" for block in noisy.blocks[1:]]
    seed = options.setdefault("seed", noisy.seed)
    is_drawn = (
        noisy.is_redrawable and noisy.n == len(noisy.clean) and seed == noisy.seed and not pools
    )
    try:
        return RunSpec(
            data=data,
            noise=noisy.noise,
            alpha=noisy.amount if noisy.kind == "dilution" else None,
            rate=noisy.amount if noisy.kind == "replacement" else None,
            noisy_images=pools[0] if pools else "same",
            labels_hash=None if is_drawn else noisy.content_hash(),
            **options,
        )
    except ValidationError as error:
        raise SpecError(validation_line(error)) from None


def _model_name(model: str | Callable[..., nn.Module]) -> str:
    if isinstance(model, str):
        return model
    name = f"{getattr(model, '__module__', '')}:{getattr(model, '__qualname__', '')}"
    if "<" in name or "." in name.partition(":")[2] or name.startswith(("__main__", ":")):
        raise ModelError(
            f"model {model!r} cannot be named in a record; define it as a function at the top of a "
            "module, or give module:callable"
        )
    return name
