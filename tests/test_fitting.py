from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import dilute
from dilute.errors import ModelError, SpecError, StoreError
from dilute.methods import METHODS
from dilute.models.linear import perceptron
from dilute.training import load_weights, save_weights

pytestmark = pytest.mark.numerical

QUICK = {"batch_size": 32, "budget_steps": 10, "curve_points": 1}
RECIPE = dilute.Recipe(**QUICK)


def record_of(noisy: dilute.NoisySet, **options: Any) -> dilute.RunRecord:
    return dilute.fit(noisy, **{"model": "perceptron", "recipe": RECIPE, **options}).record


def test_fit_and_run_are_the_same_run(digits: dilute.Splits):
    """`dilute.fit` on a set in hand gives key and curve of the spec that describes it."""
    diluted = dilute.DilutedSet(digits.train, alpha=3, noise=dilute.Pair(), seed=2)
    fitted = dilute.fit(
        diluted, test=digits.test, model="mlp1", recipe=dilute.Recipe(**QUICK, copies=2)
    )
    spec = dilute.RunSpec(
        data="digits", model="mlp1", alpha=3, noise=dilute.Pair(), seed=2, copies=2, **QUICK
    )
    assert fitted.record.key == spec.key()
    assert fitted.record.curve == dilute.run_one(spec).record.curve


def test_fit_from_a_store(tmp_path: Path, digits: dilute.Splits):
    diluted = dilute.DilutedSet(digits.train, alpha=1)
    first = dilute.fit(diluted, model="perceptron", store=tmp_path, recipe=RECIPE)
    assert first.record.accuracy.last is None, "no test set was given"
    again = dilute.fit(diluted, model="perceptron", store=tmp_path, recipe=RECIPE)
    assert (first.was_known, again.was_known) == (False, True)
    assert again.record == first.record


def test_what_a_spec_cannot_redraw_is_known_by_its_labels(tmp_path: Path, digits: dilute.Splits):
    whole = dilute.DilutedSet(digits.train, alpha=1)
    part = dilute.DilutedSet(digits.train, alpha=1, rows=np.arange(0, 1400, 3))
    dilute.write_labels(whole, tmp_path / "labels.parquet")
    read = dilute.read_labels(tmp_path / "labels.parquet", digits.train)
    records = [record_of(noisy) for noisy in (whole, part, read)]
    assert len({record.key for record in records}) == 3
    assert records[0].curve == records[2].curve, "the same labels train the same"


def test_other_data_are_other_runs(digits: dilute.Splits):
    """The test part, another pool of images and another seed are not mistaken for one another."""
    pool = dilute.LabelledSet(
        digits.test.inputs[:50], digits.test.labels[:50], digits.test.class_names
    )
    sets = [
        dilute.DilutedSet(digits.train, 1),
        dilute.DilutedSet(digits.test, 1),
        dilute.DilutedSet(digits.train, 1, images=dilute.WhiteNoise(digits.train, 0, 50)),
        dilute.DilutedSet(digits.train, 1, images=dilute.WhiteNoise(digits.train, 9, 50)),
        dilute.DilutedSet(digits.train, 1, images=pool),
    ]
    keys = [record_of(noisy).key for noisy in sets]
    keys.append(record_of(sets[0], seed=1).key)
    keys.append(record_of(dilute.DilutedSet(digits.train, 1, seed=1)).key)
    assert len(set(keys)) == len(keys)


def test_white_noise_keeps_its_size_in_its_name(digits: dilute.Splits):
    for size, name in ((50, "white_noise:50"), (None, "white_noise")):
        noise = dilute.WhiteNoise(digits.train, 0, *([size] if size else []))
        noisy = dilute.DilutedSet(digits.train, 1, images=noise)
        record = record_of(noisy, test=digits.test)
        assert record.spec["noisy_images"] == name
        assert record.curve == (
            dilute.run_one(
                dilute.RunSpec(
                    data="digits", model="perceptron", alpha=1, noisy_images=name, **QUICK
                )
            ).record.curve
        )


