"""Co-teaching."""

from __future__ import annotations

import copy
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from dilute import seeds
from dilute.methods.cross_entropy import cross_entropy
from dilute.methods.method import Method, Objective, TensorBatch, Uses
from dilute.methods.observed import Observed


class CoTeaching(Method):
    """Two networks, each trained on the visits whose labels the other finds likeliest.

    It knows the noise rate, and assumes that wrong labels have large losses before they are
    learnt by heart. A label is chosen or not, so that visits should show one label each
    (`copies = 1`). The first network is the one that is evaluated. The second is a copy of it
    whose layers are drawn anew by their own `reset_parameters`.

    Networks that choose before they have learnt anything collapse: the ramp must be long where
    training is short (docs/methods.md). At least one visit of a batch is kept.

    Source: Han et al. 2018, *Co-teaching: Robust Training of Deep Neural Networks with Extremely
        Noisy Labels*, algorithm 1, where the rate rises for 10 of 200 epochs.
    """

    title: ClassVar[str] = "Co-teaching"
    networks: ClassVar[int] = 2
    copies: ClassVar[int] = 1
    forget_rate: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="share of visits left out in the end; the set's noise rate if None",
    )
    ramp: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="share of the training over which that share rises from 0",
    )

    @property
    def uses(self) -> Uses:
        """The noise rate."""
        return "known noise rate"

    def make_objective(self, observed: Observed, model: nn.Module, seed: int) -> Objective:
        """Return the two networks' losses; see `Method.objective`."""
        rate = observed.noise_rate if self.forget_rate is None else self.forget_rate
        return _TwoNetworks(model, seed, rate, self.ramp)


class _TwoNetworks(Objective):
    def __init__(self, model: nn.Module, seed: int, forget_rate: float, ramp: float) -> None:
        super().__init__()
        self.second = copy.deepcopy(model)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeds.word(seed, "second network"))
            for module in self.second.modules():
                reset = getattr(module, "reset_parameters", None)
                if callable(reset):
                    reset()
        self._forget_rate, self._ramp = forget_rate, ramp
        self._forgotten = 0.0

    def before_step(self, step: int, num_steps: int, model: nn.Module) -> None:  # noqa: ARG002
        """Set the share of visits that is left out at this step."""
        ramp_steps = self._ramp * num_steps
        self._forgotten = self._forget_rate * min(1.0, step / ramp_steps if ramp_steps else 1.0)

    def forward(self, model: nn.Module, batch: TensorBatch) -> Tensor:
        """Return the sum of each network's mean loss on the visits that the other chose."""
        losses = [
            cross_entropy(network(batch.inputs), batch.targets) for network in (model, self.second)
        ]
        kept = max(1, round((1 - self._forgotten) * len(batch.images)))
        chosen = [torch.topk(one.detach(), kept, largest=False).indices for one in losses]
        return losses[0][chosen[1]].mean() + losses[1][chosen[0]].mean()


METHODS = {"co_teaching": CoTeaching}
