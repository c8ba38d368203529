"""`dilute plan`: how many labels a target takes, of which kind, at which cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dilute.cli import console, options

if TYPE_CHECKING:
    from dilute.laws import Evidence, Predicted, Setting
    from dilute.planning import Collection, Purchase
    from dilute.runs import RunRecord

_MOST_SETTINGS = 12


def plan(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder of records to fit; or clean DATA, as for other commands, to run a pilot on.",
        ),
    ],
    target: Annotated[
        float, typer.Option(help="Test accuracy to reach, above a guess and below 1.")
    ],
    alpha: Annotated[
        str,
        typer.Option(
            help="Wrong labels drawn for each right one; several by commas, the first being that of the noisy source "
            "and of --have."
        ),
    ] = "0",
    have: Annotated[
        int | None, typer.Option(help="Labels at hand, right and wrong, at the first alpha.")
    ] = None,
    clean_price: Annotated[float | None, typer.Option(help="Of a label that is right.")] = None,
    noisy_price: Annotated[
        float | None, typer.Option(help="Of a label at the first alpha.")
    ] = None,
    relabel_price: Annotated[
        float | None, typer.Option(help="Of making a label at hand right; needs --have.")
    ] = None,
    setting: Annotated[
        str | None,
        typer.Option(
            help="Words that choose among settings in a folder of records, as 'mnist conv4'."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="With DATA: the model to plan for; as for `dilute run`.")
    ] = None,
    pilot_minutes: Annotated[
        float, typer.Option(help="With DATA: how long the pilot may take.")
    ] = 10.0,
    store: Annotated[
        str, typer.Option(help="With DATA: folder for the pilot's records, answered from.")
    ] = "pilot",
    replacement: Annotated[
        bool,
        typer.Option(
            "--replacement",
            help="With DATA: every label has an image of its own; else the labels of an image come together.",
        ),
    ] = False,
    noise: options.Noise = "uniform",
    delta: options.Delta = None,
    order: options.Order = None,
    order_seed: options.OrderSeed = None,
    class_order: options.ClassOrder = None,
    class_map: options.ClassMap = None,
    confusion: options.ConfusionFile = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw law and trade-off into this .png or .svg file.")
    ] = None,
    workers: options.Workers = None,
    engine: options.Engine = "local",
    address: options.Address = None,
    gpus_per_run: options.GpusPerRun = None,
    seed: options.Seed = 0,
    data_dir: options.DataDir = None,
    resize: options.Resize = None,
    json: options.Json = False,
) -> None:
    """Say how many labels a target takes at each amount of noise, and which to buy, from runs and a law fitted to them.

    The runs come from a folder of records, or from a pilot on clean data of yours, into which noise is planted.
    Every answer has a 90 % interval, and says so where it leaves the runs behind it; docs/laws.md tells how often they held.

    Example: `dilute plan mnist5k --model mlp1 --target 0.9 --alpha 5,20 --pilot-minutes 2`
    """
    from dilute.errors import LawError, SpecError, StoreError

    alphas = options.numbers("alpha", alpha)
    prices = _prices(clean_price, noisy_price, relabel_price, have)
    options.check_picture(picture)
    pattern = options.pattern(noise, delta, order, order_seed, class_order, class_map, confusion)
    from dilute.laws import evidence_of, fit_law
    from dilute.planning import draw_plan, plan_collection, run_pilot
    from dilute.runs import Store

    cluster = options.cluster(engine, address, gpus_per_run)
    is_store = "://" in source or Path(source).is_dir()
    if is_store:
        given: dict[str, object] = {
            "model": model,
            "confusion": confusion,
            "delta": delta,
            "order": order,
        }
        options.refuse_beside("a folder of records", source, given)
        records = list(Store(source).records())
        if not records:
            raise StoreError(
                f"{source} holds no records; give a folder that dilute run or sweep wrote"
            )
        chosen = _chosen(evidence_of(records), source, setting)
        most_clean = None
    else:
        if model is None:
            raise SpecError(
                f"{source} is no folder of records; to run a pilot on it as data, give --model, too"
            )
        if not pilot_minutes > 0:
            raise LawError(f"--pilot-minutes {pilot_minutes:g} cannot be; give a number above 0")
        from dilute.data import load

        reading = options.reading_of(data_dir, resize)
        splits = load(source, reading)
        with console.sweep_progress() as on_progress:
            records = run_pilot(
                source,
                model,
                alphas,
                pattern,
                store=store,
                minutes=pilot_minutes,
                splits=splits,
                is_replacement=replacement,
                workers=workers,
                cluster=cluster,
                seed=seed,
                reading=reading,
                on_progress=on_progress,
                on_note=console.say,
            )
        chosen = _of_pilot(evidence_of(records), records)
        most_clean = float(len(splits.train))
    law = fit_law(chosen, seed)
    found = plan_collection(law, target, alphas, in_hand=have, prices=prices, most_clean=most_clean)
    if picture is not None:
        draw_plan(found, picture)
    if json:
        console.print_json(_document(found))
    else:
        print(_text(found))


def _prices(
    clean: float | None, noisy: float | None, relabel: float | None, have: int | None
) -> Any:
    from dilute.errors import LawError
    from dilute.planning import Prices

    if clean is None and noisy is None and relabel is None:
        return None
    if clean is None or noisy is None:
        raise LawError("prices come together; give --clean-price and --noisy-price")
    if relabel is not None and have is None:
        raise LawError(
            f"--relabel-price {relabel:g} needs labels that could be made right; give --have"
        )
    return Prices(clean, noisy, relabel)


def _chosen(found: dict[Setting, Evidence], source: str, words: str | None) -> Evidence:
    """Return the evidence of the setting that `words` name, or of the only one there is."""
    from dilute.errors import LawError

    if not found:
        raise LawError(
            f"{source} has no finished runs with noise and test accuracy; a law takes some at two alpha or more"
        )
    wanted = (words or "").lower().replace(",", " ").split()
    fitting = {
        setting: evidence
        for setting, evidence in found.items()
        if all(word in str(setting).lower() for word in wanted)
    }
    if len(fitting) == 1:
        return next(iter(fitting.values()))
    listed = "; ".join(
        f"{setting} ({len(evidence.alpha)} runs)"
        for setting, evidence in list((fitting or found).items())[:_MOST_SETTINGS]
    )
    if not fitting:
        raise LawError(f"no setting in {source} has the words '{words}'; there are: {listed}")
    raise LawError(
        f"{len(fitting)} settings in {source} could be meant; choose by words with --setting: {listed}"
    )


def _of_pilot(found: dict[Setting, Evidence], records: list[RunRecord]) -> Evidence:
    """Return the evidence of a pilot, which has one setting."""
    from dilute.errors import LawError

    if not found:
        reasons = {record.message or record.status for record in records}
        raise LawError(
            f"none of the pilot's {len(records)} runs with noise came to an end: {'; '.join(sorted(reasons))}"
        )
    return next(iter(found.values()))


def _number(found: Predicted | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"value": found.value, "low": found.low, "high": found.high, "beyond": found.beyond}


def _document(found: Collection) -> dict[str, Any]:
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


def _text(found: Collection) -> str:
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
            f"to know better, run {run.num_clean:,.0f} clean examples at alpha = {run.alpha:g}: it would shrink the interval "
            f"to about {run.width:.0%}",
        ]
    return "\n".join(lines)


def _count(found: Predicted) -> str:
    from dilute.planning import rounded

    return "–" if found.value is None else rounded(found.value)


def _share(found: Predicted) -> str:
    return f"{found.value or 0:.1%} ({found.low or 0:.1%} to {found.high or 0:.1%})"
