"""EM over label counts: the network's prediction and an image's labels, joined by Bayes."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from dilute.methods.cross_entropy import cross_entropy
from dilute.methods.looking import look_steps, probabilities
from dilute.methods.matrices import MatrixMethod, counted_law
from dilute.methods.method import Objective, TensorBatch, as_tensor, weighted_mean
from dilute.methods.observed import Observed
from dilute.noise import law_log_likelihood

_M_STEPS = 5


class EM(MatrixMethod):
    """Maximise the likelihood of every image's label counts, its true class being unknown.

    It gains from many labels per image. The loss of an image is `−log Σ_k p_k · P(counts | k)`.
    Its gradient is that of cross-entropy against the posterior `∝ p_k · P(counts | k)` at the
    current weights: every step is an E-step for its own batch and a part of the M-step. Of a
    dilution with a known matrix it knows that one label of each image is its own; of rows that
    are given, all labels of an image are drawn from them alike.

    An estimated matrix needs nothing but labels. Training starts with cross-entropy. At evenly
    spaced looks at all images the M-step sets each class's law to the mean distribution of the
    labels of its images, by the posterior (at the first look: by the predicted class). It assumes
    that all labels of an image are drawn from its class's law, and that cross-entropy finds the
    classes.

    Source: ours; for several annotators with matrices of their own, Raykar et al. 2010, *Learning
        from Crowds*.
    """

    title: ClassVar[str] = "EM"
    labels: ClassVar[Literal["counts"]] = "counts"
    only_estimated: ClassVar[frozenset[str]] = frozenset({"rounds"})
    rounds: int = Field(
        default=3, ge=1, le=100, description="looks at which the matrix is estimated anew"
    )

    @property
    def looks(self) -> int:
        """Once a round; never if the matrix is known."""
        return self.rounds if self.estimates else 0

    def make_objective(self, observed: Observed, model: nn.Module, seed: int) -> Objective:  # noqa: ARG002
        """Return the counts' negative log-likelihood; cross-entropy at first if it estimates."""
        if self.estimates:
            return _EstimatedLikelihood(observed, self.rounds)
        objective = _CountLikelihood(observed)
        objective.put(class_log_likelihood(observed, self))
        return objective


def class_log_likelihood(observed: Observed, method: MatrixMethod) -> NDArray[np.float64]:
    """Return float64 `[N, K]`: by class, the log-likelihood of each image's labels.

    It is by the method's matrix, or by what the set knows of its noise where that is not given.
    """
    if method.rows is None:
        return observed.log_likelihood()
    return law_log_likelihood(observed.counts(), method.given_law(observed))


class _CountLikelihood(Objective):
    """`−log Σ_k p_k · P(counts | k)`, from a table of log-likelihoods."""

    table: Tensor

    def __init__(self, observed: Observed) -> None:
        super().__init__()
        self.register_buffer("table", torch.zeros(observed.num_images, observed.num_classes))

    def put(self, scores: NDArray[np.float64]) -> None:
        """Take `[N, K]` log-likelihoods."""
        self.table.copy_(torch.from_numpy(scores).log_softmax(dim=1).clamp_min(-100.0))

    def forward(self, model: nn.Module, batch: TensorBatch) -> Tensor:
        """Return the mean over images of their counts' negative log-likelihood."""
        joint = model(batch.inputs).log_softmax(dim=1) + self.table[batch.images]
        return weighted_mean(-joint.logsumexp(dim=1), batch)


class _EstimatedLikelihood(_CountLikelihood):
    law: Tensor
    has_law: Tensor

    def __init__(self, observed: Observed, rounds: int) -> None:
        super().__init__(observed)
        self._observed, self._rounds = observed, rounds
        self.register_buffer("law", torch.zeros(observed.num_classes, observed.num_classes))
        self.register_buffer("has_law", torch.tensor(False))

    def before_step(self, step: int, num_steps: int, model: nn.Module) -> None:
        """Take the M-step where one is due."""
        if step not in look_steps(num_steps, self._rounds):
            return
        predicted = probabilities(model, self._observed).double().numpy()
        counts = self._observed.counts()
        beside = counts[self._observed.images()]
        if self.has_law:
            law = fitted_law(beside, predicted, self.law.double().cpu().numpy())
        else:  # the network predicts noisy labels: the likeliest is taken for the class
            law = counted_law(np.eye(predicted.shape[1])[predicted.argmax(axis=1)], beside)
        self.law.copy_(as_tensor(law))
        self.put(law_log_likelihood(counts, law))
        self.has_law.fill_(True)

    def forward(self, model: nn.Module, batch: TensorBatch) -> Tensor:
        """Return cross-entropy before the first M-step, then the likelihood of counts."""
        if self.has_law:
            return super().forward(model, batch)
        return weighted_mean(cross_entropy(model(batch.inputs), batch.targets), batch)


def fitted_law(
    counts: NDArray[np.int64], prior: NDArray[np.float64], law: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return float64 `[K, K]`: the law of labels by class after a few EM steps.

    Arguments:
        counts: int64 `[N, K]`.
        prior: float64 `[N, K]`, the probability of each class for each image, whatever its labels.
        law: float64 `[K, K]`, where to start.
    """
    logs = np.log(np.maximum(prior, 1e-12))
    for _ in range(_M_STEPS):
        scores = logs + law_log_likelihood(counts, law)
        posterior = torch.from_numpy(scores).softmax(dim=1).numpy()
        law = counted_law(posterior, counts)
    return law


METHODS = {"em": EM}
