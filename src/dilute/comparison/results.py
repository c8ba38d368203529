"""From the runs of a comparison to what each method reached: chosen by held-out noisy labels, judged on the test set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dilute.methods import PLAIN, describe_method
from dilute.runs import RunRecord


@dataclass(frozen=True)
class Standing:
    """What a method reached at one setting.

    Attributes:
        method: its key; title, knows: as of the method.
        setting: noise and data in words.
        amount: how much noise, of the kind `amount_name`: `"alpha"`, or the `"rate"` of replacement.
        accuracy: mean test accuracy over seeds, 0 to 1; low, high: the lowest and highest of them.
        gain: mean over seeds of the accuracy less that of cross-entropy on the same labels; None without it.
        gain_low, gain_high: the lowest and highest of these.
        num_seeds: seeds that it is over; num_failed: seeds all of whose runs failed or diverged.
        images, seconds: mean over seeds of the chosen runs: images through networks, and all of their time.
    """

    method: str
    title: str
    knows: str
    setting: str
    amount: float
    amount_name: str
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


def outcomes(records: Iterable[RunRecord]) -> Any:
    """Return a pandas data frame with a row per setting, method and seed: the run and the point of it that held-out labels choose.

    Among a method's runs on the same labels, and the points at which they were judged, the one with the
    lowest `heldout_mixed_nll` is chosen, a measure that is the same for all methods. `accuracy` is NaN where no run ended well.
    """
    import pandas as pd

    groups: dict[tuple[Any, ...], list[RunRecord]] = {}
    for record in records:
        spec = record.spec
        name = "rate" if "rate" in spec else "alpha"
        place = (setting_of(spec), name, float(spec[name]), spec["method"], spec["seed"])
        groups.setdefault(place, []).append(record)
    rows = []
    kind = ["setting", "amount_name", "amount", "method", "seed"]
    for place, runs in groups.items():
        row = dict(zip(kind, place, strict=True))
        points = [
            (point.heldout_mixed_nll, number, point)
            for number, run in enumerate(runs)
            if run.status == "done"
            for point in run.curve
            if point.heldout_mixed_nll is not None and point.test_accuracy is not None
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
    columns = [*kind, "accuracy", "last_accuracy"]
    columns += ["heldout_mixed_nll", "learning_rate", "step", "images", "seconds"]
    return pd.DataFrame(rows, columns=columns)


def ranking(chosen: Any) -> list[Standing]:
    """Return what each method reached, by setting and the best first.

    Arguments:
        chosen: as of `outcomes`.
    """
    answer = []
    for place, here in chosen.groupby(["setting", "amount_name", "amount"], sort=True):
        base = here[here["method"] == PLAIN].set_index("seed")["accuracy"]
        found = [
            _standing(str(method), place, own, base)
            for method, own in here.groupby("method", sort=False)
        ]
        answer += sorted(found, key=lambda one: -(one.accuracy or 0.0))
    return answer


def setting_of(spec: dict[str, Any]) -> str:
    """Return data, model, images and kind of noise of a run in words, without its amount."""
    noise = spec["noise"]
    words = [spec["data"].partition("@")[0], spec["model"]]
    if spec.get("num_clean") is not None:
        words.append(f"n = {spec['num_clean']:,}")
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


def _standing(method: str, place: tuple[str, str, float], own: Any, base: Any) -> Standing:
    setting, amount_name, amount = place
    done = own.dropna(subset=["accuracy"])
    gains = (done.set_index("seed")["accuracy"] - base).dropna()
    if method == PLAIN:
        gains = gains[:0]
    return Standing(
        method=method,
        **describe_method(method)._asdict(),
        setting=setting,
        amount=float(amount),
        amount_name=amount_name,
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
    )


def _of(values: Any, function: Any) -> float | None:
    numbers: Sequence[float] = values.dropna()
    return float(function(numbers)) if len(numbers) else None
