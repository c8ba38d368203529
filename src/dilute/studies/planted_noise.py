"""How well `dilute estimate` finds noise that was planted, by pattern and amount."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

import dilute.data
from dilute.data import Annotations, LabelledSet, Reading
from dilute.dilution import ReplacedSet
from dilute.errors import NoiseError
from dilute.estimation import (
    NoiseEstimate,
    cross_validated,
    estimate_from_annotators,
    estimate_from_labels,
    estimate_from_look_alikes,
    estimate_from_trusted,
)
from dilute.laws import labels_information
from dilute.noise import (
    Asymmetric,
    Confusion,
    NoisePattern,
    Pair,
    Structured,
    Uniform,
    UniformOther,
    alpha_from_rate,
    majority_is_true,
    noise_rate,
    wrong_rate,
)
from dilute.study import Scale, Study
from dilute.study.pages import markdown_table

log = logging.getLogger(__name__)
NUM_ITEMS, NUM_TRUSTED, NUM_ANNOTATORS, LABELS_PER_ITEM = 5000, 200, 20, 5
WRONG = (0.2, 0.4, 0.6, 0.8, 0.95)
SETS: dict[str, tuple[str, tuple[str, ...]]] = {
    "mnist": (
        "mlp1",
        ("uniform", "uniform_other", "pair", "asymmetric", "structured", "confusion"),
    ),
    "cifar10": ("mlp1", ("uniform", "pair")),
    "digits": ("mlp1", ("uniform", "pair")),
}
TITLES = {
    "trusted": f"{NUM_TRUSTED} trusted labels",
    "annotators": f"{LABELS_PER_ITEM} labels per item",
    "look_alikes": "the labels alone, by look-alikes",
    "labels": "the labels alone, by a network",
}
SOURCES = tuple(TITLES)


def patterns(clean: LabelledSet) -> dict[str, NoisePattern]:
    """Return the patterns to plant.

    The confusion is that of classes whose mean images are near each other.
    """
    means = np.stack([clean.inputs[clean.labels == k].mean(axis=0).ravel() for k in range(10)])
    far = np.linalg.norm(means[:, None] - means[None], axis=2)
    near = np.exp(-far / far[far > 0].mean() * 4) * (1 - np.eye(10))
    rows = near / near.sum(axis=1, keepdims=True)
    return {
        "uniform": Uniform(),
        "uniform_other": UniformOther(),
        "pair": Pair(),
        "asymmetric": Asymmetric(class_map="mnist"),
        "structured": Structured(delta=0.5, order="random"),
        "confusion": Confusion(rows=tuple(tuple(row) for row in rows.tolist())),
    }


class Case(NamedTuple):
    """Clean items and the noise to plant: a pattern, its name, the share of wrong labels."""

    data: str
    model: str
    pattern: str
    clean: LabelledSet
    noise: NoisePattern
    wrong: float


def cases(scale: Scale, reading: Reading) -> Iterator[Case]:
    """Yield what is planted."""
    chosen_sets = {"digits": ("mlp1", ("uniform",))} if scale == "smoke" else SETS
    amounts = WRONG[1:2] if scale == "smoke" else WRONG
    for name, (model, chosen) in chosen_sets.items():
        train = dilute.data.load(name, reading).train
        rows = np.arange(min(NUM_ITEMS, len(train)))
        clean = LabelledSet(train.inputs[rows], train.labels[rows], train.class_names)
        known = patterns(clean)
        for pattern in chosen:
            for wrong in amounts:
                yield Case(name, model, pattern, clean, known[pattern], wrong)


def planted(
    clean: LabelledSet, noise: NoisePattern, wrong: float
) -> tuple[LabelledSet, np.ndarray, float] | None:
    """Return the items with a share `wrong` of wrong labels, the noise's matrix and its rate.

    None if that cannot be.
    """
    shares = np.bincount(clean.labels, minlength=10) / len(clean)
    try:
        # Structured noise depends on alpha, which depends on its matrix: a few rounds settle it.
        alpha = 20.0 if noise.pattern == "structured" else 1.0
        for _ in range(20):
            matrix = noise.matrix(10, alpha)
            reachable = wrong_rate(np.inf, matrix, shares)
            if wrong >= reachable:
                return None
            alpha = alpha_from_rate(wrong / reachable)
        matrix = noise.matrix(10, alpha)
    except NoiseError:
        return None
    noisy = ReplacedSet(clean, noise_rate(alpha), noise, seed=1)
    labels = noisy.blocks[0].labels[:, 0].astype(np.int64)
    return LabelledSet(clean.inputs, labels, clean.class_names), matrix, noise_rate(alpha)


def annotated(clean: LabelledSet, matrix: np.ndarray, rate: float) -> Annotations:
    """Return five labels an item by 20 annotators, who err 0.6 to 1.4 times as often."""
    generator = np.random.default_rng(2)
    rates = np.minimum(rate * np.linspace(0.6, 1.4, NUM_ANNOTATORS), 1)
    items = np.repeat(np.arange(len(clean)), LABELS_PER_ITEM)
    who = generator.permuted(np.tile(np.arange(NUM_ANNOTATORS), (len(clean), 1)), axis=1)[
        :, :LABELS_PER_ITEM
    ].ravel()
    truth = clean.labels[items]
    drawn = (matrix[truth].cumsum(axis=1) > generator.random(len(items))[:, None]).argmax(axis=1)
    is_noisy = generator.random(len(items)) < rates[who]
    return Annotations(items, who, np.where(is_noisy, drawn, truth), len(clean), NUM_ANNOTATORS, 10)


def against_truth(
    found: NoiseEstimate, given: np.ndarray, truth: np.ndarray, per_item: int, rows_of: np.ndarray
) -> dict[str, Any]:
    """Return an estimate beside what was planted.

    Arguments:
        given, truth: one a label; per_item: labels per item; rows_of: the truth, one an item.
    """
    laws = np.zeros((10, 10))
    np.add.at(laws, (truth, given), 1)
    laws /= laws.sum(axis=1, keepdims=True)
    wrong = float((given != truth).mean())
    is_majority = bool(majority_is_true(laws).all())
    worth = len(rows_of) * labels_information(laws, per_item)
    assert found.rows is not None
    flagged = found.rows.wrong > 0.5
    is_wrong = found.rows.given != rows_of
    low, high = found.wrong_rate.low, found.wrong_rate.high
    assert low is not None
    assert high is not None
    return {
        "planted_wrong": wrong,
        "is_majority": is_majority,
        "wrong": found.wrong_rate.value,
        "interval": [low, high],
        "holds": low <= wrong <= high,
        "matrix_error": float(np.abs(found.laws - laws).sum(axis=1).mean() / 2),
        "worth": found.worth.value,
        "planted_worth": worth,
        "is_doubtful": found.is_doubtful,
        "rows_precision": float(is_wrong[flagged].mean()) if flagged.any() else None,
        "rows_recall": float(flagged[is_wrong].mean()) if is_wrong.any() else None,
    }


def measure(scale: Scale, reading: Reading) -> list[dict[str, Any]]:
    """Return an entry per data set, pattern and share of wrong labels, where that can be."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [entry for case in cases(scale, reading) if (entry := _entry(case)) is not None]
    finally:
        torch.set_num_threads(threads)


