"""`RunSpec`: everything that changes a run's result."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from dilute.data import white_noise_name, white_noise_size
from dilute.errors import DataError, SpecError
from dilute.noise import NoisePattern, Uniform
from dilute.training import Recipe

SCHEMA_VERSION = 1


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
            size = white_noise_size(value)
        except DataError as error:
            raise ValueError(str(error)) from None
        return white_noise_name(size) if size is not None else value

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
        try:
            self.make_method().check_source(self.noisy_images == "same" or not self.alpha)
        except SpecError as error:
            raise ValueError(str(error)) from None
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
