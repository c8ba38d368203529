"""`Recipe`: how to train, by method, batches, optimiser, schedule and budget."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from torch import nn

from dilute.data import Augment
from dilute.dilution import Copies, Visits
from dilute.errors import SpecError
from dilute.methods import PLAIN, LossMethod, Method, make_method, written

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

    The method may be an instance of a `Method`; it is kept as its name and options, spelled as
    records write them: `forward` with a known matrix is `forward_known`. Of steps, epochs and
    examples exactly one is the budget: 600 steps if none is given. An epoch shows every label
    once; an example is one image–label pair. What is augmented is a function of the seed and of
    the visit's place in the sequence, and only what is trained on. Gradients are logged before
    the first step and at curve points at least 250 steps and 32,000 images apart, for a few per
    cent of the time; it changes no weight. Evaluation keeps float32, whatever the precision of
    steps. What is evaluated, selected and kept are the averages of weights, where these are asked
    for; their decay is smaller in the first steps, (1 + t)/(10 + t) at most after t steps, so that
    they forget how the network started.

    Errors: a pydantic `ValidationError` for values that are out of range or contradict each other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    always_written: ClassVar[frozenset[str]] = frozenset(
        {
            "method",
            "copies",
            "batch_size",
            "optimizer",
            "learning_rate",
            "weight_decay",
            "schedule",
            "warmup_steps",
            "curve_points",
        }
    )
    """Fields that the canonical form has had from the start, whatever their value.

    Keys are hashes of that form, so no other field may be added here: a new one is left out where
    it has its default, and changes no key.
    """

    method: str = Field(
        default=PLAIN, description="how to learn from the labels: a name or module:Class"
    )
    method_options: dict[str, Any] | None = Field(
        default=None, description="the method's own options; None where all have their defaults"
    )
    copies: Copies = Field(
        default="all", description="labels per visit: a number from 1, all or expected"
    )
    batch_size: int = Field(default=256, ge=1, description="visits (images) per step")
    optimizer: Optimizer = Field(
        default="adamw", description="how weights are updated; sgd has momentum"
    )
    learning_rate: float = Field(
        default=None,  # type: ignore[assignment]
        gt=0,
        validate_default=False,
        description="peak learning rate",
    )
    momentum: float | None = Field(default=None, ge=0, lt=1, description="momentum, for sgd alone")
    weight_decay: float = Field(
        default=None,  # type: ignore[assignment]
        ge=0,
        validate_default=False,
        description="weight decay",
    )
    epsilon: float | None = Field(
        default=None,
        gt=0,
        description="keeps divisions of adadelta and adamw from zero",
    )
    nesterov: bool = Field(default=False, description="Nesterov's momentum, for sgd alone")
    weight_decay_on: Literal["all", "matrices"] = Field(
        default="all",
        description="what decays: all weights, or those of layers alone (no norms, no biases)",
    )
    schedule: Literal["constant", "linear", "cosine"] = Field(
        default="linear",
        description="course of the learning rate; linear and cosine go up, then down to zero",
    )
    warmup_steps: int = Field(
        default=50, ge=0, description="steps over which the learning rate goes up"
    )
    warmup_fraction: float | None = Field(
        default=None, ge=0, le=0.5, description="share of the budget instead, for warm-up"
    )
    budget_steps: int | None = Field(default=None, ge=1, description="steps to train")
    budget_epochs: float | None = Field(
        default=None, gt=0, description="epochs to train, instead of steps"
    )
    budget_examples: int | None = Field(
        default=None, ge=1, description="image–label pairs to train on, instead of steps"
    )
    augment: Augment | None = Field(
        default=None, description="crop, or shift, and flip each image anew at each visit"
    )
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="share of each target spread over all classes"
    )
    average_decay: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="evaluate and keep moving averages of weights, of this decay per step",
    )
    evaluate_mirrored: bool = Field(
        default=False, description="predict from each image and its mirror image"
    )
    curve_points: int = Field(
        default=10,
        ge=1,
        description="times, evenly spaced, that the model is evaluated (and selected)",
    )
    test_curve: bool = Field(
        default=True, description="evaluate test data at every curve point; else at the end alone"
    )
    log_gradients: bool = Field(default=False, description="log length and noise of the gradient")
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="precision of training steps; bfloat16 is automatic mixed precision",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        given = {name: value for name, value in values.items() if value is not None}
        if isinstance(given.get("method"), Method):
            given |= _named(given["method"], given.get("method_options"))
        if given.get("schedule") == "constant" or "warmup_fraction" in given:
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
        if not budgets:  # which is not said to be set, since nobody has
            object.__setattr__(self, "budget_steps", _DEFAULT_BUDGET_STEPS)
        if len(budgets) > 1:
            raise ValueError(f"the budget is given as {' and '.join(budgets)}; give exactly one")
        if self.momentum is not None and self.optimizer != "sgd":
            raise ValueError(
                f"momentum = {self.momentum:g} has no meaning for {self.optimizer}; it is for sgd"
            )
        if self.nesterov and not self.momentum:
            raise ValueError(
                "nesterov = True has no meaning without momentum; take sgd with a momentum above 0"
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
            name, options = written(method)
        except SpecError as error:
            raise ValueError(str(error)) from None
        object.__setattr__(self, "method", name)  # equal recipes compare equal
        object.__setattr__(self, "method_options", options or None)
        if self.log_gradients and not isinstance(method, LossMethod):
            raise ValueError(
                f"log_gradients has no meaning for method {self.method}, "
                "which is no loss per visit; leave it out"
            )
        warmups = {
            name: value
            for name in ("warmup_steps", "warmup_fraction")
            if (value := getattr(self, name))
        }
        if len(warmups) > 1:
            raise ValueError(f"warm-up is given as {' and '.join(warmups)}; give one")
        if self.schedule == "constant" and warmups:
            (name,) = warmups
            raise ValueError(
                f"{name} = {warmups[name]:g} has no meaning with a constant schedule; "
                "take linear or cosine"
            )
        return self

    def canonical(self) -> dict[str, Any]:
        """Return the recipe as JSON-able values, equal for equal recipes.

        What equals its default is left out, but for `always_written`.
        """
        values = self.model_dump(mode="json", exclude_none=True)
        defaults = {name: field.default for name, field in type(self).model_fields.items()}
        return {
            name: value
            for name, value in values.items()
            if name in self.always_written or getattr(self, name) != defaults[name]
        }

    def make_method(self) -> Method:
        """Return the method with its options.

        Errors: `SpecError` for an unknown name or options that the method cannot have.
        """
        return make_method(self.method, **(self.method_options or {}))

    def num_steps(self, visits: Visits) -> int:
        """Return the number of steps that the budget allows on `visits`, ≥ 1.

        The last step may overshoot it.
        """
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
        if self.warmup_fraction is not None:
            warmup = round(self.warmup_fraction * num_steps)
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        if self.schedule == "cosine":
            left = (num_steps - step) / (num_steps - warmup)
            return self.learning_rate * (1 - math.cos(math.pi * left)) / 2
        # In this order, so that the bits are those of the runs that are stored.
        return self.learning_rate * (num_steps - step) / (num_steps - warmup)

    def make_optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser of `parameters`, at the peak learning rate."""
        rate, decay = self.learning_rate, self.weight_decay
        groups: list[dict[str, Any]] = [{"params": list(parameters)}]
        if self.weight_decay_on == "matrices":
            matrices = [one for one in groups[0]["params"] if one.ndim > 1]
            others = [one for one in groups[0]["params"] if one.ndim <= 1]
            groups = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
        epsilon = self.epsilon or _DEFAULT_EPSILON.get(self.optimizer, 0.0)
        if self.optimizer == "adadelta":
            return torch.optim.Adadelta(groups, lr=rate, weight_decay=decay, eps=epsilon)
        if self.optimizer == "sgd":
            momentum = self.momentum or 0.0
            return torch.optim.SGD(
                groups,
                lr=rate,
                momentum=momentum,
                nesterov=self.nesterov,
                weight_decay=decay,
                fused=True,
            )
        return torch.optim.AdamW(groups, lr=rate, weight_decay=decay, eps=epsilon, fused=True)


def _named(method: Method, options: dict[str, Any] | None) -> dict[str, Any]:
    """Return the fields `method` and `method_options` of a method in hand."""
    if options:
        raise ValueError(
            f"method_options = {options} cannot be given beside a method that has its options; "
            "give them to the method"
        )
    try:
        name, options = written(method)
    except SpecError as error:
        raise ValueError(str(error)) from None
    return {"method": name, "method_options": options}
