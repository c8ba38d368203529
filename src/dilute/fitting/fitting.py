"""The library's one-liner: labels in hand, a model and its record out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError
from torch import nn

from dilute.advice import choose_method
from dilute.data import LabelledSet, Splits
from dilute.dilution import NoisySet
from dilute.errors import ModelError, SpecError, validation_line
from dilute.extensions import name_of
from dilute.fitting.choices import choose_heldout, choose_model, choose_recipe
from dilute.fitting.knowledge import with_knowledge
from dilute.methods import Method, make_method, written
from dilute.runs import Execution, Fit, Material, RunSpec, Store, run_one
from dilute.runs.network import check_instance, instance_name
from dilute.training import Recipe

AnyModel = str | Callable[[tuple[int, ...], int], nn.Module] | nn.Module


def fit(
    data: LabelledSet | NoisySet,
    *,
    model: AnyModel | None = None,
    method: str | Method | None = None,
    recipe: Recipe | None = None,
    estimate: Path | str | None = None,
    cleaned: bool = False,
    test: LabelledSet | None = None,
    test_is_clean: bool = True,
    heldout: LabelledSet | None = None,
    heldout_fraction: float | None = None,
    heldout_labels: Literal["noisy", "clean"] | None = None,
    seed: int | None = None,
    store: Store | Path | str | None = None,
    force: bool = False,
    execution: Execution | None = None,
) -> Fit:
    """Train a model on labels that may be wrong, and return it with its record.

    Labels of one's own are taken as given: how many are wrong is not known. What is not said is
    chosen by what the labels show, and `Fit.reasons` says why. Several labels for an item are
    first compared, which tells how good each annotator is.

    Arguments:
        data: inputs with labels as given; or a noisy set, as `GivenSet`, `DilutedSet`, or what
            `read_labels` returned.
        model: a name, `module:callable`, or an importable function of (input_shape, num_classes);
            or a network, of which a copy is trained. It maps float32 inputs, scaled to mean 0 and
            deviation 1, to logits `[B, K]`. A run of such a network cannot be repeated by its key:
            a store keeps what came of it, but does not answer for it. Chosen by the inputs if None.
        method: how to learn from the labels: a name, or a method with its options. If None, the
            recipe's; without one that which suits labels as given, or plain training on planted
            noise.
        recipe: batches, optimiser, schedule and budget. For labels as given, a budget that it does
            not say is 20 passes, and 1,000 steps at least.
        estimate: folder of `dilute estimate` on these labels. Its law is taken to be known, or
            those of the annotators. Without it, several labels for an item are compared first.
        cleaned: take the rows and labels that the estimate has cleaned instead of its law.
        test: labels to measure on; they choose nothing.
        test_is_clean: whether the test labels are right, so that what is measured is an accuracy;
            else it is agreement with given labels.
        heldout: clean labels that select the model; without them a share of the noisy set is held
            out.
        heldout_fraction: share of the images that is held out, 0 to below 1. If None, 0.05; of
            fewer than 10,000 items with labels as given 0.1, of fewer than 40 nothing.
        heldout_labels: whether `"noisy"` (if None) or `"clean"` labels of that share select the
            model.
        seed: of held-out images, initialisation and order; the noisy set's if None.
        store: a folder to answer from, and to keep record, weights and checkpoints in; none if
            None.
        force: run even if the store has the answer.
        execution: device, threads and the like.

    Errors: `DiluteError`s for what the user can fix; `Interrupted` if asked to stop.
    """
    if not isinstance(recipe, Recipe | None):
        raise SpecError(f"recipe is {recipe!r}; give a Recipe, as Recipe(budget_steps=300)")
    beside = {"heldout_fraction": heldout_fraction, "heldout_labels": heldout_labels}
    given: dict[str, Any] = {name: value for name, value in beside.items() if value is not None}
    if heldout is not None and given:
        raise SpecError(
            f"{' and '.join(given)} cannot be given beside a held-out set; leave one of them out"
        )
    noisy, reasons = _noisy_set(data, estimate, cleaned=cleaned)
    clean = noisy.clean
    if model is None:
        model, reasons["model"] = choose_model(clean)
    if isinstance(model, nn.Module):
        check_instance(model, clean)
    if not noisy.is_planted:
        if heldout is None:
            given.setdefault("heldout_fraction", choose_heldout(noisy.n))
        if method is None and (recipe is None or "method" not in recipe.model_fields_set):
            method, reasons["method"] = choose_method(noisy)
        num_train = noisy.n - round(given.get("heldout_fraction", 0.0) * noisy.n)
        recipe, reasons["budget"] = choose_recipe(num_train, recipe)
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
        splits=Splits(
            spec.data,
            clean,
            test,
            "in memory",
            test_is_clean=test_is_clean,
            train_is_clean=noisy.is_planted,
        ),
        noisy=noisy,
        heldout=heldout,
        network=model if isinstance(model, nn.Module) else None,
    )
    execution = execution or Execution()
    if store is None:
        return replace(run_one(material, execution), reasons=reasons)
    store = store if isinstance(store, Store) else Store(store)
    return replace(store.run(material, execution, force=force), reasons=reasons)


def _noisy_set(
    data: LabelledSet | NoisySet, estimate: Path | str | None, *, cleaned: bool
) -> tuple[NoisySet, dict[str, str]]:
    """Return the noisy set to train on, and what is known of its labels, in words."""
    if isinstance(data, LabelledSet):
        noisy, known = with_knowledge(data, estimate, cleaned=cleaned)
        return noisy, {"labels": known}
    if not isinstance(data, NoisySet):
        raise SpecError(
            f"data is of type {type(data).__name__}; give inputs with labels, as "
            "LabelledSet(images, labels), or a noisy set, as DilutedSet(data.train, alpha=20)"
        )
    if estimate is not None or cleaned:
        raise SpecError(
            "an estimate is of labels as given; give inputs with labels, as "
            "LabelledSet(images, labels), or a GivenSet with its law"
        )
    return data, {}


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


def _model_name(model: AnyModel) -> str:
    if isinstance(model, str):
        return model
    if isinstance(model, nn.Module):
        return instance_name(model)
    return name_of("model", model, ModelError)
