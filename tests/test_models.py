from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from dilute.data import LabelledSet
from dilute.dilution import DilutedSet
from dilute.errors import ModelError
from dilute.models import MODELS, build
from dilute.models.dropout import ByteDropout, PartOfBatch, as_part
from dilute.models.fast import Whitening
from dilute.runs import fresh_model

pytestmark = pytest.mark.numerical


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_logits_of_images(name: str, shape: tuple[int, ...]):
    model = build(name, shape, 7).eval()
    assert model(torch.randn(2, *shape)).shape == (2, 7)


def test_sizes_are_those_of_the_papers_networks():
    counts = {name: parameters(build(name, (1, 28, 28), 10)) for name in MODELS if name != "conv6"}
    assert counts["perceptron"] == 7850
    assert counts["mlp1"] == 784 * 512 + 512 + 512 * 10 + 10
    assert counts["mlp2"] - counts["mlp1"] == 512 * 512 + 512
    assert counts["mlp4"] - counts["mlp2"] == 2 * (512 * 512 + 512)
    assert counts["conv4"] == 320 + 18_496 + 9216 * 128 + 128 + 1290
    assert (
        parameters(build("conv6", (3, 32, 32), 10))
        == 896 + 9248 + 18_496 + 36_928 + 2304 * 512 + 512 + 5130
    )
    assert parameters(build("resnet18", (3, 224, 224), 1000)) == 11_689_512
    assert parameters(build("resnet50", (3, 224, 224), 1000)) == 25_557_032


@pytest.mark.parametrize("name", MODELS)
def test_networks_start_at_the_uniform_distribution(name: str):
    assert (build(name, (3, 32, 32), 7).eval()(torch.randn(2, 3, 32, 32)) == 0).all()


def test_resnet_has_a_small_stem_for_small_images():
    assert build("resnet18", (3, 32, 32), 10).conv1.stride == (1, 1)
    assert build("resnet18", (3, 96, 96), 10).conv1.stride == (2, 2)
    assert build("resnet18", (1, 96, 96), 10)(torch.randn(2, 1, 96, 96)).shape == (2, 10)


def test_whitening_makes_patches_white():
    """Its filters' values on the images that it saw: mean 0, variance 1, and no correlation."""
    torch.manual_seed(0)
    mixing = torch.tensor([[1.0, 0.9, 0.8], [0.0, 0.5, 0.2], [0.0, 0.0, 0.3]])
    images = torch.einsum("nchw,cd->ndhw", torch.randn(400, 3, 10, 10), mixing)
    images[..., 1:] += images[..., :-1]  # neighbours are alike, as in pictures
    layer = Whitening(3)
    layer.fit(images - images.mean(dim=(0, 2, 3), keepdim=True))
    values = layer(images).detach()[:, : layer.num_filters // 2]
    covariance = torch.cov(values.transpose(0, 1).flatten(1))
    torch.testing.assert_close(covariance, torch.eye(12), rtol=0, atol=0.1)
    both = layer(images).detach()
    torch.testing.assert_close(both[:, 12:], -both[:, :12])
    assert "weight" not in dict(layer.named_parameters())


def test_a_run_whitens_by_its_own_training_images():
    """Also a network in hand, of which a copy is trained."""
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (300, 3, 16, 16)).astype(np.uint8) // 2
    images[..., 1:] = (images[..., 1:] + images[..., :-1]) // 2
    noisy = DilutedSet(LabelledSet(images, np.arange(300) % 3), 1.0, rows=np.arange(0, 300, 2))
    own = build("fastnet", (3, 16, 16), 3)
    before = own[0].weight.clone()
    for network in (None, own):
        model = fresh_model("fastnet", noisy, 0, torch.device("cpu"), network)
        layer = model.network[0]
        values = layer(model.scaled(torch.from_numpy(images[::2]))).detach()[:, :12]
        covariance = torch.cov(values.transpose(0, 1).flatten(1))
        torch.testing.assert_close(covariance, torch.eye(12), rtol=0, atol=0.05)
    assert torch.equal(own[0].weight, before)


def test_pooling_before_relu_is_the_same_function():
    values = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(
        torch.relu(nn.MaxPool2d(2)(values)), nn.MaxPool2d(2)(torch.relu(values)), rtol=0, atol=0
    )


@pytest.mark.parametrize("probability", [0.25, 0.5])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_dropout(probability: float, memory_format: torch.memory_format):
    """Rates within five standard errors of 655,360 draws, and neighbours independent.

    In evaluation, nothing.
    """
    torch.manual_seed(0)
    dropout = ByteDropout(probability)
    ones = torch.ones(16, 64, 32, 20).to(memory_format=memory_format)
    dropped = dropout(ones)
    assert dropped.is_contiguous(memory_format=memory_format)
    assert dropped.unique().tolist() == [0.0, pytest.approx(1 / (1 - probability))]
    gone = (dropped == 0).float()
    error = (probability * (1 - probability) / gone.numel()) ** 0.5
    assert abs(gone.mean().item() - probability) < 5 * error
    both = (gone[..., 1:] * gone[..., :-1]).mean().item()
    assert abs(both - probability**2) < 0.005
    assert dropout.eval()(ones) is ones


def test_dropout_passes_gradients_of_what_it_keeps():
    torch.manual_seed(0)
    values = torch.randn(4, 10, requires_grad=True)
    dropped = ByteDropout(0.5)(values)
    dropped.sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad, (dropped != 0).float() * 2)


def make_for_tests(input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(torch.Size(input_shape).numel(), num_classes))


def make_nothing(input_shape: tuple[int, ...], num_classes: int) -> None:
    return None


def test_own_model():
    assert build(f"{__name__}:make_for_tests", (3,), 2)(torch.ones(1, 3)).shape == (1, 2)


@pytest.mark.parametrize(
    ("name", "shape", "says"),
    [
        ("conv5", (1, 28, 28), "did you mean conv"),
        ("conv4", (20,), "needs images"),
        ("conv6", (12,), "take perceptron, mlp1, mlp2 or mlp4"),
        ("resnet18", (2, 2), "needs images"),
        ("conv6", (1, 8, 8), "at least 10×10 pixels, not 8×8"),
        ("no_such_module:f", (3,), "cannot be imported"),
        (f"{__name__}:no_such_function", (3,), "cannot be imported"),
        (f"{__name__}:__doc__", (3,), "must be callable"),
        (f"{__name__}:make_nothing", (3,), "must return a torch.nn.Module"),
    ],
)
def test_models_that_cannot_be_built(name: str, shape: tuple[int, ...], says: str):
    with pytest.raises(ModelError, match=r"^[^\n]*$") as caught:
        build(name, shape, 2)
    assert says in str(caught.value)


@pytest.mark.parametrize("name", ["perceptron", "mlp1", "mlp2", "mlp4"])
def test_features_go_into_linear_models(name: str):
    assert build(name, (13,), 3)(torch.randn(2, 13)).shape == (2, 3)


def test_two_models_at_once_have_dropout_of_their_own():
    """A part of a batch is set on the layers of one model, and taken off again."""
    one, other = (nn.Sequential(ByteDropout(0.5)).train() for _ in range(2))
    values = torch.ones(6, 40)
    torch.manual_seed(3)
    whole = one(values)
    rows = torch.tensor([1, 4, 5])
    part = PartOfBatch(rows, 6, torch.Generator().manual_seed(3))
    with as_part([one], part):
        assert torch.equal(one(values[rows]), whole[rows])
        torch.manual_seed(3)
        assert torch.equal(other(values), whole)
    torch.manual_seed(3)
    assert torch.equal(one(values), whole)
