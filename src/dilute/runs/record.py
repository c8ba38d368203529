"""`RunRecord`: everything that came of a run."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from dilute.training import CurvePoint

RECORD_FORMAT = 1
TestLabels = Literal["clean", "given"]


class Accuracy(BaseModel):
    """Test accuracy, 0 to 1, of the last model and of the selected one; None where there is none.

    Attributes:
        last, selected: share of test labels predicted.
        top5_last, top5_selected: share of test labels among the five likeliest classes; None for
            up to 10 classes.
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
        status: `done`, `diverged` (the loss is no finite number) or `failed` (`message` says why).
        accuracy: on the test set, which chose nothing.
        selected_by: `heldout_noisy_nll` or `heldout_clean_nll`, with `mixed_nll` for methods whose
            network predicts true labels; None if nothing was held out.
        selected_step: after how many steps the selected model was taken.
        curve: what was measured along the run.
        heldout_confusion: `[K][K]`, the held-out labels by (label, class that the selected model
            predicts); None if nothing was held out or there are more than 100 classes.
        steps: how many were done.
        images: how many went through the network (twice as many if the method has two networks).
        examples: pairs of image and label that the images stood for. A method's first look at its
            training set, without gradients, counts in `seconds` and not in `images`.
        seconds: all of the run: reading data, and what was spent before an interruption, included.
        training_seconds: the part of `seconds` that was spent in steps.
        gradient_seconds: the part spent in measuring gradients; None if they were not logged.
        images_per_second, examples_per_second: over `training_seconds`.
        peak_memory_bytes: of the process since it started, earlier runs in it included; None where
            unknown. (That of the GPU is in `hardware`.)
        num_clean, num_noisy: training examples with their own label, and with a drawn one; None
            where the labels are as given.
        num_labels: training examples, pairs of an image and a label.
        num_heldout: images held out. num_test: test images. num_classes: K.
        unreadable_images: streamed images that did not decode and so counted for nothing, among
            those that any rank looked at, before an interruption too; None where such an image is
            an error.
        noise_rate: share of training examples that were added or replaced as noise, the true class
            included; None where the labels are as given.
        wrong_rate: share of training examples whose label is in fact wrong; None where the labels
            are as given, since it is not known.
        test_labels: `clean`, or `given` where nobody has said that the test labels are right: then
            `accuracy` is agreement with given labels. None without a test set, and in records from
            before the field.
        labels_hash: content hash of all the labels, held-out ones included.
        data: content hashes of what was found under the spec's name. (Never where it was found:
            records are shared.)
        versions, hardware: what it ran on.
        code: hash of the code that can change numbers, as of `dilute.environment.code_hash`.
        commit: of this package's source, 40 hex digits, with `+changes` behind it if files differed
            from the commit; None outside a repository, and in records from before the field.
        started: UTC.
    """

    model_config = ConfigDict(frozen=True)

    format: int = Field(default=RECORD_FORMAT, ge=1)
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
    num_labels: int | None = None
    num_heldout: int | None = None
    num_test: int | None = None
    num_classes: int | None = None
    unreadable_images: int | None = None
    noise_rate: float | None = None
    wrong_rate: float | None = None
    test_labels: TestLabels | None = None
    labels_hash: str | None = None
    data: dict[str, str | None] = {}
    versions: dict[str, str] = {}
    code: str
    commit: str | None = None
    hardware: dict[str, Any] = {}
    started: str

    @property
    def measure(self) -> str:
        """What `accuracy` is, in words: `test accuracy`, or `agreement with given labels`."""
        return measure_of(self.test_labels)

    def answers(self, has_test: bool, test_hash: str | None = None) -> bool:
        """Return whether the run need not be done again.

        It must not have failed, and must have been tested if there is a test set.

        Arguments:
            has_test: whether there is one.
            test_hash: its content hash; None where it is not known.
        """
        if self.status == "failed" or (has_test and self.num_test is None):
            return False
        return test_hash is None or self.data.get("test_hash") == test_hash


def measure_of(test_labels: TestLabels | None) -> str:
    """Return what is measured on such test labels, in words."""
    return "agreement with given labels" if test_labels == "given" else "test accuracy"
