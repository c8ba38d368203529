"""A run: everything that changes its result (`RunSpec`), and everything that came of it (`RunRecord`)."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from torch import Tensor, nn

import dilute.data
from dilute import seeds
from dilute.data import LabelledSet, Splits, check_alike
from dilute.dilution import DilutedSet, ImageSource, NoisySet, ReplacedSet
from dilute.dilution.blocks import check_memory
from dilute.environment import choose_device, code_hash, hardware, peak_memory_bytes, versions
from dilute.errors import DataError, DiluteError, SpecError
from dilute.models import build
from dilute.noise import NoisePattern, Uniform, alpha_from_rate
from dilute.training import CurvePoint, Recipe, Scaled, Trained, train

SCHEMA_VERSION = 1
RECORD_FORMAT = 1
_MOST_CLASSES_IN_CONFUSION = 100


class RunSpec(Recipe):
    """Everything that changes a run's result, and nothing else: no paths, devices or worker counts.

    Arguments (besides those of `Recipe`):
        data: a `Splits.name`: a known set's, or `kind@hash` for the user's own.
        num_clean: images to train on, ≥ 1; all that held-out leaves if None.
        heldout_fraction: share of the images taken that is held out, 0 to below 1. With `num_clean`
            they come on top of it.
        heldout_labels: whether the held-out images select the model by their `"noisy"` labels or,
            where the user knows them, by their `"clean"` ones.
        alpha: noisy examples per clean one, ≥ 0; or
        rate: share of labels replaced, 0 to 1, for a set of fixed size.
        noise: the pattern that noisy labels are drawn from.
        noisy_images: `"same"`, the name of another data set, `"white_noise"` (every noisy example on
            an image of its own) or `"white_noise:N"` (a pool of N images, which meet several labels).
        labels_hash: the realisation's content hash, where it was given and not drawn from `seed`.
        heldout_hash: content hash of the clean set that selects the model, where one was given.
        model: a model's name or `module:callable`.
        seed: from which subset, noise, held-out images, initialisation and order get streams of their own.
    """

    data: str
    num_clean: int | None = Field(None, ge=1)
    heldout_fraction: float = Field(0.05, ge=0, lt=1)
    heldout_labels: Literal["noisy", "clean"] = "noisy"
    alpha: float | None = Field(None, ge=0)
    rate: float | None = Field(None, ge=0, le=1)
    noise: NoisePattern = Uniform()
    noisy_images: str = "same"
    labels_hash: str | None = None
    heldout_hash: str | None = None
    model: str
    seed: int = Field(0, ge=0)

    @field_validator("noisy_images")
    @classmethod
    def _possible_pool(cls, value: str) -> str:
        try:
            size = dilute.data.white_noise_size(value)
        except DataError as error:
            raise ValueError(str(error)) from None
        return dilute.data.white_noise_name(size) if size is not None else value

    @model_validator(mode="after")
    def _one_amount(self) -> RunSpec:
        if self.alpha is None and self.rate is None:
            object.__setattr__(self, "alpha", 0.0)
        if self.heldout_hash is not None and (
            self.heldout_fraction or self.heldout_labels != "clean"
        ):
            raise ValueError(
                "a held-out set of its own goes with heldout_fraction = 0 and heldout_labels = clean"
            )
        if self.alpha is not None and self.rate is not None:
            raise ValueError(
                f"noise is given as alpha = {self.alpha:g} and rate = {self.rate:g}; give one"
            )
        if self.rate is not None and self.noisy_images != "same":
            raise ValueError(
                f"noisy_images = {self.noisy_images} has no meaning with a rate; replacement keeps the images"
            )
        return self

    def canonical(self) -> dict[str, Any]:
        """Return the spec as JSON-able values, equal for equal runs.

        What is None is left out, so that later fields change no key; what has no effect because there
        is no noise has its default.
        """
        values = self.model_dump(mode="json", exclude_none=True)
        if not (self.alpha or self.rate):
            values |= {"noise": Uniform().model_dump(mode="json"), "noisy_images": "same"}
            values |= {name: 0.0 for name in ("alpha", "rate") if name in values}  # of either sign
        return values

    def key(self) -> str:
        """Return 20 hex digits that identify the spec: a hash of its canonical JSON and the schema's version."""
        text = json.dumps([SCHEMA_VERSION, self.canonical()], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:20]


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
        selected_by: `heldout_noisy_nll`, `heldout_clean_nll`, or None if nothing was held out.
        selected_step: after how many steps the selected model was taken.
        curve: what was measured along the run.
        heldout_confusion: `[K][K]`, the held-out labels by (label, class that the selected model
            predicts); None if nothing was held out or there are more than 100 classes.
        steps, images, examples: steps done, images that went through the network, image–label pairs
            that they stood for.
        seconds: all of it, reading data and what an interrupted run had spent in steps and evaluation
            included; of which training_seconds in steps. images_per_second and examples_per_second
            are over the latter.
        peak_memory_bytes: of the process since it started, earlier runs in it included (of the GPU: in
            `hardware`), as far as it is known.
        num_clean, num_noisy: training examples with their own label, and with a drawn one.
        num_heldout: images held out.
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
    peak_memory_bytes: int | None = None
    num_clean: int | None = None
    num_noisy: int | None = None
    num_heldout: int | None = None
    num_test: int | None = None
    noise_rate: float | None = None
    wrong_rate: float | None = None
    labels_hash: str | None = None
    data: dict[str, str | None] = {}
    versions: dict[str, str] = {}
    code: str
    hardware: dict[str, Any] = {}
    started: str


