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
from dilute.errors import SpecError
from dilute.files import as_path
from dilute.interruption import Interrupted
from dilute.methods import Method, Observed, look_steps
from dilute.training import checkpoints
from dilute.training.batches import batches
from dilute.training.curve import CurvePoint, GradientPoint
from dilute.training.division import Division, backward
from dilute.training.evaluation import evaluate
from dilute.training.memory import keep_freed_memory
from dilute.training.precision import Autocast
from dilute.training.recipe import Recipe
from dilute.training.state import Trained, load_state, save_state
from dilute.training.unreadable import Unreadable
from dilute.world import ALONE, World

_CHECK_LOSS_EVERY_STEPS = 20
_CHECKPOINT_EVERY_SECONDS = 60.0

OnCurvePoint = Callable[[Trained, nn.Module, Visits], GradientPoint | None]
"""What measures the gradient: called with where training stands, its model and its visits.

It returns what belongs to the last point of the curve, or None, and leaves no trace in the model.
"""


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
    checkpoint: Path | str | None = None,
    checkpoint_every_steps: int | None = None,
    on_step: Callable[[int, int, Trained], None] = lambda step, num_steps, trained: None,
    on_curve_point: OnCurvePoint | None = None,
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
        seed: of the order of visits and of randomness inside the model, which is seeded anew at
            every step, so that resuming needs the step's number and nothing else.
        state: filled in as training goes on, so that a failure loses nothing of it; new if None.
        heldout: labels that select the model; never the test set.
        test: evaluated at every curve point, or for the selected and the last model alone, as the
            recipe says; it chooses nothing.
        checkpoint: file to resume from if it exists, written every `checkpoint_every_steps` (every
            minute if None) and when asked to stop.
        on_step: called after each step with steps done, steps in all, and the state so far.
        on_curve_point: called before the first step and at each curve point, if it is given; what
            it returns stands in the curve as `gradient`. A recipe with `log_gradients` needs it
            (`dilute.gradients.Glances`).
        should_stop: asked after each step; of several ranks, all stop after the same one.
        micro_batch_size: most images that go through the network at once; a batch's gradient is the
            sum over its parts. All if None.
        world: the ranks that train this model together, each calling this with the same arguments
            and a model of its own.
        loader_workers: processes that make batches ahead of the steps; 0 to make them between
            steps.

    Errors: `Interrupted` if asked to stop; `StoreError` if the checkpoint cannot be read or
        written; `SpecError` for a method or a model that looks at a batch as a whole, where it
        would be divided, or gradients to log without `on_curve_point`; `WorldError` for a lost
        rank; `DataError` for a streamed image that does not decode, or a loader worker that dies or
        hangs.
    """
    if recipe.log_gradients and on_curve_point is None:
        raise SpecError(
            "log_gradients = True, but nothing that measures them was given; give train "
            "on_curve_point=Glances(recipe, device) of dilute.gradients, or leave log_gradients out"
        )
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
    evaluates_all = recipe.test_curve
    state = state or Trained()
    state.examples_per_visit = visits.examples_per_visit
    unreadable = Unreadable(noisy, heldout, test)
    if checkpoint is not None:
        checkpoint = as_path(checkpoint)
        load_state(checkpoint, state, model, objective, optimizer, world)
        unreadable.note(state.unreadable)
    world.copy_from_first([*model.state_dict().values(), *objective.state_dict().values()])
    saved_at = time.monotonic()
    if on_curve_point is not None and not state.curve:
        state.curve.append(CurvePoint(step=0, images=0, examples=0))
        _measure_gradient(on_curve_point, state, model, visits)
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
            tested = test if evaluates_all else None
            _add_point(state, model, method, batch_size, heldout, tested, device, world)
            if on_curve_point is not None and state.status == "done":
                _measure_gradient(on_curve_point, state, model, visits)
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
    if test is not None and not evaluates_all and state.status == "done":
        _test_ends(state, model, test, device, world)
        state.unreadable = unreadable.shared(state.unreadable, world)
    return state


def _add_point(
    state: Trained,
    model: nn.Module,
    method: Method,
    batch_size: int,
    heldout: NoisySet | None,
    test: NoisySet | None,
    device: torch.device,
    world: World,
) -> None:
    """Evaluate the model, add a point to the curve, and keep the weights if they are the best.

    Training has diverged if the likelihood is not finite: the last step may have spoiled the
        weights.
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


def _measure_gradient(
    measure: OnCurvePoint, state: Trained, model: nn.Module, visits: Visits
) -> None:
    """Add what `measure` returns to the curve's last point."""
    started = time.perf_counter()
    found = measure(state, model, visits)
    if found is not None:
        state.curve[-1] = replace(state.curve[-1], gradient=found)
    state.gradient_seconds += time.perf_counter() - started


def _test_ends(
    state: Trained, model: nn.Module, test: NoisySet, device: torch.device, world: World
) -> None:
    """Add the test set's score to the curve's last point and to the selected one."""
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
