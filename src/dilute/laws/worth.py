"""What theory says of a noisy label's worth: how many clean examples an image with its labels stands for.

Three readings. They meet for clean labels (worth 1) and part from there; `docs/laws.md` derives them.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from dilute import seeds
from dilute.dilution import Copies, Kind
from dilute.noise import Matrix, NoisePattern, count_log_likelihood, label_laws, law_log_likelihood

Doubt = Literal["pairs", "all"]
_DRAWS = 20_000
_MANY_LABELS = 1000
_MOST_DRAWN = 4_000_000
_MOST_PAIRS = 5000
"""The logarithm of an impossible label's probability: times any count, the exponential of it is 0."""


def worth(laws: Matrix, num_labels: float, doubt: Doubt = "all") -> float:
    """Return the Fisher information of an image's labels over that of one clean label.

    It is the worth for training that knows the noise and uses labels as well as can be.

    Arguments:
        laws: float64 `[K, K]`, row-stochastic: by true class, the distribution of a label (`label_laws`).
        num_labels: labels per image, > 0.
        doubt: between which classes the network hesitates evenly: `"all"`, as before training, or
            `"pairs"`, any two alike, as a good network does.

    For uniform noise and m classes in doubt it is exactly `1 / (1 + alpha·m/K)`.
    """
    if doubt == "all":
        return num_labels * _information(laws)
    pairs = list(combinations(range(len(laws)), 2))
    if len(pairs) > _MOST_PAIRS:
        chosen = seeds.Permutation(len(pairs), 0, "pairs")(np.arange(_MOST_PAIRS))
        pairs = [pairs[index] for index in chosen]
    return num_labels * float(np.mean([_information(laws[list(pair)]) for pair in pairs]))


def plain_worth(laws: Matrix, num_labels: float, doubt: Doubt = "all") -> float:
    """Return the worth for plain training, which takes the most frequent label for the class.

    The signal is then how much more frequent the true label is than a rival's, and the noise how often
    the two are drawn. Needs of examples are averaged over true classes and rivals; 0 where some rival is as
    frequent as the truth, for then no amount of data helps.

    Arguments: as for `worth`, which it equals for uniform noise.
    """
    is_rival = ~np.eye(len(laws), dtype=bool)
    gaps = (np.diag(laws)[:, None] - laws)[is_rival]
    if (gaps <= 1e-12).any():
        return 0.0
    if doubt == "pairs":
        own = np.diag(laws)
        drawn = (own[:, None] + own[None, :] + laws + laws.T) / 2
    else:
        shares = laws.mean(axis=0)
        drawn = (shares[:, None] + shares[None, :]) * len(laws) / 2
    return num_labels / float(np.mean(drawn[is_rival] / gaps**2))


def kappa(
    noise: NoisePattern,
    num_classes: int,
    alpha: float,
    *,
    copies: Copies = "all",
    doubt: Doubt = "all",
    is_plain: bool = True,
) -> float:
    """Return the kappa of `n_eff = n / (1 + kappa·alpha)` that theory gives; infinite where nothing is learned.

    Arguments:
        noise: the pattern.
        num_classes: K ≥ 2.
        alpha: noisy examples per clean one, > 0.
        copies: labels per visit. Any number of drawn labels is worth the same, since an epoch shows every
            label once; `"expected"` has no noise of labels, and a kappa of 0.
        doubt: as for `worth`.
        is_plain: plain training (`plain_worth`), or training that knows the noise (`worth`).

    Errors: `NoiseError` for a pattern that cannot be.
    """
    if copies == "expected":
        return 0.0
    laws = label_laws(alpha, noise.matrix(num_classes, alpha))
    found = (plain_worth if is_plain else worth)(laws, 1 + alpha, doubt)
    return (1 / found - 1) / alpha if found else math.inf


def information_worth(
    matrix: Matrix, alpha: float, kind: Kind = "dilution", seed: int = 0
) -> float:
    """Return what a clean example and its noisy ones tell of classes, over what one clean label tells: mutual information.

    For dilution the labels are those of one image, its own and `alpha` drawn ones, and tell at most its class;
    for replacement each of the `1 + alpha` labels has an image of its own.

    Arguments:
        matrix: float64 `[K, K]`, the distribution of a noisy label by true class.
        alpha: noisy examples per clean one, ≥ 0; for dilution a whole number.
        seed: of the draws (20,000, fewer of many classes) that the average for dilution is over.

    Classes are taken to be equally frequent.
    """
    num_classes = len(matrix)
    if alpha == 0:
        return 1.0
    if kind == "replacement":
        return (1 + alpha) * labels_information(label_laws(alpha, matrix), 1)
    if alpha > _MANY_LABELS:  # where information falls as one over alpha
        return information_worth(matrix, _MANY_LABELS, kind, seed) * _MANY_LABELS / alpha
    truth, generator = _classes(num_classes, seed)
    counts = generator.multinomial(int(alpha), matrix[truth])
    counts[np.arange(len(truth)), truth] += 1
    return _told(class_posterior(counts, matrix))


def labels_information(laws: Matrix, num_labels: int, seed: int = 0) -> float:
    """Return what the labels of one item tell of its class, over what a clean label tells: mutual information, 0 to 1.

    Arguments:
        laws: float64 `[K, K]`, by true class the distribution that every label is drawn from on its own.
        num_labels: labels of the item, ≥ 1.
        seed: of the draws (20,000, fewer of many classes) that the average over more than one label is over.

    Classes are taken to be equally frequent.
    """
    num_classes = len(laws)
    if num_labels == 1:
        shares = np.broadcast_to(laws.mean(axis=0), laws.shape)
        is_drawn = laws > 0
        told = (laws[is_drawn] * np.log(laws[is_drawn] / shares[is_drawn])).sum() / num_classes
        return float(told) / math.log(num_classes)
    truth, generator = _classes(num_classes, seed)
    counts = generator.multinomial(num_labels, laws[truth])
    return _told(softmax(law_log_likelihood(counts, laws), axis=1))


def _classes(num_classes: int, seed: int) -> tuple[NDArray[np.int64], np.random.Generator]:
    """Return true classes of items to average over, and what to draw their labels from."""
    generator = np.random.default_rng(seeds.word(seed, "information"))
    return generator.integers(num_classes, size=min(_DRAWS, _MOST_DRAWN // num_classes)), generator


def _told(posterior: NDArray[np.float64]) -> float:
    """Return the information behind posteriors `[N, K]` of equally frequent classes, over the entropy of the class."""
    entropy = -(posterior * np.log(np.maximum(posterior, 1e-300))).sum(axis=1)
    return 1 - float(entropy.mean()) / math.log(posterior.shape[1])


def class_posterior(counts: NDArray[np.int64], matrix: Matrix) -> NDArray[np.float64]:
    """Return float64 `[N, K]`: the probability of each class given label counts of which one is the image's own; see `count_log_likelihood`."""
    return np.asarray(softmax(count_log_likelihood(counts, matrix), axis=1))


def _information(rows: Matrix) -> float:
    """Return the Fisher information of one label on the logits, over that of a clean label.

    Arguments:
        rows: `[m, K]`, the label distributions of the m classes in doubt, evenly.
    """
    size = len(rows)
    centred = (
        np.eye(size) - 1 / size
    ) / size  # diag(p) − p pᵀ: also the information of a clean label
    change = centred @ rows
    seen = rows.mean(axis=0)
    is_seen = seen > 0
    return float((change[:, is_seen] ** 2 / seen[is_seen]).sum() / np.trace(centred))
