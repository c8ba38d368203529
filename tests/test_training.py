from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from small_training import CPU, assert_same_bits, fresh, interrupted_at, trained_weights
from torch import nn

from dilute.data import LabelledSet, Splits
from dilute.dilution import DilutedSet, NoisySet
from dilute.errors import ModelError, SpecError, StoreError
from dilute.gradients import Glances
from dilute.interruption import Interrupted
from dilute.training import Recipe, Scaled, Trained, evaluate, load_weights, save_weights

pytestmark = pytest.mark.numerical

RECIPE = Recipe(batch_size=16, budget_steps=12, curve_points=3, warmup_steps=2)


@pytest.fixture(scope="module")
def noisy(digits: Splits) -> NoisySet:
    return DilutedSet(digits.train, 3.0, seed=0, rows=np.arange(0, 1000, 5))


@pytest.fixture(scope="module")
def heldout(digits: Splits) -> NoisySet:
    return DilutedSet(digits.train, 3.0, seed=0, rows=np.arange(1, 1000, 9))


def test_repeats_bit_by_bit(noisy: NoisySet, heldout: NoisySet):
    first, first_outcome = trained_weights(noisy, RECIPE, heldout=heldout)
    torch.rand(17)  # what others draw in between changes nothing
    second, second_outcome = trained_weights(noisy, RECIPE, heldout=heldout)
    assert_same_bits(first, second)
    assert first_outcome.curve == second_outcome.curve


@pytest.mark.parametrize("optimizer", ["adamw", "adadelta", "sgd"])
@pytest.mark.parametrize("step", [1, 4, 7, 11])
def test_resumes_bit_by_bit(noisy, heldout, tmp_path: Path, optimizer: str, step: int):
    recipe = Recipe(batch_size=16, budget_steps=12, curve_points=3, optimizer=optimizer, copies=2)
    whole, whole_outcome = trained_weights(noisy, recipe, heldout=heldout)
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Interrupted, match=f"stopped after step {step} of 12"):
        trained_weights(
            noisy, recipe, heldout=heldout, checkpoint=path, should_stop=interrupted_at(step)
        )
    resumed, outcome = trained_weights(noisy, recipe, heldout=heldout, checkpoint=path)
    assert_same_bits(whole, resumed)
    assert outcome.curve == whole_outcome.curve
    assert outcome.selected == whole_outcome.selected
    assert_same_bits(outcome.selected_weights, whole_outcome.selected_weights)
    np.testing.assert_array_equal(outcome.selected_confusion, whole_outcome.selected_confusion)


@pytest.mark.parametrize("step", [80, 130, 170])
def test_resumes_after_the_selected_point(noisy, heldout, tmp_path: Path, step: int):
    """What the best model said of held-out labels is not had again: the checkpoint must hold it."""
    recipe = Recipe(
        batch_size=50, budget_steps=200, curve_points=8, schedule="constant", learning_rate=3e-3
    )
    _, whole = trained_weights(noisy, recipe, "mlp1", heldout=heldout)
    assert whole.curve[whole.selected].step <= 75
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Interrupted):
        trained_weights(
            noisy,
            recipe,
            "mlp1",
            heldout=heldout,
            checkpoint=path,
            should_stop=interrupted_at(step),
        )
    _, outcome = trained_weights(noisy, recipe, "mlp1", heldout=heldout, checkpoint=path)
    assert outcome.selected == whole.selected
    assert_same_bits(outcome.selected_weights, whole.selected_weights)
    np.testing.assert_array_equal(outcome.selected_confusion, whole.selected_confusion)
    chosen = outcome.curve[outcome.selected]
    confusion = outcome.selected_confusion
    assert confusion.trace() / confusion.sum() == chosen.heldout_accuracy


class KilledError(Exception):
    pass


@pytest.mark.parametrize("step", [3, 5, 9])
def test_a_kill_between_checkpoints_loses_only_what_came_since(noisy, tmp_path: Path, step: int):
    whole, _ = trained_weights(noisy, RECIPE)
    path = tmp_path / "checkpoint.safetensors"

    def kill(done: int, num_steps: int, trained: Trained) -> None:
        if done == step:
            raise KilledError

    with pytest.raises(KilledError):
        trained_weights(noisy, RECIPE, checkpoint=path, checkpoint_every_steps=2, on_step=kill)
    _, description = load_weights(path)
    assert description["step"] == (step - 1) // 2 * 2
    resumed, _ = trained_weights(noisy, RECIPE, checkpoint=path)
    assert_same_bits(whole, resumed)


