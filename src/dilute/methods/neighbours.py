"""Neighbour pooling: an image's class from the labels of the images that look like it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from dilute.methods.cross_entropy import cross_entropy
from dilute.methods.em import class_log_likelihood
from dilute.methods.looking import features, look_steps
from dilute.methods.matrices import MatrixMethod, counted_law
from dilute.methods.method import Objective, TensorBatch, as_tensor, weighted_mean
from dilute.methods.observed import Observed
from dilute.noise import law_log_likelihood

if TYPE_CHECKING:
    from dilute.methods.graph import Basis, Walk

_M_STEPS = 2


class Neighbours(MatrixMethod):
    """Pool label counts over neighbours by pixels, then train on the pooled posteriors.

    It gains from many labels per image. A graph joins each image to its nearest ones by principal
    components of the pixels, which no label enters. The log-likelihoods of the images' labels are
    averaged along walks on it, whose length and weight are chosen by the likelihood of labels
    that were left out. It assumes that images near each other have the same class.

    With an estimated matrix the first classes are the most frequent labels around each image,
    beyond what is frequent everywhere; then laws and posteriors follow in turn. It assumes that
    the right label is more frequent among a class's labels than elsewhere.

    Source: ours; walks as in Zhou et al. 2004, *Learning with Local and Global Consistency*.
    """

    title: ClassVar[str] = "neighbour pooling"
    labels: ClassVar[Literal["counts"]] = "counts"
    neighbours: int = Field(
        default=10, ge=1, le=1000, description="nearest images that each is joined to"
    )
    dimensions: int = Field(
        default=50, ge=1, description="principal components to measure distance in"
    )
    rounds: int = Field(
        default=0,
        ge=0,
        le=100,
        description="times that neighbours are found anew by the network's features",
    )
    features: Literal["pixels", "patches"] = Field(
        default="pixels",
        description="what images are first compared by: pixels, or features of patches",
    )

    @property
    def looks(self) -> int:
        """Once a round."""
        return self.rounds

    def make_objective(self, observed: Observed, model: nn.Module, seed: int) -> Objective:  # noqa: ARG002
        """Return cross-entropy against pooled posteriors; see `Method.objective`."""
        scores = None if self.estimates else class_log_likelihood(observed, self)
        return _Pooled(self, observed, seed, scores)


class Patches(Neighbours):
    """Pooling by features that are learnt from the images alone: small patches of them.

    Neighbours are found by patch features, and ridge regression on these is a second expert
    beside the walks; see `Neighbours` and `dilute.methods.patches`. It is for images; of other
    inputs it takes the inputs themselves.
    """

    title: ClassVar[str] = "patch pooling"
    features: Literal["pixels", "patches"] = Field(
        default="patches",
        description="what images are first compared by: pixels, or features of patches",
    )


class Rounds(Patches):
    """Patch pooling and training in rounds; see `Patches`.

    In each round, neighbours by the network's own features are one expert more. A round costs a
    look at all images and a search for neighbours. It pays where the network's features come to
    be better than the patches'.
    """

    title: ClassVar[str] = "pooling in rounds"
    rounds: int = Field(
        default=3,
        ge=0,
        le=100,
        description="times that neighbours are found anew by the network's features",
    )


class _Pooled(Objective):
    """Cross-entropy against pooled posteriors, a table of them by image."""

    posterior: Tensor

    def __init__(
        self,
        method: Neighbours,
        observed: Observed,
        seed: int,
        scores: NDArray[np.float64] | None,
    ) -> None:
        super().__init__()
        self._method, self._observed, self._seed, self._scores = method, observed, seed, scores
        self.register_buffer("posterior", torch.zeros(observed.num_images, observed.num_classes))

    def before_step(self, step: int, num_steps: int, model: nn.Module) -> None:
        """Find neighbours and pool: first by pixels or patches, at each look by features, too."""
        chosen = self._method
        if step and step not in look_steps(num_steps, chosen.looks):
            return
        from threadpoolctl import threadpool_limits

        from dilute.methods.graph import basis_of, principal, walk_between

        with threadpool_limits(torch.get_num_threads()):  # of linear algebra outside PyTorch, too
            basis = basis_of(
                self._observed, chosen.features, chosen.dimensions, chosen.neighbours, self._seed
            )
            walks = [basis.walk]
            if step:
                seen = features(model, self._observed).numpy()
                walks.append(walk_between(principal(seen, chosen.dimensions), chosen.neighbours))
            self.posterior.copy_(as_tensor(self._pool(basis, walks)))

    def _pool(self, basis: Basis, walks: list[Walk]) -> NDArray[np.float64]:
        from dilute.methods.pooling import pooled, posterior

        if self._scores is not None:
            return pooled(self._scores, self._seed, walks, basis.features)
        counts = self._observed.counts()
        prior, scores = _without_law(counts, self._seed, walks, basis, _M_STEPS)
        return posterior(prior, scores)

    def forward(self, model: nn.Module, batch: TensorBatch) -> Tensor:
        """Return the mean cross-entropy against the pooled posteriors."""
        losses = cross_entropy(model(batch.inputs), self.posterior[batch.images])
        return weighted_mean(losses, batch)


def _without_law(
    counts: NDArray[np.int64], seed: int, walks: list[Walk], basis: Basis, rounds: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return float64 `[N, K]` twice: log-priors by other images, and log-likelihoods of own labels.

    The law of labels is estimated from the posteriors in turn with these.
    """
    from dilute.methods.graph import pooled_classes
    from dilute.methods.pooling import log_prior, posterior

    classes = np.eye(counts.shape[1])[pooled_classes(walks[-1], counts, seed)]
    for _ in range(rounds):
        scores = law_log_likelihood(counts, counted_law(classes, counts))
        prior = log_prior(scores, seed, walks, basis.features)
        classes = posterior(prior, scores)
    return prior, scores


def classes_by_others(
    observed: Observed, seed: int, rounds: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return class probabilities of each image by the labels of others, and the law of labels.

    Arguments:
        observed: images, or other inputs, of one source.
        seed: of folds and filters.
        rounds: of estimating law and classes in turn.

    Returns:
        float64 `[N, K]`, which an image's own labels do not enter; float64 `[K, K]`.
    """
    from threadpoolctl import threadpool_limits

    from dilute.methods.graph import basis_of
    from dilute.methods.pooling import posterior

    method, counts = Patches(), observed.counts()
    with threadpool_limits(torch.get_num_threads()):
        basis = basis_of(observed, method.features, method.dimensions, method.neighbours, seed)
        prior, scores = _without_law(counts, seed, [basis.walk], basis, rounds)
    law = counted_law(posterior(prior, scores), counts)
    return posterior(prior, np.zeros_like(scores)), law


METHODS = {"neighbours": Neighbours, "patches": Patches, "rounds": Rounds}
