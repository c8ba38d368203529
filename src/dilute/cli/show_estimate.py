"""What was estimated of the noise, for people."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from dilute.cli import console

if TYPE_CHECKING:
    from dilute.estimation import NoiseEstimate

_MOST_CLASSES_SHOWN = 12
_WIDTH = 96


def text(found: NoiseEstimate, files: dict[str, str], commands: dict[str, str]) -> str:
    """Return the estimate, the files written, and the commands that may come next."""
    from dilute.estimation import alpha_text, cleaned
    from dilute.planning import amount

    wrong = found.wrong_rate
    rows = [
        ["wrong labels", f"{wrong.value:.1%} ({wrong.low:.1%} to {wrong.high:.1%})"],
        ["alpha", f"{alpha_text(found.alpha)}: noisy labels for each clean one"],
        [
            "worth",
            f"{amount(found.worth)} clean examples, of {found.num_items:,} items with "
            f"{found.num_labels:,} labels",
        ],
    ]
    if found.rows is not None:
        action = cleaned(found.rows).action.tolist()
        numbers = {name: action.count(name) for name in ("keep", "fix", "drop")}
        shown = f"keep {numbers['keep']:,}, fix {numbers['fix']:,}, drop {numbers['drop']:,}"
        rows.append(["rows", f"{shown}; which, in {files['cleaned']}"])
    if found.annotators:
        rows.append(["annotators", _annotators(found)])
    rows += [["note", warning] for warning in found.warnings]
    rows.append(["from", f"{found.source} ({found.num_evidence:,}); 90 % intervals"])
    lines = [
        textwrap.fill(f"{name:16}{value}", _WIDTH, subsequent_indent=" " * 16)
        for name, value in rows
    ]
    if len(found.class_names) <= _MOST_CLASSES_SHOWN:
        lines += ["", "given label, % of each true class:", _matrix(found)]
    lines += ["", "written:", *(f"  {path}" for path in files.values())]
    if commands:
        lines += ["", "next:", *(f"  {command}" for command in commands.values())]
    return "\n".join(lines)


def _annotators(found: NoiseEstimate) -> str:
    """Return the range of annotators' qualities, the best and the worst by name."""
    known = sorted(
        (one for one in found.annotators if not one.has_few), key=lambda one: one.quality
    )
    number = f"{len(found.annotators):,}"
    if not known:
        return f"{number}, with too few labels each to tell them apart"
    worst, best = known[0], known[-1]
    return (
        f"{number}; their labels are right with {worst.quality:.0%} ({worst.name}) to "
        f"{best.quality:.0%} ({best.name})"
    )


def _matrix(found: NoiseEstimate) -> str:
    names = [name[:10] for name in found.class_names]
    rows = [["", *names]]
    rows += [
        [name, *(f"{100 * value:.1f}" for value in row)]
        for name, row in zip(names, found.laws, strict=True)
    ]
    return console.columns(rows)
