"""The run itself: from its material to its record and its model."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dilute.data import Splits
from dilute.dilution import NoisySet
from dilute.environment import (
    choose_device,
    code_hash,
    hardware,
    peak_memory_bytes,
    source_commit,
    versions,
)
from dilute.errors import DiluteError, WorldError, one_line
from dilute.gradients import Glances
from dilute.runs.material import Material
from dilute.runs.record import Accuracy, RunRecord
from dilute.runs.result import Fit, TrainedNetwork
from dilute.runs.spec import RunSpec
from dilute.training import Trained, train
from dilute.training.unreadable import skipping
from dilute.world import ALONE, World

_log = logging.getLogger(__name__)
_MOST_CLASSES_IN_CONFUSION = 100
_UNREADABLE_SHOWN = 5


@dataclass(frozen=True)
class Execution:
    """How to run, which changes no result: where, with what at hand, and whom to tell.

    Arguments:
        device: `cpu`, `cuda`, `mps`, …; if not given, a GPU if there is one.
        threads: CPU threads, PyTorch's default if not given. Weights are bit-identical at one
            number.
        checkpoint_every_steps: steps between checkpoints; every minute if not given.
        micro_batch_size: most images that go through the network at once; the batch's gradients
            add up.
        loader_workers: processes that load images ahead; 0 to load them between steps.
        checkpoint, on_step, should_stop, world: as for `train`.
    """

    device: str | None = None
    threads: int | None = None
    checkpoint: Path | None = None
    checkpoint_every_steps: int | None = None
    on_step: Callable[[int, int, Trained], None] = lambda step, num_steps, trained: None
    should_stop: Callable[[], bool] = lambda: False
    micro_batch_size: int | None = None
    world: World = ALONE
    loader_workers: int = 0


def run_one(run: RunSpec | Material, execution: Execution = Execution()) -> Fit:
    """Train and evaluate a model, and return it with its record.

    Arguments:
        run: the run, as a spec whose data are loaded by name, or with what it is made of.
        execution: where and how, which changes no result.

    Sets the process's number of threads, if one is asked for.

    Errors: `DiluteError`s for what the user can fix; `Interrupted` if asked to stop. A failure
        inside training gives a record with status `failed`, and on ranks other than 0 a
        `WorldError`.
    """
    return train_material(run if isinstance(run, Material) else Material.of(run), execution).fit()


def train_material(material: Material, execution: Execution) -> TrainedNetwork:
    """Do what `run_one` does, and return the last and the selected weights side by side."""
    started, clock = datetime.now(UTC), time.perf_counter()
    code, commit = code_hash(), source_commit()
    if execution.threads is not None:
        torch.set_num_threads(execution.threads)
    device = choose_device(execution.device)
    spec, splits, noisy = material.spec, material.splits, material.noisy
    if execution.world.size > 1:
        execution.world.check_same("data or options", (spec.key(), splits.train.content_hash))
    train_set, heldout, test = material.train_set, material.heldout_set, material.test_set
    if device.type == "cuda":
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    trained = Trained()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        model = material.start_model(device)
        message = _train(model, material, trained, device, execution)
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
        commit=commit,
        hardware=hardware(device, execution.world.size),
        started=started.isoformat(timespec="seconds"),
        unreadable_images=_unreadable_images(splits, noisy, heldout),
        test_labels=material.test_labels,
        **_of_sets(noisy, train_set, heldout, test),
        **_of_training(
            spec, trained, heldout, finished=message is None and trained.status == "done"
        ),
    )
    return TrainedNetwork(record, model, trained.selected_weights, noisy)


def _train(
    model: nn.Module,
    material: Material,
    trained: Trained,
    device: torch.device,
    execution: Execution,
) -> str | None:
    """Train `model` and fill `trained`; return why it failed, or None if it did not."""
    spec = material.spec
    try:
        train(
            model,
            material.train_set,
            spec,
            seed=spec.seed,
            device=device,
            state=trained,
            heldout=material.heldout_set,
            test=material.test_set,
            checkpoint=execution.checkpoint,
            checkpoint_every_steps=execution.checkpoint_every_steps,
            on_step=execution.on_step,
            on_curve_point=Glances(spec, device) if spec.log_gradients else None,
            should_stop=execution.should_stop,
            micro_batch_size=execution.micro_batch_size,
            world=execution.world,
            loader_workers=execution.loader_workers,
        )
    except DiluteError:
        raise
    except Exception as error:
        # The model may be the user's: whatever it raises is the run's failure, not ours.
        message = one_line(error)
        if not execution.world.is_first:  # which writes no record that could say it
            raise WorldError(f"rank {execution.world.rank} failed: {message}") from error
        return message
    return None


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
        commit=source_commit(),
        hardware={"device": str(choose_device(execution.device)), "threads": execution.threads},
        started=(now - timedelta(seconds=seconds)).isoformat(timespec="seconds"),
    )


def _unreadable_images(splits: Splits, *noisy: NoisySet | None) -> int | None:
    """Return how many images were skipped as they do not decode, and warn of them.

    None stands for data of which nothing is skipped.
    """
    blocks = [block for part in noisy if part is not None for block in part.blocks]
    sets = skipping([splits.train, splits.test, *(block.source for block in blocks)])
    if not sets:
        return None
    names = [name for part in sets for name in part.unreadable_names()]
    if names:
        shown = ", ".join(names[:_UNREADABLE_SHOWN])
        images = "1 image does" if len(names) == 1 else f"{len(names):,} images do"
        _log.warning("%s not decode and counted for nothing: %s", images, shown)
    return len(names)


def _of_sets(
    noisy: NoisySet, train_set: NoisySet, heldout: NoisySet | None, test: NoisySet | None
) -> dict[str, Any]:
    num_labels, num_noisy = len(train_set), train_set.num_noisy
    num_wrong = train_set.num_wrong()
    return {
        "num_clean": train_set.num_clean,
        "num_noisy": num_noisy,
        "num_labels": num_labels,
        "num_heldout": heldout.n if heldout else 0,
        "num_test": test.n if test else None,
        "num_classes": train_set.num_classes,
        "noise_rate": None if num_noisy is None else num_noisy / num_labels,
        "wrong_rate": None if num_wrong is None else num_wrong / num_labels,
        "labels_hash": noisy.content_hash(),
    }


def _of_training(
    spec: RunSpec, trained: Trained, heldout: NoisySet | None, *, finished: bool
) -> dict[str, Any]:
    if not trained.step:
        return {}
    last = trained.curve[-1] if trained.curve and finished else None
    chosen = trained.curve[trained.selected] if trained.selected is not None else None
    confusion = trained.selected_confusion
    is_kept = confusion is not None and len(confusion) <= _MOST_CLASSES_IN_CONFUSION
    shown = trained.step * spec.batch_size
    images = shown * spec.make_method().networks
    examples = shown * trained.examples_per_visit
    return {
        "accuracy": Accuracy(
            last=last.test_accuracy if last else None,
            selected=chosen.test_accuracy if chosen else None,
            top5_last=last.test_top5_accuracy if last else None,
            top5_selected=chosen.test_top5_accuracy if chosen else None,
        ),
        "selected_by": _measure(spec) if heldout is not None else None,
        "selected_step": chosen.step if chosen else None,
        "curve": trained.curve,
        "heldout_confusion": confusion.tolist() if confusion is not None and is_kept else None,
        "steps": trained.step,
        "images": images,
        "examples": round(examples),
        "images_per_second": images / trained.training_seconds,
        "examples_per_second": examples / trained.training_seconds,
        "training_seconds": trained.training_seconds,
        "gradient_seconds": trained.gradient_seconds if spec.log_gradients else None,
    }


def _measure(spec: RunSpec) -> str:
    nll = "mixed_nll" if spec.make_method().predicts_clean else "nll"
    return f"heldout_{spec.heldout_labels}_{nll}"
