"""`dilute compare`: methods side by side, on the same wrong labels."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dilute.cli import console, described, options, progress, values
from dilute.cli.from_models import option
from dilute.cli.groups import Group, Option

if TYPE_CHECKING:
    from dilute.data import Reading
    from dilute.noise import NoisePattern
    from dilute.study import MethodResult

_LIBRARY = ("dilute.study", "compare")


def _contest_options() -> list[Option]:
    usual = {name: one.default for name, one in described.arguments(*_LIBRARY).items()}
    methods, rates = ",".join(usual["methods"]), ",".join(f"{r:g}" for r in usual["learning_rates"])
    texts = {
        "methods": "Methods by commas; also all, known, estimated (what is known of the matrix).",
        "passes": "Budget: how often each image may go through a network.",
        "seeds": "How many seeds, from --seed on.",
        "learning_rates": "Peak rates to try, by commas; held-out noisy labels choose.",
    }
    return [
        Option(
            "methods",
            str,
            methods,
            texts["methods"],
            "",
            note=f"default: {', '.join(usual['methods'])}",
        ),
        option(described.arguments(*_LIBRARY)["passes"], "", help=texts["passes"]),
        Option(
            "seeds",
            int,
            usual["seeds"],
            texts["seeds"],
            "",
            minimum=1,
            note=f"≥ 1; default: {usual['seeds']}",
        ),
        Option("learning_rates", str, rates, texts["learning_rates"], "", note=f"default: {rates}"),
    ]


def _contest(given: options.Given) -> dict[str, Any]:
    """Return what is compared, and at which budget, as `dilute.compare` takes it."""
    return {
        "methods": values.words(given["methods"]),
        "passes": given["passes"],
        "learning_rates": values.numbers("learning rates", given["learning_rates"]),
        "seeds": given["seeds"],
    }


@options.data
@options.model
@Group("contest", _contest_options, _contest)
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
    contest: dict[str, Any],
    pattern: NoisePattern,
    seed: int,
    num_clean: int | None,
    reading: Reading,
    sweeping: dict[str, Any],
    store: str,
    picture: Path | None,
    json: bool,
    alpha: Annotated[
        str | None,
        typer.Option(
            help="Wrong labels drawn for each right one; several by commas (dilution).",
            rich_help_panel=options.NOISE,
        ),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(
            help="Share of labels replaced; several by commas; instead of --alpha.",
            rich_help_panel=options.NOISE,
        ),
    ] = None,
) -> None:
    """Train with each method on the same noisy labels, within the same budget, and rank them.

    Held-out noisy labels choose learning rate and stopping point; the test set chooses nothing.
    What a method knows of the noise stands beside its name. The same comparison again goes on with
    what is left.

    Example: `dilute compare mnist5k --model mlp1 --alpha 5,20 --methods cross_entropy,gce,em_known`
    """
    import dilute
    from dilute.errors import SpecError
    from dilute.study import Sweeping

    if (alpha is None) == (rate is None):
        raise SpecError("noise is given by --alpha or by --rate; give exactly one")
    contest["seeds"] = range(seed, seed + contest["seeds"])
    with progress.sweep_progress() as on_progress:
        found = dilute.compare(
            data,
            model=model,
            alpha=None if alpha is None else values.numbers("alpha", alpha),
            rate=None if rate is None else values.numbers("rate", rate),
            noise=pattern,
            num_clean=num_clean,
            store=store,
            sweeping=Sweeping(on_progress=on_progress, reading=reading, **sweeping),
            **contest,
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
    for setting, amount in dict.fromkeys((one.setting, one.amount) for one in found):
        here = [one for one in found if (one.setting, one.amount) == (setting, amount)]
        rows = [["method", "knows", "accuracy", "over cross-entropy", "n", "seconds"]]
        rows += [_cells(one) for one in here]
        lines += [f"{setting}, {here[0].amount_name} = {amount:g}", console.columns(rows), ""]
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
