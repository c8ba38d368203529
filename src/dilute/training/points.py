"""What is measured of a training on its way: the points of its curve, and the best weights."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn

from dilute.dilution import NoisySet, Visits
from dilute.training import checkpoints
from dilute.training.curve import CurvePoint, GradientPoint
from dilute.training.evaluation import Mirrored, Score, evaluate
from dilute.training.recipe import Recipe
from dilute.training.state import Trained
from dilute.world import World

OnCurvePoint = Callable[[Trained, nn.Module, Visits], GradientPoint | None]
"""What measures the gradient: called with where training stands, its model and its visits.

It returns what belongs to the last point of the curve, or None, and leaves no trace in the model.
"""


@dataclass(frozen=True)
class Points:
    """Measures a model on its way, and notes what it finds in `state`, by points of the curve.

    Arguments: those of `train`, the visits that it makes, and `kept`: the network whose weights are
        evaluated and selected, which is the model, or the average of its weights.
    """

    state: Trained
    model: nn.Module
    kept: nn.Module
    visits: Visits
    recipe: Recipe
    heldout: NoisySet | None
    test: NoisySet | None
    on_curve_point: OnCurvePoint | None
    device: torch.device
    world: World

    def begin(self) -> None:
        """Measure the gradient before the first step, if it is measured at all."""
        if self.on_curve_point is not None and not self.state.curve:
            self.state.curve.append(CurvePoint(step=0, images=0, examples=0))
            self._measure_gradient(self.on_curve_point)

    def add(self) -> None:
        """Add a point to the curve, and keep the weights if they are the best.

        Training has diverged if the likelihood is not finite: the last step may have spoiled the
        weights.
        """
        started = time.perf_counter()
        on_heldout = on_test = None
        if self.heldout is not None:
            on_heldout = self._evaluated(self.kept, self.heldout, mixes=True)
        if self.test is not None and self.recipe.test_curve:
            on_test = self._evaluated(self.kept, self.test)
        if not all(math.isfinite(score.nll) for score in (on_heldout, on_test) if score):
            self.state.status = "diverged"
            return
        self.state.curve.append(self._point(on_heldout, on_test))
        self.state.loss_sum = 0.0
        if on_heldout is not None:
            self._select(on_heldout)
        self.state.evaluation_seconds += time.perf_counter() - started
        if self.on_curve_point is not None:
            self._measure_gradient(self.on_curve_point)

    def finish(self) -> None:
        """Test the last and the selected model, unless every point was tested."""
        if self.test is None or self.recipe.test_curve or self.state.status != "done":
            return
        started = time.perf_counter()
        curve, selected = self.state.curve, self.state.selected
        scores = {len(curve) - 1: self._evaluated(self.kept, self.test)}
        if selected is not None and selected not in scores:
            best = copy.deepcopy(self.kept)
            checkpoints.put_weights(best, self.state.selected_weights)
            scores[selected] = self._evaluated(best, self.test)
        for index, score in scores.items():
            curve[index] = replace(
                curve[index],
                test_accuracy=score.accuracy,
                test_top5_accuracy=score.top5_accuracy,
            )
        self.state.evaluation_seconds += time.perf_counter() - started

    def _evaluated(self, model: nn.Module, labels: NoisySet, *, mixes: bool = False) -> Score:
        if self.recipe.evaluate_mirrored:
            model = Mirrored(model)
        return evaluate(model, labels, self.device, self.world, mixes=mixes)

    def _point(self, on_heldout: Score | None, on_test: Score | None) -> CurvePoint:
        state = self.state
        images = state.step * self.recipe.batch_size
        since = state.step - (state.curve[-1].step if state.curve else 0)
        return CurvePoint(
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

    def _select(self, on_heldout: Score) -> None:
        """Keep the weights of the curve's last point, if it is the best so far."""
        state = self.state
        predicts_clean = self.recipe.make_method().predicts_clean
        measure = "heldout_mixed_nll" if predicts_clean else "heldout_nll"
        last, selected = len(state.curve) - 1, state.selected
        best = math.inf if selected is None else getattr(state.curve[selected], measure)
        if getattr(state.curve[last], measure) < best:
            weights = self.kept.state_dict()
            state.selected = last
            state.selected_weights = {name: t.detach().clone() for name, t in weights.items()}
            state.selected_confusion = on_heldout.confusion

    def _measure_gradient(self, measure: OnCurvePoint) -> None:
        """Add what `measure` returns to the curve's last point."""
        started = time.perf_counter()
        found = measure(self.state, self.model, self.visits)
        if found is not None:
            self.state.curve[-1] = replace(self.state.curve[-1], gradient=found)
        self.state.gradient_seconds += time.perf_counter() - started
