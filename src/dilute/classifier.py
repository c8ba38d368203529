"""Classifiers with the interface of scikit-learn, for labels that may be wrong."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import assert_all_finite, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from dilute.data import Annotations, LabelledSet
from dilute.errors import DiluteError
from dilute.fitting import fit
from dilute.runs import Execution
from dilute.training import Recipe

Labels = Literal["one", "annotators", "counts"]
_MOST_SEED = 2**31 - 1


class Classifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A network on features, trained by `dilute.fit` on labels as given.

    Arguments:
        model: network, as for `dilute.fit`; chosen by the inputs if None.
        method: how to learn from the labels; chosen by what they show if None.
        labels: what `y` holds. `"one"`: one label of any type for each item, `[n]`. `"annotators"`:
            a column for each annotator, `[n, A]`, where None, NaN, an empty text, or −1 among
            numbers is no label.
            `"counts"`: how often each of K classes was given, `[n, K]`; the classes are 0 to K − 1.
        steps, batch_size, learning_rate: of training; chosen by the number of items if None.
        heldout_fraction: share of the items that selects the model, 0 to below 1; chosen by their
            number if None.
        random_state: seed of held-out items, initialisation and order.
        device: `cpu`, `cuda`, …; a GPU if there is one, for None.

    Attributes:
        classes_: the classes, sorted.
        n_features_in_: number of features.
        trained_: the `TrainedModel`, which can be saved.
        record_: what came of training.
        reasons_: why model, method and length of training were chosen, by their names.

    Errors: `ValueError` for what cannot be trained on or predicted.
    """

    def __init__(
        self,
        model: Any = None,
        *,
        method: Any = None,
        labels: Labels = "one",
        steps: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        heldout_fraction: float | None = None,
        random_state: Any = 0,
        device: str | None = None,
    ) -> None:
        self.model = model
        self.method = method
        self.labels = labels
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.heldout_fraction = heldout_fraction
        self.random_state = random_state
        self.device = device

    def fit(self, X: Any, y: Any) -> Classifier:
        """Train on items and their labels, and return the classifier itself.

        Arguments:
            X: numbers `[n, d]`, all finite.
            y: labels, as `labels` says.
        """
        inputs, y = self._to_train(X, y)
        labels, annotations = self._read(y, len(inputs))
        if len(self.classes_) < 2:
            raise ValueError(
                f"all labels are {self.classes_.tolist()}; "
                f"{type(self).__name__} can't train when only one class is present"
            )
        seed = check_random_state(self.random_state).randint(_MOST_SEED)
        if isinstance(self.random_state, (int, np.integer)):
            seed = int(self.random_state)
        try:
            labelled = LabelledSet(
                inputs, labels, tuple(map(str, self.classes_)), annotations=annotations
            )
            found = fit(
                labelled,
                model=self.model,
                method=self.method,
                recipe=self._recipe(),
                heldout_fraction=self.heldout_fraction,
                seed=seed,
                execution=Execution(device=self.device),
            )
            self.record_, self.reasons_ = found.record, dict(found.reasons)
            self.trained_ = found.trained
        except DiluteError as error:
            raise ValueError(str(error)) from error
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class, in the order of `classes_`: float64 `[n, K]`."""
        check_is_fitted(self)
        try:
            return self.trained_.predict_proba(self._to_predict(X))
        except DiluteError as error:
            raise ValueError(str(error)) from error

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likeliest class of each item, `[n]`."""
        best = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[best])

    def save(self, folder: Path | str) -> Path:
        """Write the trained model into a folder, as `TrainedModel.save` does."""
        check_is_fitted(self)
        return self.trained_.save(folder)

    def _to_train(self, X: Any, y: Any) -> tuple[NDArray[Any], Any]:
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        X = validate_data(self, X, dtype=np.float32)
        return X, y

    def _to_predict(self, X: Any) -> NDArray[Any]:
        return np.asarray(validate_data(self, X, dtype=np.float32, reset=False))

    def _recipe(self) -> Recipe:
        fields = {
            "budget_steps": self.steps,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
        }
        return Recipe(**{name: value for name, value in fields.items() if value is not None})

    def _read(self, y: Any, num_items: int) -> tuple[NDArray[np.int64], Annotations | None]:
        """Return each item's label as the number of its class, and all its labels if several."""
        if self.labels == "one":
            labels = _one_label(y)
            _check_length(labels, num_items)
            self.classes_, numbers = np.unique(labels, return_inverse=True)
            return numbers.astype(np.int64), None
        table = _two_dimensional(y, self.labels)
        _check_length(table, num_items)
        if self.labels == "counts":
            annotations, self.classes_ = _of_counts(table)
        elif self.labels == "annotators":
            annotations, self.classes_ = _of_annotators(table)
        else:
            raise ValueError(f"labels is {self.labels!r}; it must be one, annotators or counts")
        return annotations.most_frequent(), annotations


