"""What labels to collect: the answer from a pilot, the law that is fitted to it, and prices."""

from dilute.planning.collection import Collection, NeededLabels, amount, plan_collection, rounded
from dilute.planning.mix import Prices, Purchase, cheapest_ways, purchases
from dilute.planning.pilot import run_pilot
from dilute.planning.plan_picture import draw_plan

__all__ = [
    "Collection",
    "NeededLabels",
    "Prices",
    "Purchase",
    "amount",
    "cheapest_ways",
    "draw_plan",
    "plan_collection",
    "purchases",
    "rounded",
    "run_pilot",
]