def test_resnet_resumes_with_its_running_statistics(digits: Splits, tmp_path: Path):
    noisy = DilutedSet(digits.train, 1.0, rows=np.arange(32))
    recipe = Recipe(batch_size=8, budget_steps=3, curve_points=1)
    whole, _ = trained_weights(noisy, recipe, "resnet18")
    path = tmp_path / "c.safetensors"
    with pytest.raises(Interrupted):
        trained_weights(noisy, recipe, "resnet18", checkpoint=path, should_stop=interrupted_at(2))
    resumed, _ = trained_weights(noisy, recipe, "resnet18", checkpoint=path)
    assert_same_bits(whole, resumed)


def test_a_damaged_checkpoint_is_said(noisy: NoisySet, tmp_path: Path):
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(b"\x00" * 50)
    with pytest.raises(StoreError, match=r"cannot be read .*; delete the file to start again"):
        trained_weights(noisy, RECIPE, checkpoint=path)


def test_a_checkpoint_of_another_model_is_said(noisy: NoisySet, tmp_path: Path):
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Interrupted):
        trained_weights(noisy, RECIPE, "mlp1", checkpoint=path, should_stop=interrupted_at(1))
    with pytest.raises(ModelError, match=r"^the weights are those of another model[^\n]*$"):
        trained_weights(noisy, RECIPE, "conv4", checkpoint=path)


def test_one_label_a_visit_and_all_have_the_same_mean_gradient(digits: Splits):
    """Over an epoch, with the weights held still, every grouping sums to the same gradient."""
    noisy = DilutedSet(digits.train, 2.6, seed=1, rows=np.arange(40))
    other = LabelledSet(
        digits.train.inputs[500:520], digits.train.labels[500:520], digits.train.class_names
    )
    for noisy_set in (noisy, DilutedSet(digits.train, 2.6, rows=np.arange(40), images=other)):
        gradients = [epoch_gradient(noisy_set, copies) for copies in (1, 2, "all")]
        for gradient in gradients[1:]:
            torch.testing.assert_close(gradient, gradients[0], rtol=1e-4, atol=1e-6)


def epoch_gradient(noisy: NoisySet, copies) -> torch.Tensor:
    from dilute.dilution import Visits
    from dilute.methods import cross_entropy

    visits = Visits(noisy, copies, seed=0)
    model = fresh(noisy.clean, "mlp1")
    inputs, targets, weights, *_ = (
        torch.from_numpy(a) for a in visits.batch(0, visits.visits_per_epoch)
    )
    loss = (cross_entropy(model(inputs), targets) * weights).mean()
    loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def test_expected_is_the_mean_of_all(digits: Splits):
    """The gradient of `"all"`, averaged over 400 realisations, is that of the law.

    The gradient is linear in the targets; a share of labels over 400 · 6 draws is off by 0.006,
    against a signal of 1/6, which leaves about 5 % in the gradient.
    """
    rows = np.arange(0, 1400, 70)
    drawn = [
        epoch_gradient(DilutedSet(digits.train, 5.0, seed=s, rows=rows), "all") for s in range(400)
    ]
    law = epoch_gradient(DilutedSet(digits.train, 5.0, rows=rows), "expected")
    assert (torch.stack(drawn).mean(dim=0) - law).norm() < 0.1 * law.norm()
    assert (drawn[0] - law).norm() > 0.3 * law.norm(), "a single realisation is not the law"


def test_learns_digits_through_noise(digits: Splits):
    noisy = DilutedSet(digits.train, 5.0)
    test = DilutedSet(digits.test, 0.0)
    recipe = Recipe(batch_size=64, budget_steps=150, curve_points=2)
    _, outcome = trained_weights(noisy, recipe, "mlp1", test=test)
    assert outcome.curve[-1].test_accuracy > 0.8


def test_selects_the_model_with_the_lowest_heldout_nll(noisy, heldout):
    recipe = Recipe(
        batch_size=50, budget_steps=200, curve_points=8, schedule="constant", learning_rate=3e-3
    )
    _, outcome = trained_weights(noisy, recipe, "mlp1", heldout=heldout)
    nlls = [point.heldout_nll for point in outcome.curve]
    assert outcome.selected == int(np.argmin(nlls)) < 7, "a small noisy set is memorised in the end"
    model = fresh(noisy.clean, "mlp1")
    model.load_state_dict(outcome.selected_weights)
    assert evaluate(model, heldout, CPU).nll == pytest.approx(min(nlls))