def test_the_sets_own_facts_cannot_be_given_again(digits: dilute.Splits):
    """`fit` has no argument for them; a spec with some of its own cannot go with a set."""
    noisy = dilute.DilutedSet(digits.train, 1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'alpha'"):
        record_of(noisy, alpha=10)
    spec = dilute.RunSpec(data="digits", model="perceptron", num_clean=10)
    with pytest.raises(SpecError, match=r"^num_clean = 10 cannot be given beside a noisy set"):
        dilute.Material.of(spec, splits=digits, noisy=noisy)


def test_bad_options_are_one_line(digits: dilute.Splits):
    noisy = dilute.DilutedSet(digits.train, 1)
    with pytest.raises(SpecError, match=r"^heldout_fraction = 2: it should be[^\n]*$"):
        record_of(noisy, heldout_fraction=2)
    with pytest.raises(SpecError, match=r"^heldout_labels cannot be given beside a held-out set"):
        record_of(noisy, heldout=digits.test, heldout_labels="clean")
    with pytest.raises(SpecError, match=r"^the method is given as mae and, in the recipe, as gce"):
        dilute.fit(noisy, model="mlp1", method="mae", recipe=dilute.Recipe(method="gce"))


def test_a_test_set_given_later_is_used(tmp_path: Path, digits: dilute.Splits):
    diluted = dilute.DilutedSet(digits.train, alpha=1)
    assert record_of(diluted, store=tmp_path).num_test is None
    record = record_of(diluted, test=digits.test, store=tmp_path)
    assert record.accuracy.last is not None


def test_selection_by_a_clean_set_of_its_own(tmp_path: Path, digits: dilute.Splits):
    diluted = dilute.DilutedSet(digits.train, alpha=1)
    clean = dilute.LabelledSet(
        digits.test.inputs[:100], digits.test.labels[:100], digits.test.class_names
    )
    record = record_of(diluted, heldout=clean, model="mlp1", store=tmp_path)
    assert record.selected_by == "heldout_clean_nll"
    assert record.num_heldout == 100
    assert record.num_clean == len(digits.train)


@pytest.mark.parametrize("rate", [0.05, 0.35, 1.0])
def test_rates_keep_their_value(digits: dilute.Splits, rate: float):
    record = record_of(dilute.ReplacedSet(digits.train, rate))
    assert record.spec["rate"] == rate
    assert record.key == dilute.RunSpec(data="digits", model="perceptron", rate=rate, **QUICK).key()


def test_replacement(digits: dilute.Splits):
    replaced = dilute.ReplacedSet(digits.train, rate=0.4, noise=dilute.UniformOther())
    record = record_of(replaced, model=perceptron)
    assert record.spec["rate"] == 0.4
    assert record.spec["model"] == "dilute.models.linear:perceptron"


def test_arrays_in_memory():
    features = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    clean = dilute.LabelledSet(features, np.arange(60) % 3, ("a", "b", "c"))
    record = record_of(dilute.DilutedSet(clean, alpha=1))
    assert record.spec["data"] == f"set@{clean.content_hash[:16]}"


def test_a_model_without_a_name():
    clean = dilute.LabelledSet(np.zeros((4, 2), np.float32), np.arange(4) % 2, ("a", "b"))
    with pytest.raises(ModelError, match="cannot be named in a record"):
        record_of(dilute.DilutedSet(clean, alpha=1), model=lambda shape, k: None)


def predictions(model: nn.Module, inputs: np.ndarray) -> torch.Tensor:
    with torch.inference_mode():
        return model(torch.from_numpy(np.array(inputs)))


def test_the_model_has_the_selected_weights(tmp_path: Path, digits: dilute.Splits):
    """Trained now or known to a store, with the file of weights or by `Store.load_model`."""
    noisy = dilute.DilutedSet(digits.train, alpha=2)
    recipe = dilute.Recipe(
        copies=1,
        batch_size=64,
        optimizer="sgd",
        schedule="constant",
        learning_rate=1.5,
        budget_steps=60,
        curve_points=6,
    )
    options = {"model": "mlp1", "recipe": recipe, "test": digits.test, "store": tmp_path}
    fits = [dilute.fit(noisy, **options) for _ in range(2)]
    assert [fit.was_known for fit in fits] == [False, True]
    key = fits[0].record.key
    assert fits[0].record.selected_step < 60, "else it would show nothing"
    kept, _ = load_weights(tmp_path / f"{key}.selected.safetensors")
    for model in (*(fit.model for fit in fits), dilute.Store(tmp_path).load_model(key)):
        assert not model.training
        found = predictions(model, digits.test.inputs).argmax(dim=1).numpy()
        right = (found == digits.test.labels).mean()
        assert right == pytest.approx(fits[0].record.accuracy.selected)
        assert all(torch.equal(model.state_dict()[name], kept[name]) for name in kept)
    last = predictions(dilute.Store(tmp_path).load_model(key, "last"), digits.test.inputs)
    right = (last.argmax(dim=1).numpy() == digits.test.labels).mean()
    assert right == pytest.approx(fits[0].record.accuracy.last)


def test_the_last_weights_where_nothing_selected(tmp_path: Path, digits: dilute.Splits):
    noisy = dilute.DilutedSet(digits.train, alpha=2)
    fit = dilute.fit(noisy, model="mlp1", recipe=RECIPE, heldout_fraction=0.0, store=tmp_path)
    kept = dilute.Store(tmp_path).load_model(fit.record.key).state_dict()
    assert all(torch.equal(tensor, kept[name]) for name, tensor in fit.model.state_dict().items())


def test_a_model_that_was_not_kept_is_one_line(tmp_path: Path, digits: dilute.Splits):
    spec = dilute.RunSpec(data="digits", model="perceptron", **QUICK)
    store = dilute.Store(tmp_path)
    assert store.run(spec, keep_weights=False).model is not None
    again = store.run(spec)
    assert again.was_known
    with pytest.raises(
        StoreError, match=rf"^store \S+ has no selected weights of run {again.record.key}; run"
    ):
        _ = again.model


def test_weights_of_before_need_the_training_set(tmp_path: Path, digits: dilute.Splits):
    spec = dilute.RunSpec(data="digits", model="perceptron", **QUICK)
    fit = dilute.Store(tmp_path).run(spec)
    path = tmp_path / f"{spec.key()}.selected.safetensors"
    tensors, _ = load_weights(path)
    save_weights(path, tensors, {"key": spec.key(), "which": "selected"})
    with pytest.raises(StoreError, match=r"give the training set, too \(clean=…\)$"):
        dilute.Store(tmp_path).load_model(spec.key())
    known = dilute.Store(tmp_path).run(spec).model
    for model in (known, dilute.Store(tmp_path).load_model(spec.key(), clean=digits.train)):
        found = predictions(model, digits.test.inputs)
        assert torch.equal(found, predictions(fit.model, digits.test.inputs))


def own_network(num_classes: int = 10) -> nn.Module:
    torch.manual_seed(7)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, num_classes))


