"""The training loop, from top to bottom."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from dilute import seeds
from dilute.dilution import NoisySet, Visits
from dilute.gradients import glance
from dilute.interruption import Interrupted
from dilute.methods import LossMethod, Method, Observed, look_steps
from dilute.training import checkpoints
from dilute.training.batches import batches
from dilute.training.evaluation import evaluate
from dilute.training.memory import keep_freed_memory
from dilute.training.parts import Division, backward
from dilute.training.precision import Autocast
from dilute.training.recipe import Recipe
from dilute.training.state import CurvePoint, Trained, load_state, save_state
from dilute.training.unreadable import Unreadable
from dilute.world import ALONE, World

_CHECK_LOSS_EVERY_STEPS = 20
_CHECKPOINT_EVERY_SECONDS = 60.0
_LOOK_EVERY_STEPS, _LOOK_EVERY_IMAGES, _LOOK_SHARE = 250, 32_000, 0.02


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
    micro_batch_size: int | None = None,
    world: World = ALONE,
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
        should_stop: asked after each step; of several ranks, all stop after the same one.
        micro_batch_size: most images that go through the network at once; a batch's gradient is the sum of its
            parts'. All if None.
        world: the ranks that train this model together, each calling this with the same arguments and a model
            of its own.
        loader_workers: processes that make batches ahead of the steps; 0 to make them between steps.

    Errors: `Interrupted` if asked to stop; `StoreError` if the checkpoint cannot be read or written; `SpecError` for
        a method or a model that looks at a batch as a whole, where it would be divided; `WorldError` for a
        lost rank; `DataError` for a streamed image that does not decode, or a loader worker that dies or hangs.
    """
    keep_freed_memory()
    visits = Visits(noisy, recipe.copies, seed, recipe.augment)
    num_steps = recipe.num_steps(visits)
    batch_size = recipe.batch_size
    method = recipe.make_method()
    division = Division(world, micro_batch_size)
    division.check(method, model, batch_size, device)
    if world.size > 1 and device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    learner = Autocast(model) if recipe.precision == "bfloat16" else model
    objective = method.objective(Observed(noisy), learner, seed).to(device)
    parameters = [*model.parameters(), *objective.parameters()]
    optimizer = recipe.make_optimizer(parameters)
    curve_steps = {
        math.ceil(num_steps * k / recipe.curve_points) for k in range(1, recipe.curve_points + 1)
    }
    preparing_steps = {0, *look_steps(num_steps, method.looks)}
    judges_all = recipe.test_curve
    state = state or Trained()
    state.examples_per_visit = visits.examples_per_visit
    unreadable = Unreadable(noisy, heldout, test)
    if checkpoint is not None:
        load_state(checkpoint, state, model, objective, optimizer, world)
        unreadable.note(state.unreadable)
    world.copy_from_first([*model.state_dict().values(), *objective.state_dict().values()])
    saved_at = time.monotonic()
    if recipe.log_gradients and not state.curve:
        state.curve.append(CurvePoint(step=0, images=0, examples=0))
        _log_gradients(state, model, visits, method, recipe.batch_size, device)
    model.train()
    parts = division.parts(batch_size)
    ahead = batches(visits, batch_size, state.step, num_steps, loader_workers, parts=parts)
    while state.step < num_steps and state.status == "done":
        started = time.perf_counter()
        objective.before_step(state.step, num_steps, model)
        if state.step in preparing_steps:  # on other processors it may come out otherwise
            world.copy_from_first(objective.buffers())
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate_at(state.step, num_steps)
        optimizer.zero_grad()
        loss = backward(
            objective,
            learner,
            ahead,
            batch_size,
            division=division,
            seed=seeds.word(seed, "step", state.step),
            device=device,
        )
        state.loss_sum += world.sum_gradients(parameters, loss)
        optimizer.step()
        state.step += 1

        at_curve_point = state.step in curve_steps
        if at_curve_point or state.step % _CHECK_LOSS_EVERY_STEPS == 0:
            state.loss_sum = float(state.loss_sum)
            state.status = "done" if math.isfinite(state.loss_sum) else "diverged"
        state.training_seconds += time.perf_counter() - started
        if at_curve_point and state.status == "done":
            judged = test if judges_all else None
            _judge(state, model, method, batch_size, heldout, judged, device, world)
            if recipe.log_gradients and _is_look_due(state, batch_size):
                _log_gradients(state, model, visits, method, batch_size, device)
        on_step(state.step, num_steps, state)

        state.unreadable = unreadable.shared(state.unreadable, world)
        stop = state.step < num_steps and world.any(should_stop())
        if checkpoint is not None and (
            stop or (world.is_first and _is_due(state.step, checkpoint_every_steps, saved_at))
        ):
            save = partial(save_state, checkpoint, state, model, objective, optimizer)
            world.from_first(save) if stop else save()  # all end when it is written
            saved_at = time.monotonic()
        if stop:
            raise Interrupted(f"stopped after step {state.step} of {num_steps}")
    if test is not None and not judges_all and state.status == "done":
        _judge_ends(state, model, test, device, world)
        state.unreadable = unreadable.shared(state.unreadable, world)
    return state


def _judge(
    state: Trained,
    model: nn.Module,
    method: Method,
    batch_size: int,
    heldout: NoisySet | None,
    test: NoisySet | None,
    device: torch.device,
    world: World,
) -> None:
    """Add a point to the curve, and keep the weights if they are the best so far on held-out labels.

    If the weights, which the last step may have spoiled, give no finite likelihood, training has diverged.
    """
    started = time.perf_counter()
    images = state.step * batch_size
    since = state.step - (state.curve[-1].step if state.curve else 0)
    on_heldout = on_test = None
    if heldout is not None:
        on_heldout = evaluate(model, heldout, device, world, mixes=True)
    if test is not None:
        on_test = evaluate(model, test, device, world)
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


def _judge_ends(
    state: Trained, model: nn.Module, test: NoisySet, device: torch.device, world: World
) -> None:
    """Add the test set's score to the curve's last point and to the selected one; `model` stays as it is."""
    started = time.perf_counter()
    scores = {len(state.curve) - 1: evaluate(model, test, device, world)}
    if state.selected is not None and state.selected not in scores:
        selected = copy.deepcopy(model)
        checkpoints.put_weights(selected, state.selected_weights)
        scores[state.selected] = evaluate(selected, test, device, world)
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
