"""What a plan says, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dilute.cli import console

if TYPE_CHECKING:
    from dilute.laws import Predicted
    from dilute.planning import Collection, Purchase


def _number(found: Predicted | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"value": found.value, "low": found.low, "high": found.high, "beyond": found.beyond}


def document(found: Collection) -> dict[str, Any]:
    """Return a plan as JSON-able values."""
    law = found.law
    return {
        "sentence": found.sentence,
        "target": found.target,
        "setting": law.evidence.setting._asdict(),
        "law": {
            "curve": law.best.curve.formula,
            "dilution": law.best.dilution.formula,
            "parameters": {name: _number(value) for name, value in law.parameters.items()},
            "spread": law.spread,
            "growth": law.growth,
            "scores": {f"{a} / {b}": score for (a, b), score in law.scores.items()},
            "status": law.status,
            "num_runs": len(law.evidence.alpha),
        },
        "have": found.in_hand,
        "now": _number(found.now),
        "needs": [
            {
                "alpha": need.alpha,
                "noise_rate": need.noise_rate,
                "num_clean": _number(need.num_clean),
                "num_labels": _number(need.num_labels),
            }
            for need in found.needs
        ],
        "ceiling": _number(found.ceiling),
        "relabelling": [
            {"share": one.share, "accuracy": _number(one.accuracy)} for one in found.checked
        ],
        "purchases": [
            {
                "name": one.name,
                "clean": _number(one.clean),
                "noisy": _number(one.noisy),
                "relabelled": one.checked,
                "cost": _number(one.cost),
            }
            for one in _ways(found)
        ],
        "next_run": None if found.next_run is None else vars(found.next_run),
    }


def _ways(found: Collection) -> list[Purchase]:
    from dilute.planning import cheapest_ways

    return cheapest_ways(list(found.purchases))


def text(found: Collection) -> str:
    """Return a plan: its sentence, the law, what each amount of noise takes, and what to buy."""
    from dilute.planning import amount, rounded

    law = found.law
    evidence = law.evidence
    lines = [found.sentence, "", f"{evidence.setting}: {law.status}"]
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
        lines += ["", "to buy:"]
        rows = [["cost", "what", "clean", "noisy", "checked"]]
        rows += [
            [amount(w.cost), w.name, _count(w.clean), _count(w.noisy), rounded(w.checked)]
            for w in _ways(found)
        ]
        lines.append(console.columns(rows))
    if found.next_run is not None:
        run = found.next_run
        lines += [
            "",
            f"to know better, run {run.num_clean:,.0f} clean examples at alpha = {run.alpha:g}: it "
            f"would shrink the interval to about {run.width:.0%}",
        ]
    return "\n".join(lines)


def _count(found: Predicted) -> str:
    from dilute.planning import rounded

    return "–" if found.value is None else rounded(found.value)


def _share(found: Predicted) -> str:
    return f"{found.value or 0:.1%} ({found.low or 0:.1%} to {found.high or 0:.1%})"
