"""A trained model in hand and in a folder: inputs of every kind, and folders that are not whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import dilute
from dilute.data import LabelledSet
from dilute.errors import DataError, ModelError, StoreError
from dilute.models import build
from dilute.serving import TrainedModel
from dilute.training import Scaled

NAMES = ("cat", "dog", "owl")


def model_of(shape: tuple[int, ...], *, is_images: bool = True, name: str = "mlp1") -> TrainedModel:
    """Return a model with random weights, behind a scaling."""
    torch.manual_seed(0)
    network = build(name, shape, 3)
    for part in network.parameters():
        nn.init.normal_(part, std=0.1)
    size = shape[0] if is_images else shape
    scaled = Scaled(network, np.full(size, 100.0), np.full(size, 50.0)).eval()
    return TrainedModel(scaled, NAMES, shape, is_images, name, about={"data": "made@0123"})


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (7, 3, 8, 8), dtype=np.uint8)


def test_inputs_of_every_kind_are_the_same_inputs(tmp_path: Path, images: np.ndarray):
    model = model_of((3, 8, 8))
    expected = model.predict_proba(images)
    assert expected.shape == (7, 3)
    assert np.allclose(expected.sum(axis=1), 1)
    pictures = [Image.fromarray(one.transpose(1, 2, 0)) for one in images]
    paths = []
    for number, picture in enumerate(pictures):
        paths.append(tmp_path / "new" / f"{number}.png")
        paths[-1].parent.mkdir(exist_ok=True)
        picture.save(paths[-1])
    labelled = LabelledSet(images, np.arange(7) % 3, NAMES)
    pairs = [(picture, 0) for picture in pictures]
    for inputs in (
        images.transpose(0, 2, 3, 1),
        torch.from_numpy(images),
        pictures,
        paths,
        [str(path) for path in paths],
        tmp_path / "new",
        labelled,
        pairs,
        list(images),
    ):
        assert np.allclose(model.predict_proba(inputs, batch_size=3), expected, atol=1e-12)
    assert np.allclose(model.predict_proba(pictures[2]), expected[2:3], atol=1e-12)
    assert model.predict(paths[0]).tolist() == [NAMES[expected[0].argmax()]]


def test_lists_of_two_numbers_are_features():
    pairs = [[0.5, 1.0], [2.0, 3.0]]
    model = model_of((2,), is_images=False)
    assert np.allclose(model.predict_proba(pairs), model.predict_proba(np.array(pairs)))


def test_features_and_grey_images(images: np.ndarray):
    features = model_of((5,), is_images=False)
    values = np.random.default_rng(0).normal(size=(4, 5))
    assert features.predict_proba(values).shape == (4, 3)
    assert np.allclose(features.predict_proba(values), features.predict_proba(list(values)))
    grey = images[:, 0]
    colour = model_of((3, 8, 8))
    same = colour.predict_proba(np.repeat(grey[:, None], 3, axis=1))
    assert np.allclose(colour.predict_proba(grey), same)


def test_inputs_that_cannot_be_predicted(tmp_path: Path, images: np.ndarray):
    model, features = model_of((1, 8, 8)), model_of((5,), is_images=False)
    values = np.zeros((4, 5))
    values[[1, 3], 2] = np.nan
    (tmp_path / "empty").mkdir()
    faults = [
        (model, images, r"images have 3 channels; the model takes grey images of 8×8"),
        (model, images[:, 0, :6], r"images have 8×6 pixels; the model takes grey images of 8×8"),
        (model, images[:, 0].astype(float), "inputs are float64; the model takes grey images"),
        (model, tmp_path / "none", "does not exist"),
        (model, tmp_path / "empty", "holds no images"),
        (model, [tmp_path / "none.png"], r"none\.png does not exist"),
        (model, 3, "inputs are of type int"),
        (features, values, "2 of the inputs hold values that are not finite.* number 1"),
        (features, np.zeros((2, 4)), r"inputs have shape \[4\] each; .* features of shape \[5\]"),
        (features, [Image.new("L", (8, 8))], "inputs are images; the model takes features"),
        (features, np.full((2, 5), 1e39), "beyond 3e38, the first is number 0"),
        (
            model,
            [Image.new("L", (8, 8)), images[0, 0]],
            r"and others arrays \(input 1 is the first",
        ),
        (model_of((3, 8, 8)), images[0], r"one colour image or .*; give \[1, 3, 8, 8\] or \[3, 1,"),
    ]
    for one, inputs, message in faults:
        with pytest.raises(DataError, match=message):
            one.predict_proba(inputs)


def test_a_model_comes_back_from_its_folder(tmp_path: Path, images: np.ndarray):
    model = model_of((3, 8, 8))
    model.save(tmp_path / "m")
    assert {path.name for path in (tmp_path / "m").iterdir()} == {
        "model.json",
        "model.safetensors",
        "README.md",
    }
    again = dilute.load_model(tmp_path / "m", device="cpu")
    assert np.array_equal(again.predict_proba(images), model.predict_proba(images))
    assert (again.class_names, again.input_shape, again.about) == (NAMES, (3, 8, 8), model.about)
    card = (tmp_path / "m" / "README.md").read_text()
    assert "colour images of 8×8 pixels" in card
    assert "made@0123" in card
    model_of((1, 8, 8)).save(tmp_path / "m")  # replaces it
    assert dilute.load_model(tmp_path / "m").input_shape == (1, 8, 8)
    assert [path.name for path in tmp_path.iterdir()] == ["m"], "nothing is left beside it"


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"x")
    with pytest.raises(StoreError, match=r"something else than a model \(a\.png\)"):
        model_of((1, 8, 8)).save(tmp_path / "photos")
    assert (tmp_path / "photos" / "a.png").read_bytes() == b"x"
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(StoreError, match="is a file; give a folder"):
        model_of((1, 8, 8)).save(tmp_path / "file")


def test_a_save_that_fails_leaves_the_old_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model_of((1, 8, 8)).save(tmp_path / "m")
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name.endswith(".part") and target.name == "m":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(StoreError):
        model_of((3, 8, 8)).save(tmp_path / "m")
    assert dilute.load_model(tmp_path / "m").input_shape == (1, 8, 8)
    assert [path.name for path in tmp_path.iterdir()] == ["m"], "nothing is left beside it"


def test_folders_that_are_not_whole(tmp_path: Path):
    model_of((1, 8, 8)).save(tmp_path / "m")
    weights, about = tmp_path / "m" / "model.safetensors", tmp_path / "m" / "model.json"
    whole, text = weights.read_bytes(), about.read_text()
    weights.write_bytes(whole[:-10])
    with pytest.raises(StoreError, match="was cut off or changed; copy the folder again"):
        dilute.load_model(tmp_path / "m")
    weights.unlink()
    with pytest.raises(StoreError, match=r"model\.safetensors cannot be read"):
        dilute.load_model(tmp_path / "m")
    weights.write_bytes(whole)
    for changed, message in (
        (text.replace('"cat"', '"cow"'), "was edited or cut off"),
        (text[:-20], "cannot be read"),
        (json.dumps({**json.loads(text), "format": 99}), "is of format 99.*update dilute"),
        ("[]", "describes no model"),
        ("[" * 50_000, "cannot be read"),
    ):
        about.write_text(changed)
        with pytest.raises(StoreError, match=message):
            dilute.load_model(tmp_path / "m")
    about.unlink()
    with pytest.raises(StoreError, match="give the folder that dilute fit --out wrote"):
        dilute.load_model(tmp_path / "m")
    with pytest.raises(StoreError, match=r"has no model\.json"):
        dilute.load_model(tmp_path / "nowhere")


def test_a_strangers_folder_runs_no_code_unless_it_is_trusted(tmp_path: Path, images: np.ndarray):
    own = model_of((3, 8, 8))
    stranger = TrainedModel(
        own.network, NAMES, (3, 8, 8), True, "dilute.models.linear:mlp1", about={}
    )
    stranger.save(tmp_path / "m")
    with pytest.raises(
        ModelError, match=r"needs the code of dilute\.models\.linear:mlp1.*--trust-code"
    ):
        dilute.load_model(tmp_path / "m")
    again = dilute.load_model(tmp_path / "m", trust_code=True)
    assert np.array_equal(again.predict_proba(images), own.predict_proba(images))


def test_a_network_that_was_given_as_an_object(tmp_path: Path, digits: dilute.Splits):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    recipe = dilute.Recipe(budget_steps=5)
    fit = dilute.fit(
        LabelledSet(digits.train.inputs, digits.train.labels), model=network, recipe=recipe
    )
    fit.save(tmp_path / "m")
    with pytest.raises(ModelError, match="give it as network="):
        dilute.load_model(tmp_path / "m")
    again = dilute.load_model(
        tmp_path / "m", network=nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    )
    assert digits.test is not None
    assert np.allclose(
        again.predict_proba(digits.test.inputs), fit.predict_proba(digits.test.inputs)
    )


def test_a_fit_that_a_store_answered_has_its_model(tmp_path: Path, digits: dilute.Splits):
    train = LabelledSet(digits.train.inputs, digits.train.labels)
    options = {"model": "perceptron", "recipe": dilute.Recipe(budget_steps=5), "store": tmp_path}
    first, again = dilute.fit(train, **options), dilute.fit(train, **options)
    assert again.was_known
    assert np.allclose(first.predict_proba(train), again.predict_proba(train))
    about = again.trained.about
    assert about["content_hash"] == train.content_hash
    assert "labels as given" in about["chosen_and_assumed"]["labels"]
