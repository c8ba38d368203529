"""`RunRecord`: everything that came of a run."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from dilute.training import CurvePoint

RECORD_FORMAT = 1


class Accuracy(BaseModel):
    """Test accuracy, 0 to 1, of the run's last model and of the selected one; None where there is none.

    Attributes:
        last, selected: share of test labels predicted.
        top5_last, top5_selected: share of test labels among the five likeliest classes; None for up to
            10 classes.
    """

    model_config = ConfigDict(frozen=True)

    last: float | None = None
    selected: float | None = None
    top5_last: float | None = None
    top5_selected: float | None = None


class RunRecord(BaseModel):
    """What came of a run. Missing is None, never 0.

    Attributes:
        format: of the record itself; one that does not say is of format 1.
        key, spec: what was run.
        status: `done`, `diverged` (the loss left the finite numbers) or `failed` (`message` says why).
        accuracy: on the test set, which chose nothing.
        selected_by: `heldout_noisy_nll`, `heldout_clean_nll`, with `mixed_nll` for methods whose network predicts
            true labels, or None if nothing was held out.
        selected_step: after how many steps the selected model was taken.
        curve: what was measured along the run.
        heldout_confusion: `[K][K]`, the held-out labels by (label, class that the selected model
            predicts); None if nothing was held out or there are more than 100 classes.
        steps, images, examples: steps done, images that went through the network (twice, if the method has
            two), image–label pairs that they stood for. Looks of a method at its training set, without
            gradients, are in seconds and not in images.
        seconds: all of it, reading data and what an interrupted run had spent in steps and evaluation
            included; of which training_seconds in steps, and gradient_seconds in looking at gradients (None
            if they were not logged). images_per_second and examples_per_second
            are over the latter.
        peak_memory_bytes: of the process since it started, earlier runs in it included (of the GPU: in
            `hardware`), as far as it is known.
        num_clean, num_noisy: training examples with their own label, and with a drawn one.
        num_heldout: images held out. num_classes: K.
        unreadable_images: streamed images that did not decode and so counted for nothing, among those that the run
            looked at: by any rank, and before any interruption; None where such an image is an error.
        noise_rate: share of training examples that were added or replaced as noise, the true class
            included; wrong_rate: share whose label is in fact wrong.
        labels_hash: content hash of all the labels, held-out ones included.
        data: content hashes of what was found under the spec's name (never where: records are shared).
        versions, code, hardware: what it ran on. started: UTC.
    """

    model_config = ConfigDict(frozen=True)

    format: int = Field(RECORD_FORMAT, ge=1)
    key: str
    status: Literal["done", "failed", "diverged"]
    message: str | None = None
    spec: dict[str, Any]
    accuracy: Accuracy = Accuracy()
    selected_by: str | None = None
    selected_step: int | None = None
    curve: list[CurvePoint] = []
    heldout_confusion: list[list[int]] | None = None
    steps: int | None = None
    images: int | None = None
    examples: int | None = None
    images_per_second: float | None = None
    examples_per_second: float | None = None
    seconds: float
    training_seconds: float | None = None
    gradient_seconds: float | None = None
    peak_memory_bytes: int | None = None
    num_clean: int | None = None
    num_noisy: int | None = None
    num_heldout: int | None = None
    num_test: int | None = None
    num_classes: int | None = None
    unreadable_images: int | None = None
    noise_rate: float | None = None
    wrong_rate: float | None = None
    labels_hash: str | None = None
    data: dict[str, str | None] = {}
    versions: dict[str, str] = {}
    code: str
    hardware: dict[str, Any] = {}
    started: str
