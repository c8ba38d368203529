"""The training loop, from top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn

from dilute import seeds
from dilute.dilution import NoisySet, Visits
from dilute.errors import SpecError
from dilute.files import as_path
from dilute.interruption import Interrupted
from dilute.methods import Observed, look_steps
from dilute.training.averaging import averaged
from dilute.training.batches import Tensors, batches
from dilute.training.checkpoints import put_weights
from dilute.training.division import Division, backward
from dilute.training.memory import keep_freed_memory
from dilute.training.points import OnCurvePoint, Points
from dilute.training.precision import Autocast
from dilute.training.recipe import Recipe
from dilute.training.state import Checkpoint, Trained
from dilute.training.unreadable import Unreadable
from dilute.world import ALONE, World

_CHECK_LOSS_EVERY_STEPS = 20


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
        would be divided, mirror images of features, or gradients to log without `on_curve_point`;
        `WorldError` for a lost rank; `DataError` for a streamed image that does not decode, or a
        loader worker that dies or hangs.
    """
    if recipe.log_gradients and on_curve_point is None:
        raise SpecError(
            "log_gradients = True, but nothing that measures them was given; give train "
            "on_curve_point=Glances(recipe, device) of dilute.gradients, or leave log_gradients out"
        )
    if recipe.evaluate_mirrored and not noisy.clean.is_images:
        raise SpecError(
            "evaluate_mirrored = True has no meaning for features of shape "
            f"{noisy.clean.input_shape}; it is for images"
        )
    keep_freed_memory()
    steps = _Steps(model, noisy, recipe, seed, device, Division(world, micro_batch_size))
    state = state or Trained()
    state.examples_per_visit = steps.visits.examples_per_visit
    points = Points(
        state,
        model,
        steps.kept,
        steps.visits,
        recipe,
        heldout=heldout,
        test=test,
        on_curve_point=on_curve_point,
        device=device,
        world=world,
    )
    unreadable = Unreadable(noisy, heldout, test)
    saved = None
    if checkpoint is not None:
        path, parts = as_path(checkpoint), (model, steps.objective, steps.optimizer)
        saved = Checkpoint(path, state, *parts, world, checkpoint_every_steps, steps.average)
        saved.load()
        unreadable.note(state.unreadable)
    world.copy_from_first([*model.state_dict().values(), *steps.objective.state_dict().values()])
    points.begin()
    model.train()
    ahead = steps.batches(state.step, loader_workers)
    while state.step < steps.number and state.status == "done":
        steps.take_next(state, ahead)
        if steps.is_curve_point(state.step) and state.status == "done":
            points.add()
        on_step(state.step, steps.number, state)
        state.unreadable = unreadable.shared(state.unreadable, world)
        stops = state.step < steps.number and world.any(should_stop())
        if saved is not None:
            saved.save_if_due(stops)
        if stops:
            raise Interrupted(f"stopped after step {state.step} of {steps.number}")
    points.finish()
    if steps.kept is not model:
        put_weights(model, steps.kept.state_dict())
    state.unreadable = unreadable.shared(state.unreadable, world)
    return state


class _Steps:
    """The steps of one training, and what takes them: made once."""

    def __init__(
        self,
        model: nn.Module,
        noisy: NoisySet,
        recipe: Recipe,
        seed: int,
        device: torch.device,
        division: Division,
    ) -> None:
        self._model, self._recipe, self._seed, self._device = model, recipe, seed, device
        self._division, self._world = division, division.world
        self.visits = Visits(noisy, recipe.copies, seed, recipe.augment)
        self.number = recipe.num_steps(self.visits)
        method = recipe.make_method()
        division.check(method, model, recipe.batch_size, device)
        if self._world.size > 1 and device.type == "cuda":
            nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        self._learner = Autocast(model) if recipe.precision == "bfloat16" else model
        self.objective = method.objective(Observed(noisy), self._learner, seed).to(device)
        self._parameters = [*model.parameters(), *self.objective.parameters()]
        decay = recipe.average_decay
        self.average = None if decay is None else averaged(model, decay)
        self.optimizer = recipe.make_optimizer(self._parameters)
        self._preparing = {0, *look_steps(self.number, method.looks)}
        points = recipe.curve_points
        self._curve_steps = {math.ceil(self.number * k / points) for k in range(1, points + 1)}

    @property
    def kept(self) -> nn.Module:
        """The network that is evaluated and kept: the average, or the one that is trained."""
        return self._model if self.average is None else self.average.module

    def batches(self, first: int, workers: int) -> Iterator[Tensors]:
        """Yield this rank's parts of the batches of all steps from `first` on."""
        size = self._recipe.batch_size
        parts = self._division.parts(size)
        return batches(self.visits, size, first, self.number, workers, parts=parts)

    def is_curve_point(self, step: int) -> bool:
        """Return whether the model is evaluated after so many steps."""
        return step in self._curve_steps

    def take_next(self, state: Trained, ahead: Iterator[Tensors]) -> None:
        """Take the next step; note from time to time whether the loss is still a number."""
        started, step = time.perf_counter(), state.step
        self.objective.before_step(step, self.number, self._model)
        if step in self._preparing:  # on other processors it may come out otherwise
            self._world.copy_from_first(self.objective.buffers())
        for group in self.optimizer.param_groups:
            group["lr"] = self._recipe.learning_rate_at(step, self.number)
        self.optimizer.zero_grad()
        loss = backward(
            self.objective,
            self._learner,
            ahead,
            self._recipe.batch_size,
            division=self._division,
            seed=seeds.word(self._seed, "step", step),
            device=self._device,
            label_smoothing=self._recipe.label_smoothing,
        )
        state.loss_sum += self._world.sum_gradients(self._parameters, loss)
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self._model)
        state.step += 1
        if self.is_curve_point(state.step) or state.step % _CHECK_LOSS_EVERY_STEPS == 0:
            state.loss_sum = float(state.loss_sum)
            state.status = "done" if math.isfinite(state.loss_sum) else "diverged"
        state.training_seconds += time.perf_counter() - started
