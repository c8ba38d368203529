"""The training loop, from top to bottom."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from torch import Tensor, nn

from dilute import seeds
from dilute.dilution import NoisySet, Visits
from dilute.environment import code_hash
from dilute.gradients import GradientPoint, glance
from dilute.methods import LossMethod, Method, Objective, Observed, TensorBatch
from dilute.training import checkpoints
from dilute.training.batches import batches
from dilute.training.evaluation import evaluate
from dilute.training.memory import keep_freed_memory
from dilute.training.recipe import Recipe

_log = logging.getLogger(__name__)
_CHECK_LOSS_EVERY_STEPS = 20
_CHECKPOINT_EVERY_SECONDS = 60.0
_LOOK_EVERY_STEPS, _LOOK_EVERY_IMAGES, _LOOK_SHARE = 250, 32_000, 0.02


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop, and did, after writing its checkpoint."""


@dataclass(frozen=True)
class CurvePoint:
    """What was measured after `step` steps; None where it was not.

    Attributes:
        step: steps done.
        images: images that went through the network.
        examples: image–label pairs that they stood for.
        train_loss: mean loss since the point before, in nats; None before the first step.
        heldout_nll: mean negative log-likelihood of the held-out labels, in nats.
        heldout_mixed_nll: the same of predictions mixed with the labels' frequencies in the share that fits
            best: fair to methods whose network predicts true labels, and to overconfident ones.
        heldout_accuracy: share of held-out labels predicted, 0 to 1 (low where they are noisy).
        test_accuracy: share of test labels predicted, 0 to 1.
        test_top5_accuracy: share of test labels among the five likeliest classes, 0 to 1; None for up
            to 10 classes.
        gradient: length and noise of the gradient, where it was looked at.
    """

    step: int
    images: int
    examples: int
    train_loss: float | None = None
    heldout_nll: float | None = None
    heldout_mixed_nll: float | None = None
    heldout_accuracy: float | None = None
    test_accuracy: float | None = None
    test_top5_accuracy: float | None = None
    gradient: GradientPoint | None = None


_CURVE = TypeAdapter(list[CurvePoint])


@dataclass
class Trained:
    """What training gave, and all that a checkpoint must hold besides the weights.

    Attributes:
        status: `"done"`, or `"diverged"` if the loss became infinite or not a number.
        step: steps done.
        curve: the points measured.
        selected: index in `curve` of the model with the lowest held-out NLL (mixed, if its method predicts
            true labels); None without held-out data.
        training_seconds: time in steps.
        evaluation_seconds: time in evaluations.
        gradient_seconds: time in looking at gradients.
        loss_sum: sum of the losses since the last curve point (on the device, between checks).
        examples_per_visit: mean number of labels behind an image's visit.
        earlier_seconds: what interrupted sessions had spent.
        selected_weights: the weights at that point.
        selected_confusion: int64 `[K, K]`: the held-out labels at that point, by (label, predicted class).
    """

    status: Literal["done", "diverged"] = "done"
    step: int = 0
    curve: list[CurvePoint] = field(default_factory=list)
    selected: int | None = None
    training_seconds: float = 0.0
    evaluation_seconds: float = 0.0
    gradient_seconds: float = 0.0
    loss_sum: float | Tensor = 0.0
    examples_per_visit: float = 1.0
    earlier_seconds: float = 0.0
    selected_weights: dict[str, Tensor] = field(default_factory=dict)
    selected_confusion: NDArray[np.int64] | None = None