@dataclass(frozen=True)
class Execution:
    """How to run, which changes no result: where, with what at hand, and whom to tell.

    Arguments:
        device: `cpu`, `cuda`, `mps`, …; None for a GPU if there is one.
        threads: CPU threads; PyTorch's default if None. (Weights are bit-identical at one number only.)
        data_dir: where named data sets are looked for.
        checkpoint, checkpoint_every_steps, on_step, should_stop: as for `train`.
    """

    device: str | None = None
    threads: int | None = None
    data_dir: Path | None = None
    checkpoint: Path | None = None
    checkpoint_every_steps: int | None = None
    on_step: Callable[[int, int, Trained], None] = lambda step, num_steps, trained: None
    should_stop: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Outcome:
    """A record with the weights behind it: of the last model, and of the selected one (empty if none)."""

    record: RunRecord
    last_weights: dict[str, Tensor]
    selected_weights: dict[str, Tensor]


def run_one(
    spec: RunSpec,
    execution: Execution = Execution(),
    *,
    splits: Splits | None = None,
    pool: ImageSource | None = None,
    noisy: NoisySet | None = None,
    heldout: LabelledSet | None = None,
) -> Outcome:
    """Train and judge what `spec` describes.

    Arguments:
        execution: where and how, which changes no result.
        splits: the data, where `spec.data` is the user's own; otherwise loaded by name.
        pool: the images for noisy examples, where `spec.noisy_images` is the user's own.
        noisy: the noisy set, where `spec.labels_hash` names one.
        heldout: the clean set that selects the model, where `spec.heldout_hash` names one.

    Sets the process's number of threads, if one is asked for.

    Errors: `DiluteError`s for what the user can mend; `Interrupted` if asked to stop. A failure inside
        training gives a record with status `failed`.
    """
    started, clock, code = datetime.now(UTC), time.perf_counter(), code_hash()
    if execution.threads is not None:
        torch.set_num_threads(execution.threads)
    device = choose_device(execution.device)
    if splits is None:
        splits = dilute.data.load(spec.data, execution.data_dir)
    if noisy is None:
        noisy = noisy_set(spec, splits.train, pool, execution.data_dir)
    train_set, judges = _judges(spec, noisy, heldout)
    test = DilutedSet(splits.test, 0.0) if splits.test is not None else None
    if device.type == "cuda":
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    trained = Trained()
    message = None
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seeds.word(spec.seed, "initialisation"))
        model = scaled_model(spec.model, splits.train, train_set.blocks[0].rows)
        model = model.to(device).to(memory_format=torch.channels_last)
        try:
            train(
                model,
                train_set,
                spec,
                seed=spec.seed,
                device=device,
                state=trained,
                heldout=judges,
                test=test,
                checkpoint=execution.checkpoint,
                checkpoint_every_steps=execution.checkpoint_every_steps,
                on_step=execution.on_step,
                should_stop=execution.should_stop,
            )
        except DiluteError:
            raise
        except Exception as error:
            # The model may be the user's: whatever it raises is the run's failure, not ours.
            message = " ".join(f"{type(error).__name__}: {error}".split())
    record = RunRecord(
        key=spec.key(),
        status="failed" if message else trained.status,
        message=message,
        spec=spec.canonical(),
        seconds=time.perf_counter() - clock + trained.earlier_seconds,
        peak_memory_bytes=peak_memory_bytes(),
        data={
            "train_hash": splits.train.content_hash,
            "test_hash": splits.test.content_hash if splits.test is not None else None,
        },
        versions=versions(),
        code=code,
        hardware=hardware(device),
        started=started.isoformat(timespec="seconds"),
        **_of_sets(noisy, train_set, judges, test),
        **_of_training(
            spec, trained, judges, finished=message is None and trained.status == "done"
        ),
    )
    return Outcome(record, model.state_dict(), trained.selected_weights)


