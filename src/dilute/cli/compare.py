"""`dilute compare`: methods side by side, on the same wrong labels."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dilute.cli import console, options, progress, values
from dilute.interruption import Interrupted

if TYPE_CHECKING:
    from dilute.comparison import Standing
    from dilute.data import Reading
    from dilute.noise import NoisePattern

_USUAL = "cross_entropy,gce,elr,forward_estimated,em_estimated,neighbours_estimated"


@options.data
@options.model
@options.num_clean
@options.pattern
@options.seed
@options.reading
@options.sweeping
@options.store
@options.picture
@options.json
@options.refuses("alpha", "rate")
def compare(
    data: str,
    model: str,
    num_clean: int | None,
    pattern: NoisePattern,
    seed: int,
    reading: Reading,
    sweeping: dict[str, Any],
    store: str,
    picture: Path | None,
    json: bool,
    alpha: Annotated[
        str | None,
        typer.Option(help="Wrong labels drawn for each right one; several by commas (dilution)."),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(help="Share of labels replaced; several by commas; instead of --alpha."),
    ] = None,
    methods: Annotated[
        str,
        typer.Option(
            help="Methods by commas; also: all, known, estimated (what is known of the matrix)."
        ),
    ] = _USUAL,
    passes: Annotated[
        float, typer.Option(help="Budget: how often each image may go through a network.", min=0.01)
    ] = 4.0,
    seeds: Annotated[int, typer.Option(help="How many seeds, from --seed on.", min=1)] = 3,
    learning_rates: Annotated[
        str, typer.Option(help="Peak rates to try; held-out noisy labels choose.")
    ] = "0.001",
) -> None:
    """Train with each method on the same noisy labels, within the same budget, and rank them.

    Held-out noisy labels choose learning rate and stopping point; the test set chooses nothing. What a method knows
    of the noise stands beside its name. The same comparison again goes on with what is left.

    Example: `dilute compare mnist5k --model mlp1 --alpha 5,20 --methods cross_entropy,gce,em_known`
    """
    from dilute.errors import SpecError

    if (alpha is None) == (rate is None):
        raise SpecError("noise is given by --alpha or by --rate; give exactly one")
    amounts = values.numbers("alpha" if alpha is not None else "rate", alpha or rate or "")
    rates = values.numbers("learning rates", learning_rates)
    import dilute.data
    from dilute.comparison import Contest, draw_comparison, entries_of, outcomes, ranking
    from dilute.figures import save
    from dilute.runs import Store
    from dilute.sweeps import make_plan, run_sweep

    chosen = entries_of(values.words(methods))
    splits = dilute.data.load(data, reading)
    specs = []
    for amount in amounts:
        contest = Contest(
            data=data,
            model=model,
            noise={"alpha" if alpha is not None else "rate": amount, "noise": pattern},
            methods=chosen,
            num_clean=num_clean,
            passes=passes,
            learning_rates=tuple(rates),
            seeds=tuple(range(seed, seed + seeds)),
        )
        specs += contest.specs(len(splits.train))
    specs.sort(key=lambda spec: spec.seed)  # runs on the same images, which may share work, in turn
    kept = Store(store)
    with progress.sweep_progress() as on_progress:
        result = run_sweep(
            make_plan(specs, reading=reading),
            kept,
            keep_weights=False,
            on_progress=on_progress,
            **sweeping,
        )
    if result.interrupted:
        raise Interrupted(
            f"{result.left:,} of {len(result.specs):,} runs are left; the same command goes on with them"
        )
    records = [record for key in result.specs if (record := kept.get(key)) is not None]
    found = ranking(outcomes(records))
    if json:
        console.print_json(
            {"standings": [asdict(one) for one in found], "failures": result.failures}
        )
    else:
        print(_text(found))
        for key, message in result.failures.items():
            print(f"failed: {result.specs[key].method}: {message} ({key})")
    if picture is not None:
        save(draw_comparison(found, found[0].setting), picture)
    if result.failed:
        raise typer.Exit(1)


def _text(found: list[Standing]) -> str:
    lines: list[str] = []
    for setting, amount in dict.fromkeys((one.setting, one.amount) for one in found):
        here = [one for one in found if (one.setting, one.amount) == (setting, amount)]
        rows = [["method", "knows", "accuracy", "over cross-entropy", "n", "seconds"]]
        rows += [_cells(one) for one in here]
        lines += [f"{setting}, {here[0].amount_name} = {amount:g}", console.columns(rows), ""]
    lines.append("mean (lowest to highest) over n seeds, test set; held-out noisy labels chose")
    return "\n".join(lines)


def _cells(one: Standing) -> list[str]:
    from dilute.comparison import in_percent

    failed = f", {one.num_failed} failed" if one.num_failed else ""
    return [
        one.title,
        one.knows,
        in_percent(one.accuracy, one.low, one.high),
        in_percent(one.gain, one.gain_low, one.gain_high, "+"),
        f"{one.num_seeds}{failed}",
        f"{one.seconds:.1f}" if one.seconds is not None else "–",
    ]
