"""`Fit`: what comes of training, a model and its record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from dilute.data import EncodedImages, LabelledSet
from dilute.dilution import NoisySet
from dilute.errors import SpecError
from dilute.methods import make_method
from dilute.runs.record import RunRecord
from dilute.serving import TrainedModel
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
    _find_noisy: Callable[[], NoisySet] = field(kw_only=True, repr=False)

    @cached_property
    def model(self) -> nn.Module:
        """The trained network: raw inputs `[B, …]` to logits `[B, K]`.

        It is on the CPU, in evaluation mode, and has the selected weights, or the last ones where
        nothing selected. Of a run that a store knew, it is read from there when it is first asked
        for.

        Errors: `StoreError` if the store has kept no weights; `SpecError` if training failed.
        """
        return self._read_model()

    @cached_property
    def trained(self) -> TrainedModel:
        """The model with all that predicting takes, and what it was trained on.

        Errors: those of `model`.
        """
        noisy, record = self._find_noisy(), self.record
        clean = noisy.clean
        return TrainedModel(
            network=self.model,
            class_names=clean.class_names,
            input_shape=clean.input_shape,
            is_images=clean.is_images,
            architecture=record.spec["model"],
            resize=clean.inputs.side if isinstance(clean.inputs, EncodedImages) else None,
            mirrored=record.spec.get("evaluate_mirrored", False),
            law=noisy.law,
            about=_about(record, self.reasons, clean),
        )

    def save(self, folder: Path | str, *, resize: int | None = None) -> Path:
        """Write the model into a folder that `dilute.load_model` reads, and return it.

        Arguments:
            folder: absent, empty, or with an earlier model, which is replaced.
            resize: side in pixels that images were brought to when they were read; the model then
                brings new ones to it, too. Of streamed images it is known.

        Errors: those of `model`; `StoreError` if the folder cannot be written.
        """
        trained = self.trained
        return replace(trained, resize=resize or trained.resize).save(folder)

    def predict(self, inputs: Any) -> NDArray[np.str_]:
        """Return the name of the likeliest class of each input; see `TrainedModel.predict`."""
        return self.trained.predict(inputs)

    def predict_proba(self, inputs: Any) -> NDArray[np.float64]:
        """Return the probability of each class; see `TrainedModel.predict_proba`."""
        return self.trained.predict_proba(inputs)


def _about(record: RunRecord, reasons: Mapping[str, str], clean: LabelledSet) -> dict[str, Any]:
    """Return what a model was trained on, how, and what was measured."""
    spec, accuracy = record.spec, record.accuracy
    point = next((one for one in record.curve if one.step == record.selected_step), None)
    measured = accuracy.selected if record.selected_by else accuracy.last
    is_clean = make_method(spec["method"], **(spec.get("method_options") or {})).predicts_clean
    return {
        "data": spec["data"],
        "content_hash": clean.content_hash,
        "labels_hash": record.labels_hash,
        "examples": record.num_labels,
        "method": spec["method"],
        "steps": record.selected_step or record.steps,
        "probabilities_are_of": "the true class" if is_clean else "a label as in training",
        record.measure.replace(" ", "_"): measured,
        "num_test": record.num_test,
        "agreement_with_held_out_labels": point.heldout_accuracy if point else None,
        "num_heldout": record.num_heldout or None,
        "chosen_and_assumed": dict(reasons) or None,
        "run": record.key,
        "seconds": round(record.seconds, 1),
        "trained": record.started,
    }


@dataclass(frozen=True)
class TrainedNetwork:
    """A record, the network as the last step left it, and the selected weights.

    `selected_weights` is empty where nothing selected.
    """

    record: RunRecord
    network: nn.Module
    selected_weights: Mapping[str, Tensor]
    noisy: NoisySet

    def fit(self) -> Fit:
        """Return the run's fit, whose model the network becomes, with the selected weights."""
        if self.record.status != "failed":
            if self.selected_weights:
                put_weights(self.network, self.selected_weights)
            self.network.cpu().eval()
        return Fit(self.record, _read_model=self._model, _find_noisy=lambda: self.noisy)

    def _model(self) -> nn.Module:
        if self.record.status == "failed":
            raise SpecError(f"run {self.record.key} failed and has no model: {self.record.message}")
        return self.network
