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
    """

    record: RunRecord
    was_known: bool = False
    _read_model: Callable[[], nn.Module] = field(kw_only=True, repr=False)

    @cached_property
    def model(self) -> nn.Module:
        """The trained network: raw inputs `[B, …]` to logits `[B, K]`.

        It is on the CPU and in evaluation mode.

        It has the selected weights, or the last ones where nothing selected. Of a run that a store
        knew, it is read from the store when it is first asked for.

        Errors: `StoreError` if the store has kept no weights; `SpecError` if training failed.
        """
        return self._read_model()

    @staticmethod
    def of_training(
        record: RunRecord, network: nn.Module, selected_weights: Mapping[str, Tensor]
    ) -> Fit:
        """Return the fit of a run that was done now.

        Arguments:
            network: with the last weights. It is the fit's from now on, and gets the selected ones.
            selected_weights: empty where nothing selected.
        """
        if record.status == "failed":
            return Fit(record, _read_model=lambda: _no_model(record))
        if selected_weights:
            put_weights(network, selected_weights)
        network.cpu().eval()
        return Fit(record, _read_model=lambda: network)


def _no_model(record: RunRecord) -> nn.Module:
    raise SpecError(f"run {record.key} failed and has no model: {record.message}")
