"""From the runs of a comparison to what each method reached.

Held-out noisy labels choose, and the test set evaluates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dilute.methods import PLAIN, describe_method
from dilute.runs import RunRecord

AS_GIVEN = "labels as given"
"""What tables and pictures say of noise that is not known."""


@dataclass(frozen=True)
class MethodResult:
    """What a method reached at one setting.

    Attributes:
        method: its name, with options if some were given; title, knows: as of the method.
        setting: noise and data in words.
        amount: how much noise, of the kind `amount_name`: `"alpha"`, or the `"rate"` of
            replacement. Both are None where the labels are as given.
        accuracy: mean test accuracy over seeds, 0 to 1 (agreement with given labels, if `measure`
            says so); low, high: the lowest and highest of them; None without a test set.
        gain: mean over seeds of the accuracy less that of cross-entropy on the same labels; None
            without it.
        gain_low, gain_high: the lowest and highest of these.
        num_seeds: seeds that it is over; num_failed: seeds all of whose runs failed or diverged.
        images, seconds: mean over seeds of the chosen runs: images through networks, and all of
            their time.
        heldout_nll: mean over seeds of the negative log likelihood of held-out noisy labels, by
            which runs were chosen; the lower the better.
        measure: what `accuracy` is, in words, as of `RunRecord`.
    """

    method: str
    title: str
    knows: str
    setting: str
    amount: float | None
    amount_name: str | None
    accuracy: float | None
    low: float | None
    high: float | None
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    num_seeds: int
    num_failed: int
    images: float | None
    seconds: float | None
    heldout_nll: float | None = None
    measure: str = "test accuracy"

    @property
    def noise(self) -> str:
        """The amount of noise in words."""
        return AS_GIVEN if self.amount is None else f"{self.amount_name} = {self.amount:g}"


def outcomes(records: Iterable[RunRecord]) -> Any:
    """Return a pandas data frame with a row per setting, method and seed: the run that is chosen.

    Among a method's runs on the same labels, and the points at which they were evaluated, the one
    with the lowest `heldout_mixed_nll` is chosen, a measure that is the same for all methods.
    `accuracy` is NaN where no run ended well, or there is no test set.
    """
    import pandas as pd

    groups: dict[tuple[Any, ...], list[RunRecord]] = {}
    for record in records:
        spec = record.spec
        name = next((name for name in ("rate", "alpha") if name in spec), AS_GIVEN)
        amount = float(spec.get(name, math.nan))
        place = (setting_of(spec), name, amount, _entry(spec), spec["seed"])
        groups.setdefault(place, []).append(record)
    rows = []
    kind = ["setting", "amount_name", "amount", "method", "seed"]
    for place, runs in groups.items():
        row = {**dict(zip(kind, place, strict=True)), "measure": runs[0].measure}
        points = [
            (point.heldout_mixed_nll, number, point)
            for number, run in enumerate(runs)
            if run.status == "done"
            for point in run.curve
            if point.heldout_mixed_nll is not None
            and (point.test_accuracy is not None or run.num_test is None)
        ]
        if points:
            nll, number, point = min(points, key=lambda found: found[:2])
            chosen = runs[number]
            row |= {
                "accuracy": point.test_accuracy,
                "last_accuracy": chosen.accuracy.last,
                "heldout_mixed_nll": nll,
                "learning_rate": chosen.spec["learning_rate"],
                "step": point.step,
                "images": chosen.images,
                "seconds": chosen.seconds,
            }
        rows.append(row)
    columns = [*kind, "measure", "accuracy", "last_accuracy"]
    columns += ["heldout_mixed_nll", "learning_rate", "step", "images", "seconds"]
    return pd.DataFrame(rows, columns=columns)


def _entry(spec: dict[str, Any]) -> str:
    """Return the method of a run, with its options if it was given some."""
    options = spec.get("method_options") or {}
    words = ", ".join(f"{name} = {value}" for name, value in options.items())
    return f"{spec['method']}({words})" if words else str(spec["method"])


def ranking(chosen: Any) -> list[MethodResult]:
    """Return what each method reached, by setting and the best first.

    Arguments:
        chosen: as of `outcomes`.
    """
    answer = []
    for place, here in chosen.groupby(
        ["setting", "amount_name", "amount"], sort=True, dropna=False
    ):
        base = here[here["method"] == PLAIN].set_index("seed")["accuracy"]
        found = [
            _result(str(method), place, own, base)
            for method, own in here.groupby("method", sort=False)
        ]
        answer += sorted(found, key=_place)
    return answer


def _place(one: MethodResult) -> tuple[float, float]:
    """Return what a ranking sorts by: accuracy, or held-out likelihood without a test set."""
    if one.accuracy is not None:
        return -one.accuracy, 0.0
    return 0.0, math.inf if one.heldout_nll is None else one.heldout_nll


def setting_of(spec: dict[str, Any]) -> str:
    """Return data, model, images and kind of noise of a run in words, without its amount."""
    words = [spec["data"].partition("@")[0], spec["model"]]
    if spec.get("num_clean") is not None:
        words.append(f"n = {spec['num_clean']:,}")
    if spec.get("as_given"):
        return ", ".join(words)
    noise = spec["noise"]
    words.append(noise["pattern"].replace("_", " "))
    if noise.get("delta") is not None:
        words.append(f"delta = {noise['delta']:g}")
    if noise.get("order") is not None:
        words.append(f"{noise['order']} order")
    if spec.get("noisy_images", "same") != "same":
        words.append(f"on {spec['noisy_images']}")
    return ", ".join([*words, "replacement" if "rate" in spec else "dilution"])


def in_percent(mean: float | None, low: float | None, high: float | None, sign: str = "") -> str:
    """Return mean, lowest and highest (0 to 1) in percent; a dash where there is none."""
    if mean is None or low is None or high is None:
        return "–"
    return f"{100 * mean:{sign}.1f} ({100 * low:{sign}.1f} to {100 * high:{sign}.1f})"


def _result(method: str, place: tuple[str, str, float], own: Any, base: Any) -> MethodResult:
    setting, amount_name, amount = place
    done = own.dropna(subset=["heldout_mixed_nll"])
    gains = (done.set_index("seed")["accuracy"] - base).dropna()
    if method == PLAIN:
        gains = gains[:0]
    name, _, options = method.partition("(")
    title, knows = describe_method(name)
    return MethodResult(
        method=method,
        title=f"{title} ({options}" if options else title,
        knows=knows,
        setting=setting,
        amount=None if amount_name == AS_GIVEN else float(amount),
        amount_name=None if amount_name == AS_GIVEN else amount_name,
        accuracy=_of(done["accuracy"], np.mean),
        low=_of(done["accuracy"], np.min),
        high=_of(done["accuracy"], np.max),
        gain=_of(gains, np.mean),
        gain_low=_of(gains, np.min),
        gain_high=_of(gains, np.max),
        num_seeds=len(done),
        num_failed=len(own) - len(done),
        images=_of(done["images"], np.mean),
        seconds=_of(done["seconds"], np.mean),
        heldout_nll=_of(done["heldout_mixed_nll"], np.mean),
        measure=str(own["measure"].iloc[0]),
    )


def _of(values: Any, function: Any) -> float | None:
    numbers: Sequence[float] = values.dropna()
    return float(function(numbers)) if len(numbers) else None
