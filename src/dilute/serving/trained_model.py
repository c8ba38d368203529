"""`TrainedModel`: a network with all that predicting takes, and what it was trained on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dilute.environment import choose_device
from dilute.serving.inputs import Expected, batches
from dilute.training import Mirrored

Array = NDArray[np.float64]
BATCH_SIZE = 256


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A trained network, and what predicting with it takes.

    Attributes:
        network: raw inputs `[B, …]` (uint8 images, or float32 features) to logits `[B, K]`.
        class_names: K names.
        input_shape: of one input: `(C, H, W)` for images.
        is_images: whether inputs are uint8 images; otherwise they are float features.
        architecture: the network's name, `module:callable`, or `instance:…` for one that was given
            as an object.
        resize: side in pixels that images are brought to, as in training: the shorter side is
            scaled to it, the centre cut out. None to take images of the right size alone.
        mirrored: whether it predicts from each image and its mirror image, as it was evaluated.
        law: float64 `[K, K]`, by true class the distribution of a given label in training; None
            where it is not known.
        about: what it was trained on, how, and what was measured, for people and programs to read.
    """

    network: nn.Module
    class_names: tuple[str, ...]
    input_shape: tuple[int, ...]
    is_images: bool
    architecture: str
    resize: int | None = None
    mirrored: bool = False
    law: Array | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def expected(self) -> Expected:
        """The inputs that it takes."""
        return Expected(self.input_shape, self.is_images, self.resize)

    def predict_proba(self, inputs: Any, *, batch_size: int = BATCH_SIZE) -> Array:
        """Return the probability of each class: float64 `[N, K]`.

        Arguments:
            inputs: images as uint8 `[N, C, H, W]`, `[N, H, W, C]` or (grey) `[N, H, W]`; a Pillow
                image; the path of an image, or of a folder whose images are taken in the order of
                their paths; a list of these; or features `[N, …]`; or a `LabelledSet`, or another
                data set whose items are inputs, alone or with a label behind them.
            batch_size: inputs that go through the network at once.

        Errors: `DataError` for inputs of another kind or size, or that cannot be read.
        """
        found = [part for _, part in self.predictions(inputs, batch_size=batch_size)]
        return np.concatenate(found) if found else np.zeros((0, len(self.class_names)))

    def predict(self, inputs: Any, *, batch_size: int = BATCH_SIZE) -> NDArray[np.str_]:
        """Return the name of the likeliest class of each input: str `[N]`.

        Arguments and errors are those of `predict_proba`.
        """
        best = self.predict_proba(inputs, batch_size=batch_size).argmax(axis=1)
        return np.asarray(np.array(self.class_names)[best])

    def predictions(
        self, inputs: Any, *, batch_size: int = BATCH_SIZE
    ) -> Iterator[tuple[int, Array]]:
        """Yield, batch after batch, where it begins and its probabilities `[B, K]`.

        Arguments and errors are those of `predict_proba`.
        """
        start = 0
        for batch in batches(inputs, self.expected, batch_size):
            found = self._probabilities(batch)
            yield start, found
            start += len(found)

    def _probabilities(self, batch: NDArray[Any]) -> Array:
        tensors = torch.from_numpy(np.ascontiguousarray(batch))
        with torch.inference_mode(), _evaluating(self.network):
            network = Mirrored(self.network) if self.mirrored else self.network
            logits = network(tensors.to(self._device))
            found: Array = torch.softmax(logits.double(), dim=1).cpu().numpy()
        return found

    @property
    def _device(self) -> torch.device:
        parts = [*self.network.parameters(), *self.network.buffers()]
        return parts[0].device if parts else torch.device("cpu")

    def to(self, device: str | None) -> TrainedModel:
        """Move the network to a device (a GPU if there is one, for None), and return the model.

        Errors: `SpecError` for a device that is not here.
        """
        self.network.to(choose_device(device))
        return self

    def save(self, folder: Path | str) -> Path:
        """Write the model into a folder that `dilute.load_model` reads, and return it.

        An earlier model there is replaced; any other folder that holds something is left alone.

        Errors: `StoreError` if it cannot be written.
        """
        from dilute.serving.model_folder import save_model

        return save_model(self, folder)


@contextlib.contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Keep the network in evaluation mode, and leave it as it was."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)