def _judges(
    spec: RunSpec, noisy: NoisySet, heldout: LabelledSet | None
) -> tuple[NoisySet, NoisySet | None]:
    """Return the set to train on, and the one that selects the model."""
    if spec.heldout_hash is not None:
        if heldout is None or heldout.content_hash != spec.heldout_hash:
            raise SpecError(
                f"the held-out set {spec.heldout_hash[:16]} of this run was not given; give it again"
            )
        check_alike(noisy.clean, heldout, "the held-out set")
        return noisy, DilutedSet(heldout, 0.0)
    train_set, judges = noisy.split(spec.heldout_fraction, spec.seed)
    if judges is not None and spec.heldout_labels == "clean":
        judges = DilutedSet(judges.clean, 0.0, rows=judges.blocks[0].rows)
    return train_set, judges


def noisy_set(
    spec: RunSpec, clean: LabelledSet, pool: ImageSource | None = None, data_dir: Path | None = None
) -> NoisySet:
    """Return the noisy set that `spec` describes, held-out images included.

    Arguments:
        clean: the whole training set.
        pool: the images for noisy examples; else loaded or made by `spec.noisy_images`.
        data_dir: where named data sets are looked for.

    Errors: `SpecError` for more images than there are; what the noise and the data raise.
    """
    _check_drawn(spec)
    rows = _subset(spec, len(clean))
    if spec.rate is not None:
        return ReplacedSet(clean, spec.rate, spec.noise, spec.seed, rows=rows)
    assert spec.alpha is not None
    if pool is None:
        pool = dilute.data.load_pool(spec.noisy_images, clean, spec.seed, data_dir)
    return DilutedSet(clean, spec.alpha, spec.noise, spec.seed, images=pool, rows=rows)


def check(
    spec: RunSpec,
    splits: Splits,
    pool: ImageSource | None = None,
    built: set[tuple[str, tuple[int, ...], int]] | None = None,
) -> None:
    """Refuse a run that its data make impossible, without drawing a label or training a step.

    Arguments:
        splits: the data of `spec.data`.
        pool: the images for noisy examples, where `spec.noisy_images` names a data set.
        built: models that are known to fit, as (name, input shape, K): not built again, and added to.

    Errors: `SpecError` for more images than there are, or labels from a file; `NoiseError` for a
        pattern or an amount that cannot be; `DataError` for images of two shapes; `ModelError` for a
        model that cannot be built.
    """
    clean = splits.train
    _check_drawn(spec)
    if spec.heldout_hash is not None:
        raise SpecError(
            f"the held-out set {spec.heldout_hash[:16]} was given from elsewhere; run it with --heldout"
        )
    taken = num_taken(spec, len(clean))
    if round(spec.heldout_fraction * taken) >= taken:
        raise SpecError(
            f"heldout_fraction = {spec.heldout_fraction:g} of {taken} images leaves none to train on; "
            "take a smaller fraction"
        )
    if spec.alpha is not None:
        tables = 1 if spec.noisy_images == "same" else 4
        check_memory(taken, spec.alpha, clean.num_classes, tables)
    alpha = spec.alpha if spec.rate is None else alpha_from_rate(spec.rate)
    if alpha:
        spec.noise.matrix(clean.num_classes, alpha)
    if pool is not None and pool.input_shape != clean.input_shape:
        raise DataError(
            f"images of {spec.noisy_images} have shape {pool.input_shape}, those of {spec.data} "
            f"{clean.input_shape}; they must agree"
        )
    model = (spec.model, clean.input_shape, clean.num_classes)
    if built is None or model not in built:
        with torch.random.fork_rng(devices=[]):
            build(*model)
        (built if built is not None else set()).add(model)