def test_a_copy_of_a_network_is_trained(digits: dilute.Splits):
    network = own_network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    noisy = dilute.DilutedSet(digits.train, alpha=1)
    fits = [dilute.fit(noisy, test=digits.test, model=network, recipe=RECIPE) for _ in range(2)]
    assert all(torch.equal(network.state_dict()[name], before[name]) for name in before)
    assert re.fullmatch(r"instance:Sequential@[0-9a-f]{16}", fits[0].record.spec["model"])
    assert fits[0].record.curve == fits[1].record.curve
    assert not torch.equal(fits[0].model.network[1].weight, before["1.weight"])
    other = own_network()
    other[1].bias.data += 1
    assert dilute.fit(noisy, model=other, recipe=RECIPE).record.key != fits[0].record.key


def test_a_store_keeps_and_does_not_answer_for_a_network(tmp_path: Path, digits: dilute.Splits):
    noisy = dilute.DilutedSet(digits.train, alpha=1)
    fits = [dilute.fit(noisy, model=own_network(), recipe=RECIPE, store=tmp_path) for _ in range(2)]
    assert [fit.was_known for fit in fits] == [False, False]
    key = fits[0].record.key
    assert dilute.Store(tmp_path).keys() == {key}
    with pytest.raises(ModelError, match="was given as an object and cannot be built by its name"):
        dilute.Store(tmp_path).load_model(key)