def train(
    model: nn.Module,
    noisy: NoisySet,
    recipe: Recipe,
    *,
    seed: int,
    device: torch.device,
    state: Trained | None = None,
    heldout: NoisySet | None = None,
    test: NoisySet | None = None,
    checkpoint: Path | None = None,
    checkpoint_every_steps: int | None = None,
    on_step: Callable[[int, int, Trained], None] = lambda step, num_steps, trained: None,
    should_stop: Callable[[], bool] = lambda: False,
    loader_workers: int = 0,
) -> Trained:
    """Train `model` in place and return how it went.

    Arguments:
        model: maps raw inputs to logits, on `device`.
        noisy: the training set.
        recipe: method, batches, optimiser, schedule, budget.
        seed: of the order of visits and of randomness inside the model, which is seeded anew at every
            step, so that resuming needs the step's number and nothing else.
        state: filled in as training goes on, so that a failure loses nothing of it; new if None.
        heldout: labels that select the model; never the test set.
        test: judged at every curve point, and chooses nothing.
        checkpoint: file to resume from if it exists, written every `checkpoint_every_steps` (every
            minute if None) and when asked to stop.
        on_step: called after each step with steps done, steps in all, and the state so far.
        should_stop: asked after each step.
        loader_workers: processes that make batches ahead of the steps; 0 to make them between steps.

    Errors: `Interrupted` if asked to stop; `StoreError` if the checkpoint cannot be read or written;
        `DataError` for a streamed image that does not decode, or a loader worker that dies or hangs.
    """
    keep_freed_memory()
    visits = Visits(noisy, recipe.copies, seed, recipe.augment)
    num_steps = recipe.num_steps(visits)
    batch_size = recipe.batch_size
    method = recipe.make_method()
    objective = method.objective(Observed(noisy), model, seed).to(device)
    optimizer = recipe.make_optimizer([*model.parameters(), *objective.parameters()])
    curve_steps = {
        math.ceil(num_steps * k / recipe.curve_points) for k in range(1, recipe.curve_points + 1)
    }
    judges_all = recipe.test_curve is None
    state = state or Trained()
    state.examples_per_visit = visits.examples_per_visit
    if checkpoint is not None and checkpoint.exists():
        _resume(checkpoint, state, model, objective, optimizer)
    saved_at = time.monotonic()
    if recipe.log_gradients and not state.curve:
        state.curve.append(CurvePoint(step=0, images=0, examples=0))
        _log_gradients(state, model, visits, method, recipe.batch_size, device)
    model.train()
    ahead = batches(visits, batch_size, state.step, num_steps, loader_workers)
    while state.step < num_steps and state.status == "done":
        started = time.perf_counter()
        objective.before_step(state.step, num_steps, model)
        batch = TensorBatch(*(tensor.to(device) for tensor in next(ahead)))
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate_at(state.step, num_steps)
        torch.manual_seed(seeds.word(seed, "step", state.step))
        loss = objective(model, batch)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        state.loss_sum += loss.detach()
        state.step += 1

        at_curve_point = state.step in curve_steps
        if at_curve_point or state.step % _CHECK_LOSS_EVERY_STEPS == 0:
            state.loss_sum = float(state.loss_sum)
            state.status = "done" if math.isfinite(state.loss_sum) else "diverged"
        state.training_seconds += time.perf_counter() - started
        if at_curve_point and state.status == "done":
            _judge(state, model, method, batch_size, heldout, test if judges_all else None, device)
            if recipe.log_gradients and _is_look_due(state, batch_size):
                _log_gradients(state, model, visits, method, batch_size, device)
        on_step(state.step, num_steps, state)

        stop = should_stop() and state.step < num_steps
        if checkpoint is not None and (
            stop or _is_due(state.step, checkpoint_every_steps, saved_at)
        ):
            _save(checkpoint, state, model, objective, optimizer)
            saved_at = time.monotonic()
        if stop:
            raise Interrupted(f"stopped after step {state.step} of {num_steps}")
    if test is not None and not judges_all and state.status == "done":
        _judge_ends(state, model, test, device)
    return state


def _judge(
    state: Trained,
    model: nn.Module,
    method: Method,
    batch_size: int,
    heldout: NoisySet | None,
    test: NoisySet | None,
    device: torch.device,
) -> None:
    """Add a point to the curve, and keep the weights if they are the best so far on held-out labels.

    If the weights, which the last step may have spoiled, give no finite likelihood, training has diverged.
    """
    started = time.perf_counter()
    images = state.step * batch_size
    since = state.step - (state.curve[-1].step if state.curve else 0)
    on_heldout = evaluate(model, heldout, device, mixes=True) if heldout is not None else None
    on_test = evaluate(model, test, device) if test is not None else None
    if not all(math.isfinite(score.nll) for score in (on_heldout, on_test) if score):
        state.status = "diverged"
        return
    point = CurvePoint(
        step=state.step,
        images=images,
        examples=round(images * state.examples_per_visit),
        train_loss=float(state.loss_sum) / since,
        heldout_nll=on_heldout.nll if on_heldout else None,
        heldout_mixed_nll=on_heldout.mixed_nll if on_heldout else None,
        heldout_accuracy=on_heldout.accuracy if on_heldout else None,
        test_accuracy=on_test.accuracy if on_test else None,
        test_top5_accuracy=on_test.top5_accuracy if on_test else None,
    )
    state.loss_sum = 0.0
    state.curve.append(point)
    measure = "heldout_mixed_nll" if method.predicts_clean else "heldout_nll"
    best = getattr(state.curve[state.selected], measure) if state.selected is not None else math.inf
    if on_heldout is not None and getattr(point, measure) < best:
        state.selected = len(state.curve) - 1
        state.selected_weights = {
            name: t.detach().clone() for name, t in model.state_dict().items()
        }
        state.selected_confusion = on_heldout.confusion
    state.evaluation_seconds += time.perf_counter() - started