def test_nothing_held_out_selects_nothing(noisy: NoisySet):
    _, outcome = trained_weights(noisy, RECIPE)
    assert outcome.selected is None
    assert outcome.selected_weights == {}
    assert outcome.selected_confusion is None
    assert [point.heldout_nll for point in outcome.curve] == [None] * 3


def test_curve_counts_images_and_examples(noisy: NoisySet):
    _, outcome = trained_weights(noisy, RECIPE)
    assert [(p.step, p.images, p.examples) for p in outcome.curve] == [
        (4, 64, 256),
        (8, 128, 512),
        (12, 192, 768),
    ]


def test_divergence_is_noticed(noisy: NoisySet):
    recipe = Recipe(
        batch_size=16, budget_steps=500, optimizer="sgd", learning_rate=1e30, warmup_steps=0
    )
    _, outcome = trained_weights(noisy, recipe, "mlp2")
    assert outcome.status == "diverged"
    assert outcome.step <= 20
    json.dumps([math.isfinite(p.train_loss) for p in outcome.curve])


def test_evaluation_is_exact_on_a_fixed_model(digits: Splits):
    class Always3(nn.Module):
        def forward(self, inputs):
            logits = torch.zeros(len(inputs), 10)
            logits[:, 3] = 1.0
            return logits

    score = evaluate(Always3(), DilutedSet(digits.test, 0.0), CPU)
    labels = digits.test.labels
    assert score.accuracy == pytest.approx((labels == 3).mean())
    normaliser = math.log(9 + math.e)
    assert score.nll == pytest.approx(normaliser - (labels == 3).mean())
    assert score.num_labels == len(labels)
    expected = np.zeros((10, 10), dtype=np.int64)
    expected[:, 3] = np.bincount(labels)
    np.testing.assert_array_equal(score.confusion, expected)
    assert score.confusion.dtype == np.int64
    assert score.top5_accuracy is None, "ten classes have none"


class Pixels(nn.Module):
    """A fixed model that looks at the image: pixels, flattened, as logits."""

    def forward(self, inputs):
        return inputs.flatten(1)[:, :12].double()


@pytest.mark.parametrize("alpha", [0.0, 3.4])
def test_evaluation_counts_labels_by_predicted_class(alpha: float):
    """Against a plain loop over examples; more images than a batch, and other images, too."""
    random = np.random.default_rng(0)
    images = random.permuted(np.tile(np.arange(12, dtype=np.uint8), (700, 1)), axis=1)
    clean = LabelledSet(
        images.reshape(700, 1, 3, 4), random.integers(0, 12, 700), tuple("abcdefghijkl")
    )
    pool = LabelledSet(clean.inputs[:50], clean.labels[:50], clean.class_names)
    for labels in (DilutedSet(clean, alpha), DilutedSet(clean, alpha, images=pool)):
        confusion, top5 = np.zeros((12, 12), dtype=np.int64), 0
        for index in range(len(labels)):
            image, label = labels.example(index)
            confusion[label, image.ravel().argmax()] += 1
            top5 += label in np.argsort(image.ravel())[-5:]
        score = evaluate(Pixels(), labels, CPU)
        np.testing.assert_array_equal(score.confusion, confusion)
        assert score.num_labels == len(labels)
        assert score.accuracy == confusion.trace() / len(labels)
        assert score.top5_accuracy == top5 / len(labels)


def test_top5_is_measured_on_the_test_set():
    random = np.random.default_rng(0)
    features = random.normal(size=(120, 4)).astype(np.float32)
    clean = LabelledSet(features, np.arange(120) % 12, tuple("abcdefghijkl"))
    recipe = Recipe(batch_size=20, budget_steps=4, curve_points=2)
    _, outcome = trained_weights(
        DilutedSet(clean, 1.0), recipe, "perceptron", test=DilutedSet(clean, 0.0)
    )
    for point in outcome.curve:
        assert point.test_accuracy <= point.test_top5_accuracy <= 1


def test_scaling_standardises(digits: Splits):
    scaled = Scaled(nn.Identity(), *digits.train.statistics())
    values = scaled(torch.from_numpy(digits.train.inputs[:].copy()))
    assert values.mean().item() == pytest.approx(0, abs=1e-4)
    assert values.std().item() == pytest.approx(1, abs=1e-3)


