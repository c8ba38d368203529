"""Labels as given: how many are wrong is not known, and nothing says that it were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import assert_one_line
from numpy.typing import NDArray

import dilute
from dilute.data import Annotations, LabelledSet, Reading
from dilute.errors import NoiseError, SpecError
from dilute.fitting import choose_heldout, choose_model, choose_recipe
from dilute.methods import Observed
from dilute.noise import annotators_log_likelihood
from dilute.runs import RunSpec

SHORT = dilute.Recipe(budget_steps=8, curve_points=2, batch_size=32)


def wrong_labels(labels: NDArray[np.int64], share: float, seed: int = 0) -> NDArray[np.int64]:
    """Return the labels, of which a share was drawn anew from ten classes."""
    draw = np.random.default_rng(seed)
    return np.where(draw.random(len(labels)) < share, draw.integers(0, 10, len(labels)), labels)


@pytest.fixture(scope="module")
def given(digits: dilute.Splits) -> LabelledSet:
    """Digits with labels of which a good third are wrong."""
    train = digits.train
    return LabelledSet(train.inputs, wrong_labels(train.labels, 0.4), train.class_names)


@pytest.fixture(scope="module")
def annotated(digits: dilute.Splits) -> LabelledSet:
    """Digits with the labels of two good annotators and a bad one; some are missing."""
    train = digits.train
    tables = [wrong_labels(train.labels, share, k) for k, share in enumerate((0.1, 0.2, 0.9))]
    labels = np.concatenate(tables)
    items = np.tile(np.arange(len(train)), 3)
    annotators = np.repeat(np.arange(3), len(train))
    kept = (items % 4 != 0) | (annotators == 0)
    table = Annotations(
        items[kept], annotators[kept], labels[kept], len(train), 3, 10, ("Ann", "Bo", "Cy")
    )
    return LabelledSet(train.inputs, table.most_frequent(), train.class_names, annotations=table)


def test_the_noise_of_given_labels_is_not_known(given: LabelledSet, digits: dilute.Splits):
    fitted = dilute.fit(given, test=digits.test, recipe=SHORT)
    record = fitted.record
    assert (record.wrong_rate, record.noise_rate) == (None, None)
    assert (record.num_clean, record.num_noisy) == (None, None)
    assert record.num_labels == len(given) - record.num_heldout
    assert not {"alpha", "rate", "noise", "noisy_images"} & record.spec.keys()
    assert RunSpec(**record.spec).key() == record.key
    assert record.measure == "test accuracy"
    assert record.spec["method"] == "patches_estimated"
    assert "not known" in fitted.reasons["labels"]
    assert set(fitted.reasons) == {"labels", "model", "method", "budget"}


def test_what_is_said_is_not_chosen(given: LabelledSet):
    recipe = dilute.Recipe(budget_steps=5, method="gce", batch_size=16)
    fitted = dilute.fit(given, model="perceptron", recipe=recipe, heldout_fraction=0.2, seed=3)
    spec = fitted.record.spec
    named = {name: spec[name] for name in ("model", "method", "batch_size", "seed")}
    assert named == {"model": "perceptron", "method": "gce", "batch_size": 16, "seed": 3}
    assert fitted.record.num_heldout == round(0.2 * len(given))


def test_measured_against_given_labels_it_is_agreement(given: LabelledSet, digits: dilute.Splits):
    fitted = dilute.fit(given, test=digits.test, test_is_clean=False, recipe=SHORT)
    assert fitted.record.test_labels == "given"
    assert fitted.record.measure == "agreement with given labels"


def test_a_store_answers_for_the_same_test_set_alone(
    tmp_path: Path, given: LabelledSet, digits: dilute.Splits
):
    options: dict[str, Any] = {"recipe": SHORT, "model": "perceptron", "store": tmp_path}
    first = dilute.fit(given, test=digits.test, **options)
    assert dilute.fit(given, test=digits.test, **options).was_known
    as_given = dilute.fit(given, test=digits.test, test_is_clean=False, **options)
    assert as_given.was_known
    assert as_given.record.test_labels == "given"
    other = dilute.fit(given, test=digits.test.take(np.arange(100)), **options)
    assert not other.was_known
    assert other.record.key == first.record.key
    assert other.record.num_test == 100


def test_methods_that_know_the_noise_are_refused(given: LabelledSet):
    for method in ("forward_known", "patches_known", "co_teaching"):
        with pytest.raises(SpecError, match="not known of labels as given; estimate it first"):
            dilute.fit(given, method=method, recipe=SHORT)
    law = np.full((10, 10), 0.04) + 0.6 * np.eye(10)
    fitted = dilute.fit(dilute.GivenSet(given, law), method="forward_known", recipe=SHORT)
    assert fitted.record.status == "done"


def test_nothing_is_planted_beside_labels_as_given():
    with pytest.raises(ValueError, match="alpha cannot be beside labels as given"):
        RunSpec(data="digits", model="mlp1", as_given=True, alpha=2)
    with pytest.raises(ValueError, match="which labels are right is not known"):
        RunSpec(data="digits", model="mlp1", as_given=True, heldout_labels="clean")


def test_a_given_set_has_the_labels_of_all_annotators(annotated: LabelledSet):
    table = annotated.annotations
    assert table is not None
    noisy = dilute.GivenSet(annotated)
    assert np.array_equal(noisy.counts(), table.counts())
    assert len(noisy) == len(table.labels)
    assert (noisy.num_clean, noisy.num_noisy, noisy.num_wrong()) == (None, None, None)
    train, heldout = noisy.split(0.25, 1)
    assert heldout is not None
    assert train.n + heldout.n == noisy.n
    assert train.counts().sum() + heldout.counts().sum() == len(table.labels)


def test_laws_of_annotators_are_their_likelihood(annotated: LabelledSet):
    table = annotated.annotations
    assert table is not None
    laws = np.stack([np.full((10, 10), (1 - p) / 10) + p * np.eye(10) for p in (0.9, 0.8, 0.1)])
    noisy = dilute.GivenSet(annotated, annotator_laws=laws)
    expected = annotators_log_likelihood(table, laws)
    row = int(np.flatnonzero(np.bincount(table.items) == 3)[0])
    by_hand = sum(
        np.log(laws[annotator][:, label])
        for item, annotator, label in zip(table.items, table.annotators, table.labels, strict=True)
        if item == row
    )
    assert np.allclose(expected[row], by_hand)
    assert np.allclose(Observed(noisy).log_likelihood(), expected)
    with pytest.raises(SpecError, match="laws of 2 annotators, but the labels are of 3"):
        dilute.GivenSet(annotated, annotator_laws=laws[:2])
    with pytest.raises(NoiseError):
        dilute.GivenSet(annotated, laws[0] * 2)


def test_several_labels_are_compared_first(annotated: LabelledSet, digits: dilute.Splits):
    fitted = dilute.fit(annotated, test=digits.test, recipe=SHORT)
    assert fitted.record.spec["method"] == "patches_known"
    assert "are wrong, by an estimate from" in fitted.reasons["labels"]
    assert fitted.record.wrong_rate is None, "an estimate is not what is known"


def test_commands_on_labels_of_ones_own(command, tmp_path: Path, given: LabelledSet):
    np.savez(tmp_path / "own.npz", x=given.inputs, y=given.labels)
    own, store = f"npz:{tmp_path / 'own.npz'}", ["--store", tmp_path / "runs"]
    model = ["--model", "perceptron"]
    code, out, err = command("run", own, *model, "--steps", "5", *store)
    assert code == 0, err
    assert "no noise is planted" in err
    assert "dilute fit" in err
    assert "agreement with given labels" in out
    assert "test accuracy" not in out + err
    assert "% wrong" not in out

    few = ["--methods", "cross_entropy,sce", "--seeds", "1", "--workers", "1"]
    code, out, err = command("compare", own, *model, *few, "--picture", tmp_path / "c.png", *store)
    assert code == 0, err
    assert "labels as given" in out
    assert "agreement with given labels, %" in out
    assert "test accuracy" not in out + err
    code, out, err = command("compare", own, *model, *few, "--json", *store)
    found = json.loads(out)["standings"]
    assert [one["amount"] for one in found] == [None, None]

    said = command("compare", own, *model, "--methods", "em_known", *store)
    assert_one_line(said, "not known of labels as given")
    assert_one_line(command("run", own, *model, "--clean-test", *store), "no test part of its own")


def test_a_clean_test_part_gives_accuracy(command, tmp_path: Path, digits: dilute.Splits):
    arrays = {"x_train": digits.train.inputs, "y_train": wrong_labels(digits.train.labels, 0.4)}
    assert digits.test is not None
    np.savez(tmp_path / "own.npz", **arrays, x_test=digits.test.inputs, y_test=digits.test.labels)
    name = f"npz:{tmp_path / 'own.npz'}"
    assert not dilute.load(name).test_is_clean
    assert dilute.load(name, Reading(clean_test=True)).test_is_clean
    run = ["run", name, "--model", "perceptron", "--steps", "5", "--store", tmp_path / "runs"]
    assert "agreement with given labels" in command(*run)[1]
    code, out, err = command(*run, "--clean-test")
    assert code == 0, err
    assert "answered from the store" in err
    assert "test accuracy" in out


def test_what_a_recipe_does_not_say_is_chosen_by_the_number_of_inputs():
    few, _ = choose_recipe(1000, dilute.Recipe(batch_size=64, learning_rate=0.01))
    assert (few.budget_steps, few.batch_size, few.learning_rate) == (1000, 64, 0.01)
    many, why = choose_recipe(100_000)
    assert many.budget_steps == 15_625  # 20 passes in batches of 128
    assert "20 passes over 100,000 inputs" in why
    asked, why = choose_recipe(1000, dilute.Recipe(budget_epochs=2))
    assert (asked.budget_epochs, asked.budget_steps, why) == (2, None, "as asked")
    assert [choose_heldout(number) for number in (30, 1000, 20_000)] == [0.0, 0.1, 0.05]


def test_the_network_goes_by_the_inputs():
    def chosen(*shape: int) -> str:
        inputs = np.zeros((4, *shape), dtype=np.uint8)
        return choose_model(LabelledSet(inputs, np.arange(4) % 2))[0]

    assert chosen(1, 28, 28) == "conv4"
    assert chosen(3, 32, 32) == "conv6"
    assert chosen(3, 96, 96) == "resnet18"
    assert chosen(1, 5, 5) == "mlp1"
    features = LabelledSet(np.zeros((4, 9), dtype=np.float32), np.arange(4) % 2)
    assert choose_model(features)[0] == "mlp1"
