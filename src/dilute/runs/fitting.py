"""The library's one-liner: a noisy set in hand, a model and its record out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError
from torch import nn

from dilute.data import LabelledSet, Splits
from dilute.dilution import NoisySet
from dilute.errors import ModelError, SpecError, validation_line
from dilute.extensions import name_of
from dilute.methods import Method, make_method, written
from dilute.runs.material import Material
from dilute.runs.network import check_instance, instance_name
from dilute.runs.result import Fit
from dilute.runs.running import Execution, run_one
from dilute.runs.spec import RunSpec
from dilute.runs.store import Store
from dilute.training import Recipe


def fit(
    noisy: NoisySet,
    *,
    model: str | Callable[[tuple[int, ...], int], nn.Module] | nn.Module,
    method: str | Method | None = None,
    recipe: Recipe | None = None,
    test: LabelledSet | None = None,
    heldout: LabelledSet | None = None,
    heldout_fraction: float | None = None,
    heldout_labels: Literal["noisy", "clean"] | None = None,
    seed: int | None = None,
    store: Store | Path | str | None = None,
    force: bool = False,
    execution: Execution | None = None,
) -> Fit:
    """Train a model on a noisy set, and return it with its record.

    Arguments:
        noisy: a `DilutedSet`, `ReplacedSet`, or what `read_labels` returned.
        model: a name, `module:callable`, or an importable function of (input_shape, num_classes);
            or a network, of which a copy is trained. It maps float32 inputs, scaled to mean 0 and
            deviation 1, to logits `[B, K]`. A run of such a network cannot be repeated by its key:
            a store keeps what came of it, but does not answer for it.
        method: how to learn from the labels: a name, or a method with its options. The recipe's if
            None.
        recipe: batches, optimiser, schedule and budget; the defaults of `Recipe` if None.
        test: clean labels to measure accuracy on; they choose nothing.
        heldout: clean labels that select the model; without them a share of the noisy set is held
            out.
        heldout_fraction: share of the images that is held out, 0 to below 1; 0.05 if None.
        heldout_labels: whether `"noisy"` (if None) or `"clean"` labels of that share select the
            model.
        seed: of held-out images, initialisation and order; the noisy set's if None.
        store: a folder to answer from, and to keep record, weights and checkpoints in; none if
            None.
        force: run even if the store has the answer.
        execution: device, threads and the like.

    Errors: `DiluteError`s for what the user can fix; `Interrupted` if asked to stop.
    """
    if not isinstance(noisy, NoisySet):
        raise SpecError(
            f"noisy is of type {type(noisy).__name__}; give a noisy set, as "
            "DilutedSet(data.train, alpha=20), or alpha=0 for none"
        )
    if not isinstance(recipe, Recipe | None):
        raise SpecError(f"recipe is {recipe!r}; give a Recipe, as Recipe(budget_steps=300)")
    clean = noisy.clean
    given = {"heldout_fraction": heldout_fraction, "heldout_labels": heldout_labels}
    beside = [name for name, value in given.items() if value is not None]
    if heldout is not None and beside:
        raise SpecError(
            f"{' and '.join(beside)} cannot be given beside a held-out set; leave one of them out"
        )
    network = model if isinstance(model, nn.Module) else None
    if network is not None:
        check_instance(network, clean)
    fields: dict[str, Any] = {
        **_recipe_fields(recipe or Recipe(), method),
        **given,
        "data": clean.name or f"set@{clean.content_hash[:16]}",
        "model": _model_name(model),
        "seed": noisy.seed if seed is None else seed,
    }
    try:
        spec = RunSpec(**fields)
    except ValidationError as error:
        raise SpecError(validation_line(error)) from None
    material = Material.of(
        spec,
        splits=Splits(spec.data, clean, test, "in memory"),
        noisy=noisy,
        heldout=heldout,
        network=network,
    )
    execution = execution or Execution()
    if store is None:
        return run_one(material, execution)
    store = store if isinstance(store, Store) else Store(store)
    return store.run(material, execution, force=force)


def _recipe_fields(recipe: Recipe, method: str | Method | None) -> dict[str, Any]:
    """Return the recipe's fields with the method that was given beside it."""
    fields = dict(recipe)
    if method is None:
        return fields
    if isinstance(method, str):
        name, options = written(make_method(method))
    elif isinstance(method, Method):
        name, options = written(method)
    else:
        raise SpecError(f"method is {method!r}; give a method's name, or a method, as GCE(q=0.7)")
    if "method" in recipe.model_fields_set and recipe.method != name:
        raise SpecError(
            f"the method is given as {name} and, in the recipe, as {recipe.method}; give one"
        )
    if recipe.method == name and recipe.method_options is not None:
        if not isinstance(method, str) and options != recipe.method_options:
            raise SpecError(
                f"the method {name} has options {options} and, in the recipe, "
                f"{recipe.method_options}; give them once"
            )
        options = recipe.method_options
    return {**fields, "method": name, "method_options": options or None}


def _model_name(model: str | Callable[..., nn.Module] | nn.Module) -> str:
    if isinstance(model, str):
        return model
    if isinstance(model, nn.Module):
        return instance_name(model)
    return name_of("model", model, ModelError)
