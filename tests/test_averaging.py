"""What a step does beside the plain one: averages of weights, smoothed labels, mirror images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_training import CPU, assert_same_bits, fresh, interrupted_at, trained_weights
from torch import nn

import dilute
from dilute.data import LabelledSet, Splits
from dilute.dilution import DilutedSet, NoisySet
from dilute.errors import SpecError
from dilute.interruption import Interrupted
from dilute.training import Mirrored, Recipe, Trained, evaluate

pytestmark = pytest.mark.numerical

FAST = {
    "batch_size": 16,
    "optimizer": "sgd",
    "nesterov": True,
    "weight_decay": 5e-4,
    "weight_decay_on": "matrices",
    "warmup_fraction": 0.25,
    "augment": "shift_flip",
    "curve_points": 2,
}


@pytest.fixture(scope="module")
def pictures() -> NoisySet:
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (64, 3, 16, 16), dtype=np.uint8)
    return DilutedSet(LabelledSet(images, np.arange(64) % 4), 2.0)


def test_the_average_is_what_it_says(digits: Splits):
    """By hand, from the weights after each step; the first step's weights begin it."""
    noisy = DilutedSet(digits.train, 1.0, rows=np.arange(100))
    recipe = Recipe(batch_size=20, budget_steps=12, curve_points=1, average_decay=0.6)
    seen: list[dict[str, torch.Tensor]] = []

    def note(model: nn.Module):
        def on_step(step: int, num_steps: int, trained: Trained) -> None:
            seen.append({name: value.clone() for name, value in model.state_dict().items()})

        return on_step

    kept, _ = trained_weights(noisy, recipe, "mlp1", watch=note)
    average = {name: value.clone() for name, value in seen[0].items()}
    for steps, weights in enumerate(seen[1:], start=1):
        decay = min(0.6, (1 + steps) / (10 + steps))
        average = {name: decay * average[name] + (1 - decay) * weights[name] for name in average}
    for name, value in average.items():
        torch.testing.assert_close(kept[name], value, rtol=1e-5, atol=1e-6)
    assert not torch.equal(seen[-1]["network.1.weight"], kept["network.1.weight"])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_resumes_bit_by_bit(pictures: NoisySet, tmp_path: Path, precision: str):
    """With running statistics, averages of both, and augmented images."""
    recipe = Recipe(**FAST, budget_steps=8, average_decay=0.9, precision=precision)
    heldout = DilutedSet(pictures.clean, 0.0, rows=np.arange(0, 64, 3))
    whole, outcome = trained_weights(pictures, recipe, "fastnet", heldout=heldout)
    path = tmp_path / "c.safetensors"
    with pytest.raises(Interrupted):
        trained_weights(
            pictures,
            recipe,
            "fastnet",
            heldout=heldout,
            checkpoint=path,
            should_stop=interrupted_at(5),
        )
    resumed, again = trained_weights(pictures, recipe, "fastnet", heldout=heldout, checkpoint=path)
    assert_same_bits(whole, resumed)
    assert again.curve == outcome.curve
    assert_same_bits(again.selected_weights, outcome.selected_weights)


def test_what_is_evaluated_is_what_is_kept(pictures: NoisySet):
    heldout = DilutedSet(pictures.clean, 0.0, rows=np.arange(0, 64, 3))
    recipe = Recipe(**FAST, budget_steps=8, average_decay=0.9)
    kept, outcome = trained_weights(pictures, recipe, "fastnet", heldout=heldout)
    model = fresh(pictures.clean, "fastnet")
    for weights, point in (
        (kept, outcome.curve[-1]),
        (outcome.selected_weights, outcome.curve[outcome.selected]),
    ):
        model.load_state_dict(weights)
        score = evaluate(model, heldout, CPU)
        assert score.nll == pytest.approx(point.heldout_nll, rel=1e-6)
    plain, _ = trained_weights(pictures, Recipe(**FAST, budget_steps=8), "fastnet")
    assert any(not torch.equal(kept[name], plain[name]) for name in kept)


def test_smoothed_labels_are_the_loss_of_smoothed_targets(digits: Splits):
    """The method of this name, done to the targets beforehand, is the same training."""
    noisy = DilutedSet(digits.train, 0.0, rows=np.arange(60))
    smoothed = Recipe(batch_size=60, budget_steps=1, curve_points=1, label_smoothing=0.3)
    _, ours = trained_weights(noisy, smoothed, "mlp1")
    # The output layer starts at zero, so that the first loss is ln K, whatever the target.
    assert ours.curve[0].train_loss == pytest.approx(np.log(10), rel=1e-5)
    method = Recipe(
        method="label_smoothing", method_options={"epsilon": 0.3}, batch_size=60, budget_steps=4
    )
    first, _ = trained_weights(noisy, method, "mlp1")
    recipe = Recipe(batch_size=60, budget_steps=4, label_smoothing=0.3)
    second, _ = trained_weights(noisy, recipe, "mlp1")
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=1e-4, atol=1e-5)


def test_mirror_images_are_averaged():
    class Sums(nn.Module):
        """Logits that tell the left from the right half."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            halves = images.float().chunk(2, dim=3)
            return torch.stack([half.sum(dim=(1, 2, 3)) for half in halves], dim=1)

    images = torch.zeros(3, 1, 2, 4)
    images[0, ..., 0] = 1.0
    images[1, ..., 3] = 2.0
    logits = Mirrored(Sums())(images)
    one, other = torch.softmax(Sums()(images), 1), torch.softmax(Sums()(images.flip(-1)), 1)
    torch.testing.assert_close(logits.exp(), (one + other) / 2)
    assert torch.equal(logits, Mirrored(Sums())(images.flip(-1)))


def test_features_have_no_mirror_image():
    features = LabelledSet(np.zeros((6, 4), np.float32), np.arange(6) % 2, ("a", "b"))
    with pytest.raises(
        SpecError, match=r"no meaning for features of shape \(4,\); it is for images"
    ):
        trained_weights(DilutedSet(features, 0.0), Recipe(evaluate_mirrored=True), "perceptron")


def test_a_saved_model_predicts_as_it_was_evaluated(pictures: NoisySet, tmp_path: Path):
    recipe = Recipe(**FAST, budget_steps=4, evaluate_mirrored=True)
    fit = dilute.fit(pictures, model="fastnet", recipe=recipe)
    images = pictures.clean.inputs[:8]
    loaded = dilute.load_model(fit.save(tmp_path / "model"))
    assert loaded.mirrored
    found = loaded.predict_proba(images)
    np.testing.assert_allclose(found, loaded.predict_proba(images[..., ::-1].copy()), atol=1e-6)
    with torch.inference_mode():
        one = fit.model(torch.from_numpy(images)).softmax(1).numpy()
    assert np.abs(found - one).max() > 1e-6


def test_normalised_networks_are_not_divided(pictures: NoisySet):
    recipe = Recipe(**FAST, budget_steps=2)
    with pytest.raises(SpecError, match="has batch normalisation, which looks at a batch as a"):
        trained_weights(pictures, recipe, "fastnet", micro_batch_size=4)