def test_features_are_standardised_and_left_unchanged():
    features = np.random.default_rng(0).normal(5, 3, (50, 4)).astype(np.float32)
    features[:, 3] = 2.0
    clean = LabelledSet(features, np.arange(50) % 2, ("a", "b"))
    scaled = Scaled(nn.Identity(), *clean.statistics())
    before = features.copy()
    values = scaled(torch.from_numpy(features)).numpy()
    np.testing.assert_array_equal(features, before)
    np.testing.assert_allclose(values[:, :3].std(axis=0), 1, rtol=1e-4)
    np.testing.assert_array_equal(values[:, 3], 0)


def test_the_test_set_may_be_judged_at_the_end_alone(noisy, heldout, tmp_path: Path):
    """The same scores for the selected and the last model as with a whole curve, also resumed."""
    test = DilutedSet(noisy.clean, 0.0, rows=np.arange(2, 1000, 7))
    every = Recipe(
        batch_size=16, budget_steps=40, curve_points=4, learning_rate=0.01, schedule="constant"
    )
    ends = every.model_copy(update={"test_curve": False})
    weights, whole = trained_weights(noisy, every, heldout=heldout, test=test)
    assert whole.selected not in (None, 3), "the rate is high, so that the last model is not chosen"
    path = tmp_path / "checkpoint.safetensors"
    options = {"heldout": heldout, "test": test, "checkpoint": path}
    with pytest.raises(Interrupted):
        trained_weights(noisy, ends, should_stop=interrupted_at(35), **options)
    same_weights, judged = trained_weights(noisy, ends, **options)
    assert_same_bits(weights, same_weights)
    assert judged.selected == whole.selected
    for index, (ours, theirs) in enumerate(zip(judged.curve, whole.curve, strict=True)):
        if index in (whole.selected, 3):
            assert ours == theirs
        else:
            assert ours.test_accuracy is None
            assert ours.heldout_nll == theirs.heldout_nll


def test_looking_at_gradients_changes_no_weight(noisy, heldout, tmp_path: Path):
    """The looks are there, at the steps that the recipe says, and also after resuming."""
    options = {"batch_size": 128, "budget_steps": 520, "curve_points": 26}
    plain, _ = trained_weights(noisy, Recipe(**options), "perceptron", heldout=heldout)
    recipe = Recipe(**options, log_gradients=True)
    measured = {"heldout": heldout, "on_curve_point": Glances(recipe, torch.device("cpu"))}
    logged, outcome = trained_weights(noisy, recipe, "perceptron", **measured)
    assert_same_bits(plain, logged)
    looks = [point for point in outcome.curve if point.gradient]
    assert [point.step for point in looks] == [0, 260, 520]
    assert all(point.gradient.noise_scale.low > 0 for point in looks)
    assert looks[0].gradient.label_noise_scale.value > 2 * looks[0].gradient.noise_scale.value
    assert looks[0].train_loss is None
    assert outcome.gradient_seconds > 0
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Interrupted):
        trained_weights(
            noisy,
            recipe,
            "perceptron",
            checkpoint=path,
            should_stop=interrupted_at(300),
            **measured,
        )
    resumed, again = trained_weights(noisy, recipe, "perceptron", checkpoint=path, **measured)
    assert_same_bits(plain, resumed)
    assert again.curve == outcome.curve


def test_gradients_that_nothing_measures_are_refused(noisy):
    recipe = Recipe(batch_size=8, budget_steps=1, curve_points=1, log_gradients=True)
    with pytest.raises(SpecError, match=r"^log_gradients = True, but nothing that measures them"):
        trained_weights(noisy, recipe, "perceptron")


def test_weights_and_checkpoints_are_where_a_string_says(noisy, tmp_path: Path):
    path = str(tmp_path / "some.safetensors")
    save_weights(path, {"bias": torch.ones(2)}, {"of": "nothing"})
    tensors, description = load_weights(path)
    assert torch.equal(tensors["bias"], torch.ones(2))
    assert description == {"of": "nothing"}
    recipe = Recipe(batch_size=8, budget_steps=3, curve_points=1)
    checkpoint = str(tmp_path / "checkpoint")
    trained_weights(noisy, recipe, "perceptron", checkpoint=checkpoint, checkpoint_every_steps=2)
    assert load_weights(checkpoint)[1]["step"] == 2
