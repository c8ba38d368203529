"""What labels to buy: clean or noisy ones, or a check of those at hand; all trained on together."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dilute.errors import LawError
from dilute.laws import DilutionLaw, Form, Predicted, interval_of
from dilute.noise import noise_rate

Array = NDArray[np.float64]
_CLEAN_SHARES = np.linspace(0, 1, 11)
_CHECKED_SHARES = np.linspace(0, 1, 26)
_DRAWS = 80
_MOST_LABELS = 1e12


@dataclass(frozen=True)
class Prices:
    """What labels cost, all in the same currency.

    Attributes:
        clean: price of a label that is right.
        noisy: price of a label from the noisy source that is planned for.
        relabel: price of checking a label at hand and making it right; None if nobody does that.

    Errors: `LawError` for a price that is not above 0, or if a noisy label does not cost less than
        a clean one.
    """

    clean: float
    noisy: float
    relabel: float | None = None

    def __post_init__(self) -> None:
        prices = {"clean": self.clean, "noisy": self.noisy, "relabel": self.relabel}
        for name, price in prices.items():
            if price is not None and not (math.isfinite(price) and price > 0):
                raise LawError(f"{name} price {price:g} cannot be; it must be a number above 0")
        if self.noisy >= self.clean:
            raise LawError(
                f"noisy price {self.noisy:g} is not below clean price {self.clean:g}, so that "
                "noisy labels are never worth buying; exchange the two, or plan without prices"
            )


@dataclass(frozen=True)
class Purchase:
    """Labels to buy or to check until a target is reached, and what they cost.

    Attributes:
        name: what is done, in a few words.
        clean_share: share of the bought labels that are clean, 0 to 1.
        checked_share: share of the labels at hand that are made right, 0 to 1.
        uses_hand: whether the labels at hand are trained on.
        clean, noisy: how many labels to buy.
        checked: how many labels at hand to make right.
        cost: of all that; without a value if the target is out of reach.
    """

    name: str
    clean_share: float
    checked_share: float
    uses_hand: bool
    clean: Predicted
    noisy: Predicted
    checked: float
    cost: Predicted


def purchases(
    law: DilutionLaw, target: float, alpha: float, prices: Prices, in_hand: float = 0.0
) -> list[Purchase]:
    """Return what can be bought to reach `target`, for each combination of shares, cheapest first.

    All labels are trained on as one set, whose `alpha` follows from the mix.

    Arguments:
        law: a fitted law.
        target: accuracy to reach, 0 to 1.
        alpha: noise of the noisy source and of the labels at hand: wrong labels drawn for each
            right one, > 0.
        prices: of labels.
        in_hand: how many labels are at hand.

    Errors: those of `DilutionLaw.check_target`.
    """
    law = replace(law, draws=law.draws[:_DRAWS])
    wanted = law.needed_by_draw(target)
    found = []
    for uses_hand in (False, True) if in_hand else (False,):
        can_check = uses_hand and prices.relabel is not None
        for checked in _CHECKED_SHARES if can_check else (0.0,):
            found += _purchases(law, wanted, alpha, prices, in_hand if uses_hand else 0.0, checked)
    return sorted(found, key=lambda one: math.inf if one.cost.value is None else one.cost.value)


def cheapest_ways(found: list[Purchase]) -> list[Purchase]:
    """Return the cheapest purchase of each name, cheapest first.

    Of mixes of clean and noisy labels only that which is the cheapest of all, if one is.
    """
    best: dict[str, Purchase] = {}
    for number, one in enumerate(found):
        if number == 0 or one.clean_share in (0.0, 1.0):
            best.setdefault(one.name, one)
    return list(best.values())


def _purchases(
    law: DilutionLaw,
    wanted: Array,
    alpha: float,
    prices: Prices,
    in_hand: float,
    checked_share: float,
) -> list[Purchase]:
    """Return the purchase for every share of clean labels among those bought.

    Arguments:
        wanted: `[draws]`, how many examples without noise reach the target.
        checked_share: share of the labels at hand that are made right.
    """
    rate = noise_rate(alpha)
    checked = checked_share * in_hand
    noise_there = (in_hand - checked) * rate
    clean_there = in_hand - noise_there
    noise_in_bought = (1 - _CLEAN_SHARES) * rate

    def worth(form: Form, bought: Array) -> Array:
        noise = noise_there + bought * noise_in_bought
        clean = clean_there + bought * (1 - noise_in_bought)
        alphas = noise / np.maximum(clean, 1e-9)
        return clean * form.worth(alphas, law.evidence.information(alphas))

    bought = np.stack(
        [_least(partial(worth, form), goal) for form, goal in zip(law.draws, wanted, strict=True)]
    )
    price = _CLEAN_SHARES * prices.clean + (1 - _CLEAN_SHARES) * prices.noisy
    nothing = np.zeros(len(bought))
    cost = bought * price + checked * (prices.relabel or 0.0)
    return [
        Purchase(
            name=_name(share, checked_share, in_hand > 0, float(np.median(bought[:, place]))),
            clean_share=share,
            checked_share=float(checked_share),
            uses_hand=in_hand > 0,
            clean=interval_of(bought[:, place] * share if share else nothing),
            noisy=interval_of(bought[:, place] * (1 - share) if share < 1 else nothing),
            checked=float(checked),
            cost=interval_of(cost[:, place]),
        )
        for place, share in enumerate(_CLEAN_SHARES.tolist())
    ]


def _least(worth: Callable[[Array], Array], goal: float) -> Array:
    """Return how many labels to buy, for each share of clean ones, until all are worth `goal`.

    It is infinite if no number is enough.

    Arguments:
        worth: takes how many labels are bought for each share; returns what all labels are worth
            together, in examples without noise.
    """
    enough = worth(np.zeros(len(_CLEAN_SHARES))) >= goal
    most = np.full(len(_CLEAN_SHARES), _MOST_LABELS)
    never = worth(most) < goal
    low, high = np.zeros(len(_CLEAN_SHARES)), np.log(most)
    for _ in range(32):
        middle = (low + high) / 2
        is_short = worth(np.exp(middle)) < goal
        low, high = np.where(is_short, middle, low), np.where(is_short, high, middle)
    return np.where(enough, 0.0, np.where(never, np.inf, np.exp(high)))


def _name(clean_share: float, checked_share: float, uses_hand: bool, bought: float) -> str:
    parts = []
    if uses_hand:
        how = {0.0: "", 1.0: ", all checked"}.get(checked_share, ", some checked")
        parts.append(f"the labels at hand{how}")
    if bought > 0:
        kind = {0.0: "noisy labels", 1.0: "clean labels"}.get(clean_share, "clean and noisy labels")
        parts.append(f"{kind} bought")
    return " and ".join(parts)
