"""What a law is fitted to: runs of one setting with several sizes and amounts of noise."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from dilute.dilution import Kind
from dilute.laws.worth import information_worth
from dilute.noise import NoisePattern, alpha_from_rate
from dilute.runs import RunRecord

Array = NDArray[np.float64]
_PATTERN: TypeAdapter[NoisePattern] = TypeAdapter(NoisePattern)


class Setting(NamedTuple):
    """What the runs of a law have in common.

    Fields:
        noise: JSON of the pattern.
        kind: noise by `dilution` or `replacement`.
    """

    data: str
    model: str
    noise: str
    kind: Kind
    noisy_images: str
    copies: str
    method: str

    def __str__(self) -> str:
        pattern = json.loads(self.noise)
        delta = f" of delta {pattern['delta']:g}" if "delta" in pattern else ""
        parts = [self.data, self.model, f"{pattern['pattern']} noise{delta} by {self.kind}"]
        parts += [f"on {self.noisy_images} images"] if self.noisy_images != "same" else []
        parts += [f"{self.copies} labels a visit"] if self.copies != "all" else []
        parts += [self.method] if self.method != "cross_entropy" else []
        return ", ".join(parts)

    @property
    def pattern(self) -> NoisePattern:
        """The noise pattern."""
        return _PATTERN.validate_json(self.noise)


@dataclass(frozen=True, eq=False)
class Evidence:
    """Finished runs of one setting.

    Attributes:
        setting: what the runs have in common.
        num_clean: float64 `[M]`, training examples with their own label.
        alpha: float64 `[M]`, noisy examples per clean one; for replacement `rate / (1 − rate)`.
        accuracy: float64 `[M]`, on the test set, 0 to 1.
        num_test: float64 `[M]`, test examples behind each accuracy.
        num_classes: K; None if not known.
        seconds: float64 `[M]`, the time that each run took.
    """

    setting: Setting
    num_clean: Array
    alpha: Array
    accuracy: Array
    num_test: Array
    num_classes: int | None
    seconds: Array
    _informations: dict[float, float] = field(default_factory=dict, repr=False)

    @property
    def chance(self) -> float:
        """The error of a blind guess; 1 if the number of classes is not known."""
        return 1 - 1 / self.num_classes if self.num_classes else 1.0

    @cached_property
    def log_error(self) -> Array:
        """float64 `[M]`: the logarithm of test error; no error counts as half a wrong example."""
        return np.asarray(np.log(np.maximum(1 - self.accuracy, 0.5 / self.num_test)))

    @property
    def has_information(self) -> bool:
        """Whether `information` is known; it is not for noise on images of another data set."""
        return self.num_classes is not None and self.setting.noisy_images == "same"

    @cached_property
    def run_information(self) -> Array:
        """float64 `[M]`: `information` at each run's `alpha`."""
        return self.information(self.alpha)

    def information(self, alpha: Array) -> Array:
        """Return how much a clean example's label and its noisy ones say about the class, `[M]`.

        The unit is what a clean label says (`information_worth`). For dilution it is interpolated
        between whole `alpha`. It is 0 where it is not known.
        """
        if not self.has_information:
            return np.zeros(len(alpha))
        if self.setting.kind == "replacement":
            return np.array([self._information(float(value)) for value in alpha])
        below = np.floor(alpha)
        low = np.array([self._information(value) for value in below])
        high = np.array([self._information(value + 1) for value in below])
        return np.asarray(low + (alpha - below) * (high - low))

    def _information(self, alpha: float) -> float:
        assert self.num_classes is not None
        if alpha not in self._informations:
            # Structured noise is defined from some alpha on; below, the matrix of that one is used.
            least = self.num_classes * getattr(self.setting.pattern, "delta", 0.0)
            matrix = self.setting.pattern.matrix(self.num_classes, max(alpha, least) or 1.0)
            self._informations[alpha] = information_worth(matrix, alpha, self.setting.kind)
        return self._informations[alpha]

    def beyond(self, num_clean: float | None, alpha: float) -> str:
        """Return in words how a question lies outside the runs; empty if it lies inside.

        Arguments:
            num_clean: clean examples; None if the question has no size, infinite for no bound.
            alpha: noisy examples per clean one.
        """
        parts = []
        low, high = float(self.num_clean.min()), float(self.num_clean.max())
        if num_clean is not None and not low / 1.001 <= num_clean <= high * 1.001:
            parts.append(f"sizes run from {low:,.0f} to {high:,.0f}")
        if not self.alpha.min() <= alpha <= self.alpha.max() * 1.001:
            parts.append(f"alpha from {self.alpha.min():g} to {self.alpha.max():g}")
        return " and ".join(parts)

    def distance(self, num_clean: float | None, alpha: float) -> float:
        """Return how far a question lies outside the runs: 0 inside.

        The unit is that of the logarithms of size and of `1 + alpha`, which are added.

        Arguments:
            num_clean: clean examples; None if the question has no size.
            alpha: noisy examples per clean one.
        """
        far = 0.0
        if num_clean is not None:
            far += max(
                math.log(num_clean / self.num_clean.max()),
                math.log(self.num_clean.min() / num_clean),
                0.0,
            )
        return far + max(math.log((1 + alpha) / (1 + self.alpha.max())), 0.0)

    def where(self, chosen: NDArray[np.bool_]) -> Evidence:
        """Return the evidence of the runs `chosen` (bool `[M]`) alone."""
        return Evidence(
            self.setting,
            self.num_clean[chosen],
            self.alpha[chosen],
            self.accuracy[chosen],
            self.num_test[chosen],
            self.num_classes,
            self.seconds[chosen],
            self._informations,
        )