def _entry(case: Case) -> dict[str, Any] | None:
    """Return what each source of knowledge says of a case; None if the noise cannot be planted."""
    made = planted(case.clean, case.noise, case.wrong)
    if made is None:
        return None
    noisy, matrix, rate = made
    truth = case.clean.labels
    predictions = cross_validated(noisy, case.model)
    generator = np.random.default_rng(3)
    rows = np.sort(generator.choice(len(truth), NUM_TRUSTED, replace=False))
    table = annotated(case.clean, matrix, rate)
    trusted = estimate_from_trusted(noisy, rows, truth[rows], predictions=predictions)
    annotators = estimate_from_annotators(table, case.clean.class_names)
    labels = estimate_from_labels(noisy, predictions)
    log.info("%s %s %g", case.data, case.pattern, case.wrong)
    return {
        "data": case.data,
        "model": case.model,
        "pattern": case.pattern,
        "wrong": case.wrong,
        "accuracy": float((predictions.argmax(axis=1) == truth).mean()),
        "trusted": against_truth(trusted, noisy.labels, truth, 1, truth),
        "annotators": against_truth(
            annotators, table.labels, truth[table.items], LABELS_PER_ITEM, truth
        ),
        "look_alikes": against_truth(
            estimate_from_look_alikes(noisy), noisy.labels, truth, 1, truth
        ),
        "labels": against_truth(labels, noisy.labels, truth, 1, truth),
    }


def summary(entries: Sequence[Mapping[str, Any]], scale: Scale) -> str:
    """Return the entries in Markdown.

    For each source: the estimated share of wrong labels, and the matrix's error.
    """
    note = (
        f"Up to {NUM_ITEMS:,} items; share of wrong labels with its 90 % interval, and (in "
        "brackets) how far the matrix is off, in percent of a row's labels. ✗: outside the "
        "interval. **?**: `dilute estimate` says not to trust it. †: the right label is not the "
        "most frequent one of every class, which only trusted labels can tell. Right: share of the "
        "cross-validated predictions that are the true class. Written by `make docs-tables`."
    )
    rows = []
    for entry in entries:
        cells = [entry["data"], entry["pattern"], f"{entry['trusted']['planted_wrong']:.1%}"]
        for source in SOURCES:
            one = entry[source]
            low, high = one["interval"]
            cells.append(
                f"{one['wrong']:.1%} ({low:.1%} to {high:.1%})"
                + ("" if one["holds"] else " ✗")
                + f" [{100 * one['matrix_error']:.0f}]"
                + (" **?**" if one["is_doubtful"] else "")
                + ("" if one["is_majority"] else " †")
            )
        cells.append(f"{entry['accuracy']:.0%}")
        rows.append(cells)
    table = markdown_table(["data", "pattern", "wrong", *TITLES.values(), "right"], rows)
    return "\n".join([note, "", table, "", *counts(entries)])


def counts(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return in sentences how far estimates were off, trusted and doubtful ones apart."""
    kinds: dict[str, Callable[[Mapping[str, Any]], bool]] = {
        "": lambda one: one["is_majority"] and not one["is_doubtful"],
        ", said not to be trusted": lambda one: one["is_majority"] and one["is_doubtful"],
        ", the right label not the most frequent": lambda one: not one["is_majority"],
    }
    lines = []
    for source in SOURCES:
        for name, belongs in kinds.items():
            chosen = [entry[source] for entry in entries if belongs(entry[source])]
            if not chosen:
                continue
            misses = [100 * abs(one["wrong"] - one["planted_wrong"]) for one in chosen]
            holds = sum(one["holds"] for one in chosen)
            lines.append(
                f"- {TITLES[source]}{name}: {len(chosen)} cases, off by {np.median(misses):.1f} "
                f"points in the middle and "
                f"{max(misses):.1f} at most; the interval holds in {holds}."
            )
    return lines


STUDY = Study(
    name="planted-noise",
    title="Estimates of noise against the noise that was planted",
    source="Ours.",
    notes={
        "smoke": "One pattern at one amount of noise, on digits.",
        "laptop": "Six patterns at five amounts on MNIST, two patterns on CIFAR-10 and digits.",
        "paper": "As on a laptop.",
    },
    measure=measure,
    summary=summary,
)
