"""`dilute plan`: how many labels a target takes, of which kind, at which cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dilute.cli import console, options, progress, show_plan, values

if TYPE_CHECKING:
    from dilute.data import Reading
    from dilute.laws import Evidence
    from dilute.noise import NoisePattern
    from dilute.planning import Prices
    from dilute.runs import RunRecord
    from dilute.sweeps import Cluster

_MOST_SETTINGS = 12


def _is_store(source: str) -> bool:
    return "://" in source or Path(source).is_dir()


def _folder(given: options.Given) -> str | None:
    source = given["source"]
    return f"a folder of records {source}" if _is_store(source) else None


def _data(given: options.Given) -> str | None:
    source = given["source"]
    return None if _is_store(source) else f"data {source}, which a pilot runs on"


@options.pattern
@options.workers
@options.engine
@options.seed
@options.reading
@options.picture
@options.json
@options.refuses(
    _folder,
    *("model", "pilot_minutes", "store", "replacement"),
    *(options.pattern, options.workers, options.engine, options.reading),
)
@options.refuses(_data, "setting")
def plan(
    source: str,
    target: float,
    pattern: NoisePattern,
    workers: int | None,
    cluster: Cluster | None,
    seed: int,
    reading: Reading,
    picture: Path | None,
    json: bool,
    alpha: str = "0",
    have: int | None = None,
    setting: str | None = None,
    clean_price: float | None = None,
    noisy_price: float | None = None,
    relabel_price: float | None = None,
    model: str | None = None,
    pilot_minutes: float = 10.0,
    store: str = "pilot",
    replacement: bool = False,
) -> None:
    """Say how many labels a target takes at each amount of noise, and which to buy.

    The answer comes from runs and a law fitted to them: runs in a folder of records, or of a pilot
    on clean data of yours, into which noise is planted. Every number has a 90 % interval, and says
    so where it leaves the runs behind it; docs/laws.md says how often these held.

    Example: `dilute plan mnist5k --model mlp1 --target 0.9 --alpha 5,20 --pilot-minutes 2`

    Arguments:
        source: a folder of records to fit; or clean DATA, as for other commands, for a pilot.

    Options:
        target: test accuracy to reach, above a guess and below 1.
        alpha: wrong labels drawn for each right one; several by commas, the first being that of
            the noisy source and of --have.
        have: labels at hand, right and wrong, at the first alpha.
        setting: words that choose among settings in a folder of records, as 'mnist conv4'.

    Prices:
        clean_price: of a label that is right.
        noisy_price: of a label at the first alpha.
        relabel_price: of making a label at hand right; needs --have.

    Pilot (with DATA):
        model: the model to plan for.
        pilot_minutes: how long the pilot may take.
        store: folder for the pilot's records, answered from.
        replacement: every label has an image of its own; else the labels of an image come together.
    """
    alphas = values.numbers("alpha", alpha)
    prices = _prices(clean_price, noisy_price, relabel_price, have)
    from dilute.errors import LawError, SpecError
    from dilute.laws import fit_law
    from dilute.planning import draw_plan, plan_collection, run_pilot

    if _is_store(source):
        chosen, most_clean = _stored(source, setting), None
    else:
        if model is None:
            raise SpecError(
                f"{source} is no folder of records; to run a pilot on it as data, give --model, too"
            )
        if not pilot_minutes > 0:
            raise LawError(f"--pilot-minutes {pilot_minutes:g} cannot be; give a number above 0")
        from dilute.data import load
        from dilute.files import as_path, check_writable

        check_writable(as_path(store))

        splits = load(source, reading)
        console.say_count_as_clean(splits)
        with progress.sweep_progress() as on_progress:
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
        chosen = _of_pilot(records)
        most_clean = float(len(splits.train))
    law = fit_law(chosen, seed)
    found = plan_collection(law, target, alphas, in_hand=have, prices=prices, most_clean=most_clean)
    if picture is not None:
        draw_plan(found, picture)
    if json:
        console.print_json(show_plan.document(found))
    else:
        print(show_plan.text(found))


def _prices(
    clean: float | None, noisy: float | None, relabel: float | None, have: int | None
) -> Prices | None:
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


def _stored(source: str, words: str | None) -> Evidence:
    """Return the evidence in a folder, of the setting that `words` name, or the only one."""
    from dilute.errors import LawError, StoreError
    from dilute.laws import evidence_of
    from dilute.runs import Store

    records = list(Store(source).records())
    if not records:
        raise StoreError(f"{source} holds no records; give a folder that dilute run or sweep wrote")
    found = evidence_of(records)
    if not found:
        raise LawError(
            f"{source} has no finished runs with noise and test accuracy; a law takes some at two "
            "alpha or more"
        )
    wanted = (words or "").lower().replace(",", " ").split()
    fitting = [one for one in found if all(word in str(one).lower() for word in wanted)]
    if len(fitting) == 1:
        return found[fitting[0]]
    listed = "; ".join(
        f"{one} ({len(found[one].alpha)} runs)" for one in (fitting or list(found))[:_MOST_SETTINGS]
    )
    if not fitting:
        raise LawError(f"no setting in {source} has the words '{words}'; there are: {listed}")
    raise LawError(
        f"{len(fitting)} settings in {source} could be meant; choose by words with --setting: "
        f"{listed}"
    )


def _of_pilot(records: list[RunRecord]) -> Evidence:
    """Return the evidence of a pilot, which has one setting."""
    from dilute.errors import LawError
    from dilute.laws import evidence_of

    if found := evidence_of(records):
        return next(iter(found.values()))
    reasons = {record.message or record.status for record in records}
    raise LawError(
        f"none of the pilot's {len(records)} runs with noise came to an end: "
        f"{'; '.join(sorted(reasons))}"
    )
