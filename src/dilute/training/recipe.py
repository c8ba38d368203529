"""What the training loop is told: method, batches, optimiser, schedule and budget."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from dilute.dilution import Copies, Visits
from dilute.errors import SpecError
from dilute.methods import LossMethod, Method, make_method

Optimizer = Literal["adadelta", "sgd", "adamw"]
_DEFAULTS: dict[str, dict[str, float]] = {
    "adadelta": {"learning_rate": 1.0, "weight_decay": 0.0},
    "sgd": {"learning_rate": 0.05, "weight_decay": 0.0, "momentum": 0.9},
    "adamw": {"learning_rate": 1e-3, "weight_decay": 0.01},
}
_DEFAULT_EPSILON = {"adadelta": 1e-6, "adamw": 1e-8}  # PyTorch's
_DEFAULT_BUDGET_STEPS = 600


class Recipe(BaseModel):
    """How to train. What is not given is filled in, so that equal recipes compare equal.

    Arguments:
        method: how to learn from the labels; a key of `METHODS`.
        method_options: the method's own options; None where all have their defaults.
        copies: labels per visit: 1, any g ≥ 1, `"all"` or `"expected"`.
        batch_size: visits (images through the network) per step, ≥ 1.
        optimizer: `"adadelta"`, `"sgd"` (with momentum) or `"adamw"`.
        learning_rate: > 0; the peak, if scheduled. By optimiser: 1.0, 0.05, 0.001.
        momentum: for `sgd` alone, 0 to below 1; 0.9 if not given.
        weight_decay: ≥ 0; 0.01 for `adamw`, else 0.
        epsilon: > 0, for `adadelta` and `adamw` alone: what keeps their divisions from zero; PyTorch's
            1e-6 and 1e-8 if None.
        schedule: `"constant"`, or `"linear"`: up over `warmup_steps`, then straight down to zero.
        warmup_steps: ≥ 0, for `linear`.
        budget_steps, budget_epochs, budget_examples: when to stop; exactly one (600 steps if none).
            An epoch shows every label once; an example is one image–label pair.
        augment: `"crop_flip"` for a random resized crop and a horizontal flip of each image at each visit (see
            `dilute.data.augmentation`), as a function of the seed and the visit's place in the sequence; None
            for none. Only what is trained on is augmented: not what judges, nor what a method looks at.
        curve_points: how often, evenly spaced, the model is judged (and may be selected), ≥ 1.
        test_curve: False to judge the last and the selected model alone on the test set, which saves
            time; None for every curve point.
        log_gradients: True to measure length and noise of the gradient before the first step and at curve
            points at least 250 steps and 32,000 images apart, for a few per cent of the time; None not
            to. It changes no weight.
        precision: `"bfloat16"` for automatic mixed precision in training steps (evaluation keeps float32);
            None for float32.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: str = "cross_entropy"
    method_options: dict[str, Any] | None = None
    copies: Copies = "all"
    batch_size: int = Field(256, ge=1)
    optimizer: Optimizer = "adamw"
    learning_rate: float = Field(default=None, gt=0, validate_default=False)  # type: ignore[assignment]
    momentum: float | None = Field(None, ge=0, lt=1)
    weight_decay: float = Field(default=None, ge=0, validate_default=False)  # type: ignore[assignment]
    epsilon: float | None = Field(None, gt=0)
    schedule: Literal["constant", "linear"] = "linear"
    warmup_steps: int = Field(50, ge=0)
    budget_steps: int | None = Field(None, ge=1)
    budget_epochs: float | None = Field(None, gt=0)
    budget_examples: int | None = Field(None, ge=1)
    augment: Literal["crop_flip"] | None = None
    curve_points: int = Field(10, ge=1)
    test_curve: Literal[False] | None = None
    log_gradients: Literal[True] | None = None
    precision: Literal["bfloat16"] | None = None

    @field_validator("precision", mode="before")
    @classmethod
    def _none_for_the_usual(cls, value: Any) -> Any:
        return None if value == "float32" else value

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        given = {name: value for name, value in values.items() if value is not None}
        if not any(name.startswith("budget_") for name in given):
            given["budget_steps"] = _DEFAULT_BUDGET_STEPS
        if given.get("schedule") == "constant":
            given.setdefault("warmup_steps", 0)
        return {**_DEFAULTS.get(given.get("optimizer", "adamw"), {}), **given}

    @field_validator("copies", mode="before")
    @classmethod
    def _possible_copies(cls, value: Any) -> Any:
        is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        if value not in ("all", "expected") and not is_number:
            raise ValueError("it must be a whole number ≥ 1, 'all' or 'expected'")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        budgets = {
            name: value
            for name in ("budget_steps", "budget_epochs", "budget_examples")
            if (value := getattr(self, name)) is not None
        }
        if len(budgets) != 1:
            raise ValueError(f"the budget is given as {' and '.join(budgets)}; give exactly one")
        if self.momentum is not None and self.optimizer != "sgd":
            raise ValueError(
                f"momentum = {self.momentum:g} has no meaning for {self.optimizer}; it is for sgd"
            )
        if self.epsilon is not None and self.optimizer not in _DEFAULT_EPSILON:
            raise ValueError(
                f"epsilon = {self.epsilon:g} has no meaning for {self.optimizer}; it is for "
                f"{' and '.join(_DEFAULT_EPSILON)}"
            )
        if self.epsilon == _DEFAULT_EPSILON.get(self.optimizer):
            object.__setattr__(self, "epsilon", None)  # so that equal recipes compare equal
        try:
            method = self.make_method()
        except SpecError as error:
            raise ValueError(str(error)) from None
        options = method.model_dump(mode="json", exclude_defaults=True)
        object.__setattr__(self, "method_options", options or None)  # equal recipes compare equal
        if self.log_gradients and not isinstance(method, LossMethod):
            raise ValueError(
                f"log_gradients has no meaning for method {self.method}, which is no loss per visit; leave it out"
            )
        if self.schedule == "constant" and self.warmup_steps:
            raise ValueError(
                f"warmup_steps = {self.warmup_steps} has no meaning with a constant schedule; take linear"
            )
        return self

    def make_method(self) -> Method:
        """Return the method with its options.

        Errors: `SpecError` for an unknown name or options that the method cannot have.
        """
        return make_method(self.method, **(self.method_options or {}))

    def num_steps(self, visits: Visits) -> int:
        """Return the number of steps that the budget allows on `visits`, ≥ 1; the last step may overshoot it."""
        if self.budget_steps is not None:
            return self.budget_steps
        if self.budget_epochs is not None:
            return math.ceil(self.budget_epochs * visits.visits_per_epoch / self.batch_size)
        assert self.budget_examples is not None
        return math.ceil(self.budget_examples / (self.batch_size * visits.examples_per_visit))

    def learning_rate_at(self, step: int, num_steps: int) -> float:
        """Return the learning rate of step `step`, 0 ≤ step < num_steps."""
        if self.schedule == "constant":
            return self.learning_rate
        warmup = min(self.warmup_steps, num_steps // 2)
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        return self.learning_rate * (num_steps - step) / (num_steps - warmup)

    def make_optimizer(self, parameters: Any) -> torch.optim.Optimizer:
        """Return the optimiser of `parameters`, at the peak learning rate."""
        rate, decay = self.learning_rate, self.weight_decay
        epsilon = self.epsilon or _DEFAULT_EPSILON.get(self.optimizer, 0.0)
        if self.optimizer == "adadelta":
            return torch.optim.Adadelta(parameters, lr=rate, weight_decay=decay, eps=epsilon)
        if self.optimizer == "sgd":
            momentum = self.momentum or 0.0
            return torch.optim.SGD(
                parameters, lr=rate, momentum=momentum, weight_decay=decay, fused=True
            )
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, eps=epsilon, fused=True)