def failed_record(
    spec: RunSpec, message: str, seconds: float, execution: Execution = Execution()
) -> RunRecord:
    """Return the record of a run that died where it could not tell of it.

    Arguments:
        message: why, in one line.
        seconds: how long it had run.
        execution: where it ran.
    """
    now = datetime.now(UTC)
    return RunRecord(
        key=spec.key(),
        status="failed",
        message=message,
        spec=spec.canonical(),
        seconds=seconds,
        versions=versions(),
        code=code_hash(),
        hardware={"device": str(choose_device(execution.device)), "threads": execution.threads},
        started=(now - timedelta(seconds=seconds)).isoformat(timespec="seconds"),
    )


def _check_drawn(spec: RunSpec) -> None:
    if spec.labels_hash is not None:
        raise SpecError(
            f"the labels {spec.labels_hash[:16]} were read from a file; give that file again"
        )


def _subset(spec: RunSpec, size: int) -> Any:
    """Return which of `size` images are taken, int64 ascending: `num_clean` and those to hold out."""
    taken = num_taken(spec, size)
    if spec.num_clean is None:
        return np.arange(size)
    return np.sort(seeds.Permutation(size, spec.seed, "subset")(np.arange(taken)))


def num_taken(spec: RunSpec, size: int) -> int:
    """Return how many of `size` images are taken: `num_clean` and those to hold out.

    Errors: `SpecError` for more than there are.
    """
    if spec.num_clean is None:
        return size
    taken = round(spec.num_clean / (1 - spec.heldout_fraction))
    if taken > size:
        most = int(size * (1 - spec.heldout_fraction)) + 1
        while round(most / (1 - spec.heldout_fraction)) > size:
            most -= 1
        raise SpecError(
            f"num_clean = {spec.num_clean:,} and a held-out share of {spec.heldout_fraction:g} need {taken:,} "
            f"images, but {spec.data} has {size:,}; take num_clean ≤ {most:,} or hold out less"
        )
    return taken


def scaled_model(name: str, clean: LabelledSet, rows: NDArray[np.int64] | None = None) -> Scaled:
    """Return the network `name`, freshly initialised, behind the standardisation of the images at `rows`."""
    network: nn.Module = build(name, clean.input_shape, clean.num_classes)
    return Scaled(network, *clean.statistics(rows))


def _of_sets(
    noisy: NoisySet, train_set: NoisySet, heldout: NoisySet | None, test: NoisySet | None
) -> dict[str, Any]:
    return {
        "num_clean": train_set.num_clean,
        "num_noisy": train_set.num_noisy,
        "num_heldout": heldout.n if heldout else 0,
        "num_test": test.n if test else None,
        "noise_rate": train_set.num_noisy / len(train_set),
        "wrong_rate": train_set.num_wrong() / len(train_set),
        "labels_hash": noisy.content_hash(),
    }


def _of_training(
    spec: RunSpec, trained: Trained, heldout: NoisySet | None, *, finished: bool
) -> dict[str, Any]:
    if not trained.step:
        return {}
    last = trained.curve[-1] if trained.curve else None
    chosen = trained.curve[trained.selected] if trained.selected is not None else None
    confusion = trained.selected_confusion
    is_kept = confusion is not None and len(confusion) <= _MOST_CLASSES_IN_CONFUSION
    images = trained.step * spec.batch_size
    images_per_second = images / trained.training_seconds
    return {
        "accuracy": Accuracy(
            last=last.test_accuracy if last and finished else None,
            selected=chosen.test_accuracy if chosen else None,
            top5_last=last.test_top5_accuracy if last and finished else None,
            top5_selected=chosen.test_top5_accuracy if chosen else None,
        ),
        "selected_by": f"heldout_{spec.heldout_labels}_nll" if heldout is not None else None,
        "selected_step": chosen.step if chosen else None,
        "curve": trained.curve,
        "heldout_confusion": confusion.tolist() if confusion is not None and is_kept else None,
        "steps": trained.step,
        "images": images,
        "examples": round(images * trained.examples_per_visit),
        "images_per_second": images_per_second,
        "examples_per_second": images_per_second * trained.examples_per_visit,
        "training_seconds": trained.training_seconds,
    }
