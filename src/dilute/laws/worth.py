"""How many examples with clean labels an image with noisy labels is worth, by theory.

There are three definitions of the worth: `worth`, `plain_worth` and `information_worth`. All are 1
for a clean label and differ for noisy ones; `docs/laws.md` derives them.
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


def worth(laws: Matrix, num_labels: float, doubt: Doubt = "all") -> float:
    """Return the Fisher information of an image's labels, divided by that of one clean label.

    It is the worth for training that knows the noise and makes the best use of the labels. For
    uniform noise and m classes in doubt it is exactly `1 / (1 + alpha·m/K)`.

    Arguments:
        laws: float64 `[K, K]`, row-stochastic: by true class, the distribution of a label
            (`label_laws`).
        num_labels: labels per image, > 0.
        doubt: the classes that are equally likely to the network: `"all"`, as before training, or
            `"pairs"`, the average over any two, as for a good network.
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

    The signal is then how much more frequent the true label is than another label, and the noise
    is how often the two are drawn. The numbers of examples needed are averaged over true classes
    and other labels. The worth is 0 if some label is as frequent as the true one: then no amount
    of data helps. For uniform noise it equals `worth`.

    Arguments: as for `worth`.
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
    """Return the kappa of `n_eff = n / (1 + kappa·alpha)` by theory.

    It is infinite if nothing is learned.

    Arguments:
        noise: the pattern.
        num_classes: K ≥ 2.
        alpha: noisy examples per clean one, > 0.
        copies: labels per visit. Any number of drawn labels gives the same kappa, since an epoch
            shows every label once; `"expected"` labels have no noise, and a kappa of 0.
        doubt: as for `worth`.
        is_plain: True for plain training (`plain_worth`), False for training that knows the noise
            (`worth`).

    Errors: `NoiseError` for a pattern that is not possible with these numbers.
    """
    if copies == "expected":
        return 0.0
    laws = label_laws(alpha, noise.matrix(num_classes, alpha))
    found = (plain_worth if is_plain else worth)(laws, 1 + alpha, doubt)
    return (1 / found - 1) / alpha if found else math.inf


def information_worth(
    matrix: Matrix, alpha: float, kind: Kind = "dilution", seed: int = 0
) -> float:
    """Return the mutual information of labels and class, divided by that of one clean label.

    The labels are those of a clean example and its `alpha` noisy ones. For dilution they belong to
    one image and say at most what its class is. For replacement each of the `1 + alpha` labels has
    an image of its own. All classes are taken to be equally frequent.

    Arguments:
        matrix: float64 `[K, K]`, the distribution of a noisy label by true class.
        alpha: noisy examples per clean one, ≥ 0; for dilution a whole number.
        seed: of the random labels (20,000, fewer if there are many classes) that the value for
            dilution is an average over.
    """
    num_classes = len(matrix)
    if alpha == 0:
        return 1.0
    if kind == "replacement":
        return (1 + alpha) * labels_information(label_laws(alpha, matrix), 1)
    if alpha > _MANY_LABELS:  # from there on information falls as one over alpha
        return information_worth(matrix, _MANY_LABELS, kind, seed) * _MANY_LABELS / alpha
    truth, generator = _classes(num_classes, seed)
    counts = generator.multinomial(int(alpha), matrix[truth])
    counts[np.arange(len(truth)), truth] += 1
    return _information_behind(class_posterior(counts, matrix))


def labels_information(laws: Matrix, num_labels: int, seed: int = 0) -> float:
    """Return the mutual information of an item's labels and its class, 0 to 1.

    The unit is that of one clean label. All classes are taken to be equally frequent.

    Arguments:
        laws: float64 `[K, K]`, by true class the distribution of each label, drawn independently.
        num_labels: labels of the item, ≥ 1.
        seed: of the random labels (20,000, fewer if there are many classes) that the value for
            more than one label is an average over.
    """
    num_classes = len(laws)
    if num_labels == 1:
        shares = np.broadcast_to(laws.mean(axis=0), laws.shape)
        is_drawn = laws > 0
        nats = (laws[is_drawn] * np.log(laws[is_drawn] / shares[is_drawn])).sum() / num_classes
        return float(nats) / math.log(num_classes)
    truth, generator = _classes(num_classes, seed)
    counts = generator.multinomial(num_labels, laws[truth])
    return _information_behind(softmax(law_log_likelihood(counts, laws), axis=1))


def _classes(num_classes: int, seed: int) -> tuple[NDArray[np.int64], np.random.Generator]:
    """Return the true classes of items to average over, and a generator for their labels."""
    generator = np.random.default_rng(seeds.word(seed, "information"))
    return generator.integers(num_classes, size=min(_DRAWS, _MOST_DRAWN // num_classes)), generator


def _information_behind(posterior: NDArray[np.float64]) -> float:
    """Return the mutual information behind class probabilities `[N, K]`, 0 to 1.

    It is divided by the entropy of the class; classes are equally frequent.
    """
    entropy = -(posterior * np.log(np.maximum(posterior, 1e-300))).sum(axis=1)
    return 1 - float(entropy.mean()) / math.log(posterior.shape[1])


def class_posterior(counts: NDArray[np.int64], matrix: Matrix) -> NDArray[np.float64]:
    """Return float64 `[N, K]`: the probability of each class, given label counts `[N, K]`.

    One of an image's labels is its own; see `count_log_likelihood`.

    Arguments:
        matrix: float64 `[K, K]`, the distribution of a noisy label by true class.
    """
    return np.asarray(softmax(count_log_likelihood(counts, matrix), axis=1))


def _information(rows: Matrix) -> float:
    """Return the Fisher information of one label on the logits, divided by that of a clean label.

    Arguments:
        rows: `[m, K]`, the label distributions of the m classes in doubt, all equally likely.
    """
    size = len(rows)
    # diag(p) − p pᵀ, which is also the information of a clean label
    centred = (np.eye(size) - 1 / size) / size
    change = centred @ rows
    seen = rows.mean(axis=0)
    is_seen = seen > 0
    return float((change[:, is_seen] ** 2 / seen[is_seen]).sum() / np.trace(centred))