def test_a_network_that_does_not_fit_is_one_line(digits: dilute.Splits):
    noisy = dilute.DilutedSet(digits.train, alpha=1)
    with pytest.raises(ModelError, match=r"^the model of class Sequential gives \(2, 9\) for two"):
        dilute.fit(noisy, model=own_network(9), recipe=RECIPE)
    with pytest.raises(ModelError, match=r"^the model of class Linear cannot be used \([^\n]*$"):
        dilute.fit(noisy, model=nn.Linear(5, 10), recipe=RECIPE)


def test_a_method_as_an_object(digits: dilute.Splits):
    noisy = dilute.DilutedSet(digits.train, alpha=1)
    method = METHODS["gce"](q=0.5)
    record = record_of(noisy, method=method)
    assert (record.spec["method"], record.spec["method_options"]) == ("gce", {"q": 0.5})
    named = dilute.Recipe(**QUICK, method="gce", method_options={"q": 0.5})
    assert record_of(noisy, recipe=named).key == record.key
    assert record_of(noisy, method="gce", recipe=named).key == record.key
    assert record_of(noisy, method="mae").spec["method"] == "mae"


GENTLE = dilute.Recipe(**QUICK, method="gce", method_options={"q": 0.3})


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"recipe": "fast"}, SpecError, "recipe is 'fast'; give a Recipe"),
        ({"method": METHODS["gce"](), "recipe": GENTLE}, SpecError, "give them once"),
        ({"method": METHODS["gce"](q=0.5), "recipe": GENTLE}, SpecError, "has options {'q': 0.5}"),
        ({"method": METHODS["gce"]}, SpecError, "give a method's name, or a method"),
        ({"method": 3}, SpecError, "method is 3; give a method's name"),
        ({"model": nn.Sequential(nn.Flatten(), nn.LazyLinear(10))}, ModelError, "has lazy layers"),
        ({"model": nn.Linear(64, 10).requires_grad_(False)}, ModelError, "has nothing to train"),
    ],
)
def test_what_is_no_method_or_no_model_yet_is_refused(
    digits: dilute.Splits, options: dict[str, Any], error: type[Exception], says: str
):
    with pytest.raises(error, match=says):
        record_of(dilute.DilutedSet(digits.train, alpha=1), **options)


def test_weights_that_cannot_be_are_refused_in_their_own_words(
    tmp_path: Path, digits: dilute.Splits
):
    """A run that diverged keeps no weights, and doing it again brings none."""
    noisy = dilute.DilutedSet(digits.train, alpha=2)
    done = record_of(noisy, store=tmp_path)
    with pytest.raises(StoreError, match="which = 'best' cannot be; give selected or last"):
        dilute.Store(tmp_path).load_model(done.key, "best")  # type: ignore[arg-type]
    broken = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    nn.init.constant_(broken[1].weight, float("nan"))
    diverged = record_of(noisy, model=broken, store=tmp_path)
    assert diverged.status == "diverged"
    with pytest.raises(StoreError, match=f"run {diverged.key} diverged; no weights are kept"):
        dilute.Store(tmp_path).load_model(diverged.key)


def test_what_is_no_set_is_refused(digits: dilute.Splits):
    with pytest.raises(SpecError, match=r"data is of type Splits; give inputs with labels"):
        record_of(digits)  # type: ignore[arg-type]

    noisy = dilute.DilutedSet(digits.train, alpha=0)
    assert record_of(noisy, recipe=GENTLE, method=METHODS["gce"](q=0.3)).status == "done"
