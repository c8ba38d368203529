"""`RunSpec`: everything that changes a run's result."""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from dilute.data import white_noise_name, white_noise_size
from dilute.errors import DataError, SpecError
from dilute.noise import NoisePattern, Uniform
from dilute.runs.presets import with_preset
from dilute.training import Recipe

SCHEMA_VERSION = 1


class RunSpec(Recipe):
    """Everything that changes a run's result, and nothing else: no paths, devices or worker counts.

    Its fields are those of `Recipe` and the data, noise, model and seed. `alpha` or `rate` gives
    the amount of noise; with neither, alpha is 0, unless labels are as given. With `num_clean`,
    held-out images come on top of it. The seed gives subset, noise, held-out images,
    initialisation and order streams of their own. `preset` may be given, too, the name of one of
    `dilute.PRESETS`; the spec then has the fields that it stands for.

    Errors: a pydantic `ValidationError` for values that are out of range or contradict each other.
    """

    always_written: ClassVar[frozenset[str]] = Recipe.always_written | {
        "data",
        "heldout_fraction",
        "heldout_labels",
        "noise",
        "noisy_images",
        "model",
        "seed",
    }

    data: str = Field(description="data set: a known name, or kind@hash for data of your own")
    num_clean: int | None = Field(
        default=None,
        ge=1,
        description="clean images to train on; all that held-out leaves if not given",
    )
    heldout_fraction: float = Field(
        default=0.05, ge=0, lt=1, description="share of the images taken that is held out"
    )
    heldout_labels: Literal["noisy", "clean"] = Field(
        default="noisy", description="labels of held-out images that select the model"
    )
    alpha: float | None = Field(
        default=None,
        ge=0,
        description="noisy labels for each clean one (dilution); no noise without alpha and rate",
    )
    rate: float | None = Field(
        default=None, ge=0, le=1, description="share of labels replaced, instead of alpha"
    )
    noise: NoisePattern = Field(
        default=Uniform(), description="noise pattern: a name or module:Class, and its options"
    )
    noisy_images: str = Field(
        default="same",
        description="images of noisy examples: same, white_noise, white_noise:N or a data set",
    )
    as_given: bool = Field(
        default=False,
        description="take the labels as given; how many of them are wrong is not known",
    )
    labels_hash: str | None = Field(
        default=None, description="content hash of the labels, where they were given and not drawn"
    )
    heldout_hash: str | None = Field(
        default=None,
        description="content hash of the clean set that selects the model, where one was given",
    )
    model: str = Field(description="network: a name or module:callable")
    seed: int = Field(
        default=0, ge=0, description="seed of subset, noise, initialisation and order"
    )

    @model_validator(mode="before")
    @classmethod
    def _of_preset(cls, values: Any) -> Any:
        try:
            return with_preset(values) if isinstance(values, dict) else values
        except SpecError as error:
            raise ValueError(str(error)) from None

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
        if self.as_given:
            self._no_noise()
        elif self.alpha is None and self.rate is None:
            object.__setattr__(self, "alpha", 0.0)
        if self.heldout_hash is not None and (
            self.heldout_fraction or self.heldout_labels != "clean"
        ):
            raise ValueError(
                "a held-out set of its own goes with heldout_fraction = 0 and "
                "heldout_labels = clean"
            )
        if self.alpha is not None and self.rate is not None:
            raise ValueError(
                f"noise is given as alpha = {self.alpha:g} and rate = {self.rate:g}; give one"
            )
        if self.rate is not None and self.noisy_images != "same":
            raise ValueError(
                f"noisy_images = {self.noisy_images} has no meaning with a rate; "
                "replacement keeps the images"
            )
        if self.as_given and self.labels_hash is None:
            self._no_knowledge()
        try:
            self.make_method().check_source(self.noisy_images == "same" or not self.alpha)
        except SpecError as error:
            raise ValueError(str(error)) from None
        return self

    def _no_noise(self) -> None:
        """Refuse planted noise, and clean labels of held-out images, beside labels as given."""
        given = [name for name in ("alpha", "rate") if getattr(self, name) is not None]
        if given or self.noisy_images != "same" or self.noise != Uniform():
            raise ValueError(
                f"{given[0] if given else 'noise'} cannot be beside labels as given, to which no "
                "noise is added; leave one of them out"
            )
        if self.heldout_labels == "clean" and self.heldout_hash is None:
            raise ValueError(
                "heldout_labels = clean cannot be: which labels are right is not known of labels "
                "as given; give a clean set of its own (heldout), or take noisy"
            )

    def _no_knowledge(self) -> None:
        """Refuse a method that is to know the noise of labels as given, with no law beside them."""
        method = self.make_method()
        if method.uses.startswith("known") and getattr(method, "rows", None) is None:
            raise ValueError(
                f"method = {self.method} needs the {method.uses.removeprefix('known ')} of the "
                "noise, which is not known of labels as given; estimate it first (dilute estimate, "
                "then dilute fit --estimate), or take a method that estimates it or needs none"
            )

    @property
    def names_other_images(self) -> bool:
        """Whether the images of noisy examples are those of another data set, which is named."""
        return self.noisy_images != "same" and white_noise_size(self.noisy_images) is None

    def canonical(self) -> dict[str, Any]:
        """Return the spec as JSON-able values, equal for equal runs.

        What equals its default is left out, but for `always_written`; what has no effect because
        there is no noise has its default. Of labels as given nothing is said of noise.
        """
        values = super().canonical()
        if self.as_given:
            return {name: values[name] for name in values if name not in ("noise", "noisy_images")}
        if not (self.alpha or self.rate):
            values |= {"noise": Uniform().model_dump(mode="json"), "noisy_images": "same"}
            values |= {name: 0.0 for name in ("alpha", "rate") if name in values}  # of either sign
        return values

    def key(self) -> str:
        """Return 20 hex digits that identify the spec.

        They are a hash of its canonical JSON and the schema's version.
        """
        text = json.dumps([SCHEMA_VERSION, self.canonical()], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:20]
