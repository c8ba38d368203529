"""`dilute demo`: three minutes from nothing to an answer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dilute.cli import console, options, progress


@options.threads
@options.json
def demo(
    threads: int | None,
    json: bool,
    out: Annotated[Path, typer.Option(help="Folder for pictures and records.")] = Path("demo"),
) -> None:
    """Train on digits with 0, 10 and 20 wrong labels for each right one, and say what is left.

    The last of them once more with a better method. Takes about three minutes on two cores; needs
    no download.

    Example: `dilute demo --out demo`
    """
    from dilute.demo import ALPHAS, demonstrate
    from dilute.methods import PLAIN
    from dilute.runs import Execution

    alphas = ", ".join(f"{alpha:g}" for alpha in ALPHAS)
    console.say(f"Training Conv4 on real digits with {alphas} random labels for each right one.")
    found = demonstrate(out, progress.training_progress, Execution(threads=threads))
    if found.num_known:
        console.say(
            f"{found.num_known} of {len(found.records)} runs answered from the store "
            f"({out / 'runs'})"
        )
    if json:
        console.print_json(
            {
                "sentence": found.sentence,
                "pictures": [str(path) for path in found.pictures],
                "records": [record.model_dump(mode="json") for record in found.records],
            }
        )
        return
    for record in found.records:
        accuracy = record.accuracy.selected
        shown = "no model" if accuracy is None else f"{accuracy:.1%}"
        method = record.spec["method"]
        print(
            f"alpha = {record.spec['alpha']:>2g}: {record.wrong_rate:>4.0%} of labels wrong, "
            f"test accuracy {shown}" + (f" by {method}" if method != PLAIN else "")
        )
    print(f"\n{found.sentence}\n")
    print("Pictures: " + ", ".join(str(path) for path in found.pictures))
    if any(record.status != "done" for record in found.records):
        raise typer.Exit(1)
