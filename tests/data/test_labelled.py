from __future__ import annotations

import numpy as np
import pytest

from dilute.data.labelled import LabelledSet, Splits
from dilute.errors import DataError

IMAGES = np.zeros((4, 1, 2, 2), np.uint8)
LABELS = np.array([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("inputs", "labels", "names", "message"),
    [
        (IMAGES, np.array([0, 1, 2, 1]), "ab", "label 2 is out of range; with 2 classes"),
        (IMAGES, np.array([0, -1, 0, 1]), "ab", "label -1 is out of range"),
        (IMAGES, np.zeros(4, int), "a", "1 class; a classifier needs at least two"),
        (IMAGES, LABELS[:3], "ab", "4 inputs but 3 labels"),
        (IMAGES, LABELS.astype(float), "ab", "labels are float64"),
        (IMAGES[:0], LABELS[:0], "ab", "the set is empty"),
        (IMAGES[:, 0, 0], LABELS, "ab", "must be \\[N, C, H, W\\]"),
        (np.zeros((4, 2, 2, 2), np.uint8), LABELS, "ab", "C 1 or 3"),
        (IMAGES.astype(np.int32), LABELS, "ab", "inputs are int32"),
        (np.zeros(4, np.float32), LABELS, "ab", "features must be"),
        (np.full((4, 2), np.nan, np.float32), LABELS, "ab", "4 of 4 feature rows hold NaN"),
    ],
)
def test_unfit_sets_are_refused(inputs, labels, names, message) -> None:
    with pytest.raises(DataError, match=message):
        LabelledSet(inputs, labels, tuple(names))


def test_content_hash_depends_on_all_content() -> None:
    def content_hash(inputs=IMAGES, labels=LABELS, names=("a", "b")) -> str:
        return LabelledSet(inputs, labels, names).content_hash

    other = IMAGES.copy()
    other[3, 0, 1, 1] = 1
    hashes = {
        content_hash(),
        content_hash(other),
        content_hash(labels=LABELS[::-1].copy()),
        content_hash(names=("a", "c")),
        content_hash(IMAGES.reshape(4, 1, 4, 1)),
    }
    assert len(hashes) == 5
    assert content_hash(np.asfortranarray(IMAGES), LABELS.astype(np.int16)) == content_hash()


def test_a_class_without_training_examples_is_refused() -> None:
    train = LabelledSet(IMAGES, LABELS, ("a", "b", "c"))
    with pytest.raises(DataError, match=r"no training example of 1 of 3 classes \(c\)"):
        Splits("set", train, None, "here")


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (LabelledSet(IMAGES, LABELS, ("a", "z")), "only there: z"),
        (LabelledSet(IMAGES.reshape(4, 1, 1, 4), LABELS, ("a", "b")), "they must agree"),
        (
            LabelledSet(IMAGES.astype(np.float32), LABELS, ("a", "b")),
            "inputs are float32, training inputs uint8",
        ),
    ],
)
def test_a_test_set_unlike_training_is_refused(test: LabelledSet, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Splits("set", LabelledSet(IMAGES, LABELS, ("a", "b")), test, "here")


def test_statistics_of_images() -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 3, 9, 7)).astype(np.uint8)
    images[:, 2] = 200
    labelled = LabelledSet(images, np.arange(50) % 2, ("a", "b"))
    mean, deviation = labelled.statistics()
    np.testing.assert_allclose(mean, images.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(deviation, images.std(axis=(0, 2, 3)), atol=1e-9)
    mean, _ = labelled.statistics(np.array([3, 5]))
    np.testing.assert_allclose(mean, images[[3, 5]].mean(axis=(0, 2, 3)))


def test_statistics_of_features() -> None:
    features = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    mean, deviation = LabelledSet(features, np.arange(50) % 2, ("a", "b")).statistics()
    np.testing.assert_allclose(mean, features.mean(axis=0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(deviation, features.std(axis=0), rtol=1e-5)