def _is_look_due(state: Trained, batch_size: int) -> bool:
    looks = [point.step for point in state.curve if point.gradient]
    return state.status == "done" and state.step - looks[-1] >= _steps_between_looks(batch_size)


def _steps_between_looks(batch_size: int) -> int:
    """Return so many that looks, which take about as long whatever the batch, cost little beside them."""
    return max(_LOOK_EVERY_STEPS, math.ceil(_LOOK_EVERY_IMAGES / batch_size))


def _log_gradients(
    state: Trained,
    model: nn.Module,
    visits: Visits,
    method: Method,
    batch_size: int,
    device: torch.device,
) -> None:
    """Add a look at the gradient to the curve's last point."""
    started = time.perf_counter()
    assert isinstance(method, LossMethod), method
    seen = glance(
        model,
        visits,
        method.losses,
        num_images=round(_LOOK_SHARE * _steps_between_looks(batch_size) * batch_size),
        seed=seeds.word(visits.seed, "glance", state.step),
        device=device,
    )
    state.curve[-1] = replace(state.curve[-1], gradient=seen)
    state.gradient_seconds += time.perf_counter() - started


def _judge_ends(state: Trained, model: nn.Module, test: NoisySet, device: torch.device) -> None:
    """Add the test set's score to the curve's last point and to the selected one; `model` stays as it is."""
    started = time.perf_counter()
    scores = {len(state.curve) - 1: evaluate(model, test, device)}
    if state.selected is not None and state.selected not in scores:
        selected = copy.deepcopy(model)
        checkpoints.put_weights(selected, state.selected_weights)
        scores[state.selected] = evaluate(selected, test, device)
    for index, score in scores.items():
        state.curve[index] = replace(
            state.curve[index],
            test_accuracy=score.accuracy,
            test_top5_accuracy=score.top5_accuracy,
        )
    state.evaluation_seconds += time.perf_counter() - started


def _is_due(step: int, every_steps: int | None, saved_at: float) -> bool:
    if every_steps is not None:
        return step % every_steps == 0
    return time.monotonic() - saved_at > _CHECKPOINT_EVERY_SECONDS


def _save(
    path: Path,
    state: Trained,
    model: nn.Module,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
) -> None:
    tensors = {
        **checkpoints.with_prefix("model", model.state_dict()),
        **checkpoints.with_prefix("method", objective.state_dict()),
        **checkpoints.with_prefix("selected", state.selected_weights),
        **checkpoints.with_prefix("optimizer", checkpoints.optimizer_tensors(optimizer)),
        "loss_sum": torch.as_tensor(state.loss_sum),
    }
    if state.selected_confusion is not None:
        tensors["selected_confusion"] = torch.from_numpy(state.selected_confusion)
    description = {
        "code": code_hash(),
        "status": state.status,
        "step": state.step,
        "curve": [asdict(point) for point in state.curve],
        "selected": state.selected,
        "training_seconds": state.training_seconds,
        "evaluation_seconds": state.evaluation_seconds,
        "gradient_seconds": state.gradient_seconds,
    }
    checkpoints.save_weights(path, tensors, description)


def _resume(
    path: Path,
    state: Trained,
    model: nn.Module,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Bring state, model, method and optimiser to where the checkpoint left them, unless other code wrote it."""
    tensors, description = checkpoints.load_weights(path)
    if description.get("code") != code_hash():
        _log.warning("%s is of another version of this package; starting again", path)
        return
    checkpoints.put_weights(model, checkpoints.under_prefix("model", tensors))
    objective.load_state_dict(checkpoints.under_prefix("method", tensors))
    checkpoints.put_optimizer_tensors(optimizer, checkpoints.under_prefix("optimizer", tensors))
    state.status = description["status"]
    state.step = description["step"]
    state.curve = _CURVE.validate_python(description["curve"])
    state.selected = description["selected"]
    state.training_seconds = description["training_seconds"]
    state.evaluation_seconds = description["evaluation_seconds"]
    state.gradient_seconds = description["gradient_seconds"]
    state.earlier_seconds = (
        state.training_seconds + state.evaluation_seconds + state.gradient_seconds
    )
    state.loss_sum = tensors["loss_sum"].item()
    state.selected_weights = checkpoints.under_prefix("selected", tensors)
    if "selected_confusion" in tensors:
        state.selected_confusion = tensors["selected_confusion"].numpy()
