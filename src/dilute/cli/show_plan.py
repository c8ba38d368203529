"""What a plan says, for people and for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dilute.cli import console

if TYPE_CHECKING:
    from dilute.laws import Predicted
    from dilute.planning import Collection


def document(found: Collection) -> dict[str, Any]:
    """Return a plan as JSON-able values."""
    from dilute.planning import cheapest_ways

    law = found.law
    return {
        "sentence": found.sentence,
        "target": found.target,
        "setting": law.evidence.setting._asdict(),
        "law": {
            "curve": law.best.curve.formula,
            "dilution": law.best.dilution.formula,
            "parameters": {name: asdict(value) for name, value in law.parameters.items()},
            "spread": law.spread,
            "growth": law.growth,
            "scores": {f"{a} / {b}": score for (a, b), score in law.scores.items()},
            "status": law.status,
            "num_runs": len(law.evidence.alpha),
        },
        "have": found.in_hand,
        "now": found.now and asdict(found.now),
        "needs": [asdict(need) for need in found.needs],
        "ceiling": asdict(found.ceiling),
        "relabelling": [asdict(one) for one in found.checked],
        "purchases": [
            {
                "name": one.name,
                "clean": asdict(one.clean),
                "noisy": asdict(one.noisy),
                "relabelled": one.checked,
                "cost": asdict(one.cost),
            }
            for one in cheapest_ways(list(found.purchases))
        ],
        "next_run": found.next_run and asdict(found.next_run),
    }


def text(found: Collection) -> str:
    """Return a plan: its sentence, the law, what each amount of noise takes, and what to buy."""
    from dilute.planning import amount, cheapest_ways, rounded

    law = found.law
    lines = [found.sentence, "", f"{law.evidence.setting}: {law.status}"]
    lines += [
        f"error = {law.best.curve.formula}, n_eff = {law.best.dilution.formula}",
        ", ".join(
            f"{name} {value.value:.3g} ({value.low:.3g} to {value.high:.3g})"
            for name, value in law.parameters.items()
        ),
        "",
    ]
    rows = [["alpha", "noise", "clean examples", "labels in all", "outside the runs"]]
    rows += [
        [
            f"{need.alpha:g}",
            f"{need.noise_rate:.1%}",
            amount(need.num_clean),
            amount(need.num_labels),
            need.num_clean.beyond,
        ]
        for need in found.needs
    ]
    lines += [f"for {found.target:.1%}:", console.columns(rows)]
    if found.checked:
        lines += ["", f"of {found.in_hand:,.0f} labels at hand, made right:"]
        lines += [f"  {one.share:>4.0%}  accuracy {_share(one.accuracy)}" for one in found.checked]
    if found.purchases:
        rows = [["cost", "what", "clean", "noisy", "checked"]]
        rows += [
            [
                amount(way.cost),
                way.name,
                *("–" if n.value is None else rounded(n.value) for n in (way.clean, way.noisy)),
                rounded(way.checked),
            ]
            for way in cheapest_ways(list(found.purchases))
        ]
        lines += ["", "to buy:", console.columns(rows)]
    if found.next_run is not None:
        run = found.next_run
        lines += [
            "",
            f"to know better, run {run.num_clean:,.0f} clean examples at alpha = {run.alpha:g}: it "
            f"would shrink the interval to about {run.width:.0%}",
        ]
    return "\n".join(lines)


def _share(found: Predicted) -> str:
    return f"{found.value or 0:.1%} ({found.low or 0:.1%} to {found.high or 0:.1%})"
