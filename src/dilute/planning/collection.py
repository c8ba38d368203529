"""From a law and a target to what to collect: how many labels, of which kind, and the next run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dilute.errors import LawError
from dilute.laws import DilutionLaw, Predicted
from dilute.noise import noise_rate
from dilute.planning.mix import Prices, Purchase, purchases

Array = NDArray[np.float64]
_CHECKED = (0.1, 0.25, 0.5, 1.0)
_DOUBLINGS = 3
_WORTH_A_RUN = 0.95


@dataclass(frozen=True)
class NeededLabels:
    """What a target needs at one amount of noise.

    Attributes:
        alpha: wrong labels drawn for each right one.
        noise_rate: the share of all labels that were drawn by the noise, 0 to 1.
        num_clean: how many examples with their own label are needed, among the others.
        num_labels: all labels, `num_clean · (1 + alpha)`.
    """

    alpha: float
    noise_rate: float
    num_clean: Predicted
    num_labels: Predicted


@dataclass(frozen=True)
class Checked:
    """What checking labels at hand would do.

    Attributes:
        share: of the labels at hand that are made right, 0 to 1.
        accuracy: to expect after that.
    """

    share: float
    accuracy: Predicted


@dataclass(frozen=True)
class NextRun:
    """The run that would narrow the answer most.

    Attributes:
        num_clean, alpha: of the run.
        width: of the interval of the need after that run, as a share of today's; in logarithms,
            and for the mean of runs.
    """

    num_clean: float
    alpha: float
    width: float


@dataclass(frozen=True)
class Collection:
    """What should be collected to reach a target.

    Attributes:
        target: accuracy to reach, 0 to 1.
        law: the law that the answer comes from.
        in_hand: how many labels are at hand; None if not given.
        now: the accuracy to expect from these; None if not given.
        needs: what the target needs, for each `alpha`.
        ceiling: the accuracy that no number of labels exceeds, by extrapolation.
        checked: what checking labels at hand would do.
        purchases: what could be bought, cheapest first; empty without prices.
        next_run: what to measure next; None if no run would narrow the answer.
        sentence: the answer in a sentence or two.
    """

    target: float
    law: DilutionLaw
    in_hand: float | None
    now: Predicted | None
    needs: tuple[NeededLabels, ...]
    ceiling: Predicted
    checked: tuple[Checked, ...]
    purchases: tuple[Purchase, ...]
    next_run: NextRun | None
    sentence: str


def plan_collection(
    law: DilutionLaw,
    target: float,
    alphas: Sequence[float],
    *,
    in_hand: float | None = None,
    prices: Prices | None = None,
    most_clean: float | None = None,
) -> Collection:
    """Return what to collect so that a model like those of the law reaches `target`.

    Arguments:
        law: a fitted law.
        target: accuracy, above that of a blind guess and below 1.
        alphas: amounts of noise to answer for, each ≥ 0: wrong labels drawn for each right one.
            The first is that of the labels at hand and of the source of noisy ones.
        in_hand: how many labels are at hand, right and wrong, ≥ 1.
        prices: of labels, if the cheapest purchase is wanted.
        most_clean: how many clean examples a next run could have; as many as the largest run so
            far if None.

    Errors: `LawError` for a target that is impossible, no or negative alphas, or fewer than 1
        label at hand.
    """
    law.check_target(target)
    if not alphas or not all(math.isfinite(alpha) and alpha >= 0 for alpha in alphas):
        raise LawError(
            f"alphas {', '.join(f'{a:g}' for a in alphas) or 'none'} cannot be planned for; "
            "each must be a number ≥ 0"
        )
    if in_hand is not None and not in_hand >= 1:
        raise LawError(f"{in_hand:g} labels at hand cannot be; give 1 or more, or leave it out")
    alpha = alphas[0]
    if prices is not None and alpha == 0:
        raise LawError(
            "with prices, it must be known how noisy the noisy labels are; "
            "give their alpha first, above 0"
        )
    needs = {one: _need(law, target, one) for one in [0.0, *alphas]}
    bought = tuple(purchases(law, target, alpha, prices, in_hand or 0.0)) if prices else ()
    now = None if in_hand is None else law.accuracy(in_hand / (1 + alpha), alpha)
    checked = () if in_hand is None or alpha == 0 else tuple(_checked(law, in_hand, alpha))
    return Collection(
        target=target,
        law=law,
        in_hand=in_hand,
        now=now,
        needs=tuple(needs.values()),
        ceiling=law.ceiling(),
        checked=checked,
        purchases=bought,
        next_run=_next_run(law, target, alpha, most_clean),
        sentence=_sentence(target, needs[alpha], needs[0.0], law, now, bought),
    )


def _need(law: DilutionLaw, target: float, alpha: float) -> NeededLabels:
    found = law.needed(target, alpha)
    return NeededLabels(alpha, noise_rate(alpha), found, found.times(1 + alpha))


def _checked(law: DilutionLaw, in_hand: float, alpha: float) -> list[Checked]:
    answers = []
    for share in _CHECKED:
        noise = in_hand * noise_rate(alpha) * (1 - share)
        clean = in_hand - noise
        answers.append(Checked(share, law.accuracy(clean, noise / clean)))
    return answers


def _next_run(
    law: DilutionLaw, target: float, alpha: float, most_clean: float | None
) -> NextRun | None:
    """Return the possible run whose outcome correlates most with the answer, over draws of the law.

    Candidates have an `alpha` of the runs or the one asked for. Their size is one of the runs', or
    2, 4 or 8 times the largest if there are so many examples.
    """
    evidence = law.evidence
    logs = np.log(law.needed_by_draw(target, with_runs=False) / law.worth_by_draw(alpha))
    is_finite = np.isfinite(logs)
    if is_finite.mean() < 0.5 or logs[is_finite].std() < 1e-6:
        return None
    sizes = np.unique(evidence.num_clean)
    largest = float(sizes[-1])
    candidates = [float(size) for size in sizes]
    candidates += [
        size
        for size in (largest * 2**k for k in range(1, _DOUBLINGS + 1))
        if most_clean is not None and size <= most_clean
    ]
    best: NextRun | None = None
    for one_alpha in np.unique([*evidence.alpha, alpha]):
        worth_of_draws = law.worth_by_draw(float(one_alpha))
        for size in candidates:
            outcome = np.log(
                [
                    form.error_at(size * worth, evidence.chance)
                    for form, worth in zip(law.draws, worth_of_draws, strict=True)
                ]
            )
            covariance = np.cov(outcome[is_finite], logs[is_finite])
            explained = (
                covariance[0, 1] ** 2 / (covariance[0, 0] + law.spread**2) / covariance[1, 1]
            )
            width = math.sqrt(max(0.0, 1 - explained))
            if width < (_WORTH_A_RUN if best is None else best.width - 0.02):
                best = NextRun(size, float(one_alpha), width)
    return best


def _sentence(
    target: float,
    need: NeededLabels,
    clean: NeededLabels,
    law: DilutionLaw,
    now: Predicted | None,
    bought: tuple[Purchase, ...],
) -> str:
    parts = []
    goal = f"{target:.1%}".replace(".0%", "%")
    if now is not None and now.value is not None:
        parts.append(
            f"Expect {now.value:.1%} ({now.low:.1%} to {now.high:.1%}) from the labels at hand."
        )
    if need.num_labels.value is None:
        ceiling = law.ceiling()
        parts.append(
            f"{goal} is out of reach of this model at this noise: by the law no number of labels "
            f"brings more than {ceiling.value:.1%}."
        )
        return " ".join(parts)
    kind = (
        f"labels of which {need.noise_rate:.1%} are drawn by the noise"
        if need.alpha
        else "clean labels"
    )
    has_other = need.alpha and clean.num_labels.value is not None
    other_way = f", or {amount(clean.num_labels)} clean ones" if has_other else ""
    parts.append(f"{goal} takes about {amount(need.num_labels)} {kind}{other_way}.")
    if bought and bought[0].cost.value is not None:
        best = bought[0]
        other = next(
            (one for one in bought if one.name != best.name and one.cost.value is not None), None
        )
        beside = f" ({other.name}: {amount(other.cost)})" if other else ""
        parts.append(f"Cheapest: {best.name}, at {amount(best.cost)}{beside}.")
    return " ".join(parts)


def amount(found: Predicted) -> str:
    """Return a number with its interval as text, rounded to two or three digits."""
    if found.value is None:
        return "more than any number"
    high = "no bound" if found.high is None else rounded(found.high)
    return f"{rounded(found.value)} ({rounded(found.low or 0.0)} to {high})"


def rounded(value: float) -> str:
    """Return a number rounded to two significant digits, or three if the first is a 1."""
    if value == 0:
        return "0"
    digits = 2 if f"{value:e}"[0] != "1" else 3
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, places):,.{max(0, places)}f}"
