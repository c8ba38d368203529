"""`dilute compare`: methods side by side, on the same wrong labels."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dilute.cli import console, described, options, progress, values
from dilute.cli.from_models import option
from dilute.cli.groups import Group, Option, single
from dilute.cli.pages import OPTIONS

if TYPE_CHECKING:
    from dilute.data import Reading
    from dilute.noise import NoisePattern
    from dilute.study import MethodResult


def _seeds() -> Option:
    seeds = described.arguments("dilute.study", "compare")["seeds"]
    return option(replace(seeds, type=int), OPTIONS, help="How many seeds, from --seed on.")


def _argument(name: str, help: str) -> Group:
    return options.argument("dilute.study", "compare", name, help=help)


@options.data
@options.model
@_argument(
    "methods", "Methods by commas; also all, known, estimated (what is known of the matrix)."
)
@_argument("passes", "Budget: how often each image may go through a network.")
@single("seeds", _seeds)
@_argument("learning_rates", "Peak rates to try, by commas; held-out noisy labels choose.")
@options.pattern
@options.seed
@options.num_clean
@options.reading
@options.sweeping
@options.store
@options.picture
@options.json
def compare(
    data: str,
    model: str,
    methods: list[str],
    passes: float,
    seeds: int,
    learning_rates: list[float],
    pattern: NoisePattern,
    seed: int,
    num_clean: int | None,
    reading: Reading,
    sweeping: dict[str, Any],
    store: str,
    picture: Path | None,
    json: bool,
    given: options.Given,
    alpha: str | None = None,
    rate: str | None = None,
) -> None:
    """Train with each method on the same noisy labels, within the same budget, and rank them.

    Labels of your own are taken as given, unless noise is planted in them (--alpha or --rate).
    Held-out noisy labels choose learning rate and stopping point; the test set chooses nothing.
    What a method knows of the noise stands beside its name. The same comparison again goes on with
    what is left.

    Example: `dilute compare mnist5k --model mlp1 --alpha 5,20 --methods cross_entropy,gce,em_known`

    Noise:
        alpha: wrong labels drawn for each right one; several by commas (dilution).
        rate: share of labels replaced; several by commas; instead of --alpha.
    """
    import dilute
    from dilute.errors import SpecError
    from dilute.files import as_path, check_writable
    from dilute.study import Sweeping

    check_writable(as_path(store))
    if alpha is not None and rate is not None:
        raise SpecError("noise is given by --alpha or by --rate; give exactly one")
    with progress.sweep_progress() as on_progress:
        found = dilute.compare(
            data,
            model=model,
            alpha=None if alpha is None else values.numbers("alpha", alpha),
            rate=None if rate is None else values.numbers("rate", rate),
            noise=pattern if given.among([options.pattern]) else None,
            num_clean=num_clean,
            methods=methods,
            passes=passes,
            learning_rates=learning_rates,
            seeds=range(seed, seed + seeds),
            store=store,
            sweeping=Sweeping(on_progress=on_progress, reading=reading, **sweeping),
        )
    if json:
        console.print_json(
            {"standings": [asdict(one) for one in found.results], "failures": found.failures}
        )
    else:
        print(_text(found.results))
        methods_of = {record.key: record.spec["method"] for record in found.records}
        for key, message in found.failures.items():
            print(f"failed: {methods_of[key]}: {message} ({key})")
    if picture is not None:
        found.draw(picture)
    if found.failures:
        raise typer.Exit(1)


def _text(found: list[MethodResult]) -> str:
    lines: list[str] = []
    for setting, noise in dict.fromkeys((one.setting, one.noise) for one in found):
        here = [one for one in found if (one.setting, one.noise) == (setting, noise)]
        rows = [["method", "knows", f"{here[0].measure}, %", "over cross-entropy", "n", "seconds"]]
        rows += [_cells(one) for one in here]
        lines += [f"{setting}, {noise}", console.columns(rows), ""]
    lines.append("mean (lowest to highest) over n seeds, test set; held-out noisy labels chose")
    return "\n".join(lines)


def _cells(one: MethodResult) -> list[str]:
    from dilute.study import in_percent

    failed = f", {one.num_failed} failed" if one.num_failed else ""
    return [
        one.title,
        one.knows,
        in_percent(one.accuracy, one.low, one.high),
        in_percent(one.gain, one.gain_low, one.gain_high, "+"),
        f"{one.num_seeds}{failed}",
        f"{one.seconds:.1f}" if one.seconds is not None else "–",
    ]