def evidence_of(records: Iterable[RunRecord]) -> dict[Setting, Evidence]:
    """Return the evidence in finished runs by setting; the setting with the most runs first.

    Runs that differ in their recipe alone count once: the one under whose selected model the
    held-out labels are likeliest. The accuracy is that of the selected model, or of the last where
    none was selected.
    """
    noisy: dict[Setting, list[RunRecord]] = {}
    clean: dict[tuple[str, str, str], list[RunRecord]] = {}
    for record in records:
        if record.status != "done" or _accuracy(record) is None or not record.num_clean:
            continue
        alpha = _alpha(record)
        if alpha == 0:
            spec = record.spec
            clean.setdefault((spec["data"], spec["model"], spec["method"]), []).append(record)
        elif math.isfinite(alpha):
            noisy.setdefault(_setting(record), []).append(record)
    found = {
        setting: _evidence(
            setting, clean.get((setting.data, setting.model, setting.method), []) + runs
        )
        for setting, runs in noisy.items()
    }
    return dict(sorted(found.items(), key=lambda item: -len(item[1].alpha)))


def _setting(record: RunRecord) -> Setting:
    spec = record.spec
    return Setting(
        data=spec["data"],
        model=spec["model"],
        noise=json.dumps(spec["noise"], sort_keys=True),
        kind="replacement" if spec.get("rate") is not None else "dilution",
        noisy_images=spec["noisy_images"],
        copies=str(spec["copies"]),
        method=spec["method"],
    )


def _alpha(record: RunRecord) -> float:
    spec = record.spec
    return float(spec["alpha"] if spec.get("rate") is None else alpha_from_rate(spec["rate"]))


def _accuracy(record: RunRecord) -> float | None:
    """Return accuracy on the test set, or without one on held-out clean labels.

    The latter only if these labels did not select the model.
    """
    found = record.accuracy
    accuracy = found.last if found.selected is None else found.selected
    if accuracy is None and record.spec.get("heldout_labels") == "clean" and len(record.curve) == 1:
        return record.curve[0].heldout_accuracy
    return accuracy


def _heldout_nll(record: RunRecord) -> float:
    chosen = [p.heldout_nll for p in record.curve if p.step == record.selected_step]
    return chosen[0] if chosen and chosen[0] is not None else math.inf


def _evidence(setting: Setting, records: list[RunRecord]) -> Evidence:
    cells: dict[tuple[int, float, int], RunRecord] = {}
    for record in records:
        assert record.num_clean is not None
        cell = (record.num_clean, _alpha(record), int(record.spec["seed"]))
        if cell not in cells or _heldout_nll(record) < _heldout_nll(cells[cell]):
            cells[cell] = record
    chosen = [cells[cell] for cell in sorted(cells)]
    classes = {classes for record in chosen if (classes := _num_classes(record)) is not None}
    return Evidence(
        setting,
        num_clean=np.array([float(record.num_clean or 0) for record in chosen]),
        alpha=np.array([_alpha(record) for record in chosen]),
        accuracy=np.array([_accuracy(record) for record in chosen], dtype=float),
        num_test=np.array([float(record.num_test or record.num_heldout or 1) for record in chosen]),
        num_classes=classes.pop() if len(classes) == 1 else None,
        seconds=np.array([record.seconds for record in chosen]),
    )


def _num_classes(record: RunRecord) -> int | None:
    if record.num_classes is not None:
        return record.num_classes
    return len(record.heldout_confusion) if record.heldout_confusion is not None else None
