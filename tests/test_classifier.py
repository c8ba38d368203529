"""scikit-learn's interface: its own checks, and labels of every kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator

import dilute

X, Y = load_iris(return_X_y=True)
QUICK = {"steps": 120, "learning_rate": 0.01}


@pytest.mark.slow
def test_scikit_learns_own_checks():
    """All of them, with no exclusion; one is for array libraries that this needs not know."""
    check_estimator(dilute.Classifier(steps=150), on_skip=None)


@pytest.mark.parametrize(
    "name",
    [
        "check_no_attributes_set_in_init",
        "check_estimators_nan_inf",
        "check_estimators_dtypes",
        "check_classifiers_one_label",
        "check_classifiers_classes",
        "check_n_features_in",
        "check_estimators_pickle",
        "check_fit_idempotent",
    ],
)
def test_some_of_scikit_learns_own_checks(name: str):
    """Those of what is likeliest to break; the slow test has them all."""
    check = getattr(estimator_checks, name)
    check("Classifier", dilute.Classifier(steps=150))


def test_pipelines_searches_and_clones():
    made = make_pipeline(StandardScaler(), dilute.Classifier(**QUICK))
    assert cross_val_score(made, X, Y, cv=3).mean() > 0.85
    search = GridSearchCV(dilute.Classifier(**QUICK), {"method": ["gce", "cross_entropy"]}, cv=2)
    search.fit(X, Y)
    assert search.best_params_["method"] in ("gce", "cross_entropy")
    one = dilute.Classifier(model="mlp2", random_state=3)
    assert clone(one).get_params() == one.get_params()


@pytest.mark.parametrize(
    "y",
    [np.array(["setosa", "versicolor", "virginica"])[Y], Y > 0, Y + 7],
    ids=["text", "bool", "int"],
)
def test_labels_of_any_type(y: np.ndarray):
    found = dilute.Classifier(**QUICK).fit(X, y)
    assert found.predict(X).dtype == y.dtype
    assert found.classes_.tolist() == np.unique(y).tolist()
    assert found.score(X, y) > 0.85
    assert np.allclose(found.predict_proba(X).sum(axis=1), 1)


def test_counts_and_annotators():
    draw = np.random.default_rng(0)
    table = np.where(
        draw.random((len(Y), 3)) < [0.1, 0.2, 0.5], draw.integers(0, 3, (len(Y), 3)), Y[:, None]
    )
    counts = np.stack([(table == k).sum(axis=1) for k in range(3)], axis=1)
    of_counts = dilute.Classifier(**QUICK, labels="counts").fit(X, counts)
    assert of_counts.score(X, Y) > 0.8
    names = np.array(["a", "b", "c"], dtype=object)[table]
    names[::4, 1] = None
    names[::7, 2] = ""
    of_people = dilute.Classifier(**QUICK, labels="annotators").fit(X, names)
    assert of_people.classes_.tolist() == ["a", "b", "c"]
    assert (of_people.predict(X) == np.array(["a", "b", "c"])[Y]).mean() > 0.8
    numbers = np.where(draw.random(table.shape) < 0.2, np.nan, table.astype(float))
    numbers[:, 0] = table[:, 0]
    of_numbers = dilute.Classifier(**QUICK, labels="annotators").fit(X, numbers)
    assert of_numbers.classes_.tolist() == [0, 1, 2]
    whole = np.where(np.isnan(numbers), -1, numbers).astype(int)
    again = dilute.Classifier(**QUICK, labels="annotators").fit(X, whole)
    assert np.array_equal(again.predict_proba(X), of_numbers.predict_proba(X))
    assert "annotators" in of_people.get_params()["labels"]


def test_images_and_the_model_folder(tmp_path: Path, digits: dilute.Splits):
    images, labels = digits.train.inputs[:300, 0], digits.train.labels[:300]
    found = dilute.ImageClassifier("mlp1", steps=150).fit(images, labels)
    assert found.score(images, labels) > 0.9
    found.save(tmp_path / "m")
    model = dilute.load_model(tmp_path / "m")
    assert model.predict(images).astype(int).tolist() == found.predict(images).tolist()


def test_what_cannot_be():
    made = dilute.Classifier(**QUICK)
    for y, message in (
        (Y * 0, "can't train when only one class is present"),
        (np.where(Y == 1, None, "x").astype(object), "50 of 150 labels are missing"),
        (np.stack([Y, Y], axis=1), "1d array"),
    ):
        with pytest.raises(ValueError, match=message):
            made.fit(X, y)
    with pytest.raises(ValueError, match="counts are whole numbers from 0"):
        dilute.Classifier(labels="counts").fit(X, np.full((150, 3), -1))
    with pytest.raises(ValueError, match="labels is 'many'; it must be one, annotators or counts"):
        dilute.Classifier(labels="many").fit(X, np.stack([Y, Y], axis=1))
    with pytest.raises(ValueError, match="did you mean"):
        dilute.Classifier(method="gcee").fit(X, Y)
    with pytest.raises(ValueError, match="images must be uint8"):
        dilute.ImageClassifier().fit(X, Y)