class ImageClassifier(Classifier):
    """A network on images, trained by `dilute.fit` on labels as given; as `Classifier` else.

    Images are uint8, 0 to 255: `[n, H, W]`, `[n, H, W, C]` or `[n, C, H, W]`, C being 1 or 3.
    """

    def _to_train(self, X: Any, y: Any) -> tuple[NDArray[Any], Any]:
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        images = _images(X)
        self.n_features_in_ = int(np.prod(images.shape[1:]))
        return images, y

    def _to_predict(self, X: Any) -> NDArray[Any]:
        return _images(X)


def _images(X: Any) -> NDArray[np.uint8]:
    """Return images as uint8 `[n, C, H, W]`."""
    images = np.asarray(X)
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise ValueError(
            f"X is {images.dtype} of shape {images.shape}; images must be uint8, 0 to 255, as "
            "[n, H, W], [n, H, W, C] or [n, C, H, W]"
        )
    if images.ndim == 3:
        return images[:, None]
    if images.shape[3] in (1, 3) and images.shape[1] not in (1, 3):
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return images


def _one_label(y: Any) -> NDArray[Any]:
    """Return labels `[n]` of any type."""
    given = np.asarray(y)
    missing = sum(map(_is_missing, given.ravel())) if given.dtype.kind == "O" else 0
    if missing:
        raise ValueError(f"{missing} of {given.size} labels are missing; leave these items out")
    if given.dtype.kind == "f":
        assert_all_finite(given, input_name="y")
    check_classification_targets(y)
    return np.asarray(column_or_1d(y, warn=True))


def _two_dimensional(y: Any, what: str) -> NDArray[Any]:
    table = np.asarray(y)
    if table.ndim == 1:
        warnings.warn(
            f"y has one dimension, but labels={what!r} takes a table",
            DataConversionWarning,
            stacklevel=4,
        )
        table = table[:, None]
    if table.ndim != 2:
        raise ValueError(
            f"y has shape {table.shape}; labels={what!r} takes a table of two dimensions"
        )
    return table


def _check_length(y: NDArray[Any], num_items: int) -> None:
    if len(y) != num_items:
        raise ValueError(f"X has {num_items} items, but y has {len(y)}; there must be as many")


def _of_counts(table: NDArray[Any]) -> tuple[Annotations, NDArray[Any]]:
    """Return counts `[n, K]` as the labels of one annotator, and the classes."""
    if table.dtype.kind not in "iufb" or not np.isfinite(table).all():
        raise ValueError("y must hold whole numbers from 0 as counts")
    counts = table.astype(np.int64)
    if (counts != table).any() or (counts < 0).any():
        wrong = table[(counts != table) | (counts < 0)][0]
        raise ValueError(f"y holds {wrong}; counts are whole numbers from 0")
    _check_labelled(counts.sum(axis=1) > 0)
    items, classes = np.nonzero(counts)
    times = counts[items, classes]
    items, classes = np.repeat(items, times), np.repeat(classes, times)
    size, num_classes = counts.shape
    annotations = Annotations(items, np.zeros_like(items), classes, size, 1, num_classes)
    return annotations, np.arange(num_classes)


def _of_annotators(table: NDArray[Any]) -> tuple[Annotations, NDArray[Any]]:
    """Return labels by annotators `[n, A]`, of any type and some missing, and the classes."""
    there = np.array([[not _is_missing(one) for one in row] for row in table], dtype=bool)
    if table.dtype.kind in "if":
        there &= table != -1
    _check_labelled(there.sum(axis=1) > 0)
    items, annotators = np.nonzero(there)
    values = table[there]
    if values.dtype.kind == "O":
        values = np.array(values.tolist())
    elif values.dtype.kind == "f" and (values == np.rint(values)).all():
        values = values.astype(np.int64)
    classes, labels = np.unique(values, return_inverse=True)
    annotations = Annotations(
        items, annotators, labels.astype(np.int64), len(table), table.shape[1], len(classes)
    )
    return annotations, classes


def _is_missing(value: Any) -> bool:
    """Return whether a cell holds no label."""
    return value is None or value == "" or value != value


def _check_labelled(is_labelled: NDArray[np.bool_]) -> None:
    without = np.flatnonzero(~is_labelled)
    if len(without):
        raise ValueError(
            f"{len(without)} items have no label, the first is number {without[0]}; leave them out"
        )
