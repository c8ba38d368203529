"""`Fit`: what comes of training, a model and its record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor, nn

from dilute.errors import SpecError
from dilute.runs.record import RunRecord
from dilute.training.checkpoints import put_weights


@dataclass(frozen=True, eq=False)
class Fit:
    """What came of a run: its record and its model.

    Attributes:
        record: the record.
        was_known: whether a store answered, so that nothing was trained.
        reasons: a sentence for each thing that `dilute.fit` chose or found, by its name.
    """

    record: RunRecord
    was_known: bool = False
    reasons: Mapping[str, str] = field(default_factory=dict)
    _read_model: Callable[[], nn.Module] = field(kw_only=True, repr=False)

    @cached_property
    def model(self) -> nn.Module:
        """The trained network: raw inputs `[B, …]` to logits `[B, K]`.

        It is on the CPU, in evaluation mode, and has the selected weights, or the last ones where
        nothing selected. Of a run that a store knew, it is read from there when it is first asked
        for.

        Errors: `StoreError` if the store has kept no weights; `SpecError` if training failed.
        """
        return self._read_model()


@dataclass(frozen=True)
class TrainedNetwork:
    """A record, the network as the last step left it, and the selected weights.

    `selected_weights` is empty where nothing selected.
    """

    record: RunRecord
    network: nn.Module
    selected_weights: Mapping[str, Tensor]

    def fit(self) -> Fit:
        """Return the run's fit, whose model the network becomes, with the selected weights."""
        if self.record.status != "failed":
            if self.selected_weights:
                put_weights(self.network, self.selected_weights)
            self.network.cpu().eval()
        return Fit(self.record, _read_model=self._model)

    def _model(self) -> nn.Module:
        if self.record.status == "failed":
            raise SpecError(f"run {self.record.key} failed and has no model: {self.record.message}")
        return self.network
