"""Options that several commands share, and what they are turned into."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dilute.errors import NoiseError, SpecError, unknown_name

if TYPE_CHECKING:
    from dilute.data import Reading
    from dilute.noise import NoisePattern
    from dilute.runs import Material
    from dilute.sweeps import Cluster

DataName = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A known name, or idx:DIR, folder:DIR, shards:DIR, parquet:FILE, npz:FILE, hub:OWNER/NAME.",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(help="Where named data sets are kept; else $DILUTE_DATA, else your data folder."),
]
Resize = Annotated[
    int | None,
    typer.Option(help="Bring images of mixed sizes to squares of this many pixels a side."),
]
Stream = Annotated[
    bool | None,
    typer.Option(
        "--stream/--no-stream",
        help="Decode images when they are needed instead of all beforehand; default: if memory asks for it.",
    ),
]
OnCorrupt = Annotated[
    str,
    typer.Option(
        help="A streamed image that does not decode: fail, or skip (it counts for nothing)."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
Model = Annotated[
    str,
    typer.Option(
        help="perceptron, mlp1, mlp2, mlp4, conv4, conv6, resnet18, resnet50 or module:callable."
    ),
]
Method = Annotated[
    str,
    typer.Option(
        help="How to learn from the labels: cross_entropy, gce, forward_known, em_estimated, …; docs/methods.md."
    ),
]
Alpha = Annotated[
    float | None, typer.Option(help="Noisy examples per clean one, ≥ 0 (dilution). Default 0.")
]
Rate = Annotated[
    float | None, typer.Option(help="Share of labels replaced, 0 to 1; instead of --alpha.")
]
Noise = Annotated[
    str,
    typer.Option(help="uniform, uniform_other, pair, asymmetric, structured or confusion."),
]
Delta = Annotated[float | None, typer.Option(help="structured: degree, 0 to alpha/K.")]
Order = Annotated[str | None, typer.Option(help="structured: confusing, reverse or random.")]
OrderSeed = Annotated[int | None, typer.Option(help="structured: which random order.")]
ClassOrder = Annotated[
    str | None, typer.Option(help="structured: classes from most to least confused, as in 3,5,8,….")
]
ClassMap = Annotated[
    str | None, typer.Option(help="asymmetric: mnist, cifar10, or pairs as in 7:1,2:7.")
]
ConfusionFile = Annotated[
    Path | None,
    typer.Option("--confusion", help="confusion, structured: a K×K matrix as .csv, .json or .npy."),
]
NoisyImages = Annotated[
    str,
    typer.Option(
        help="Images of noisy examples: same, white_noise, white_noise:N (N of them), or a data set's name."
    ),
]
NumClean = Annotated[int | None, typer.Option(help="Clean images to train on; all if not given.")]
RunStore = Annotated[
    str,
    typer.Option(
        metavar="FOLDER",
        help="Folder of records, or s3://… or gs://…: answered from, and written to.",
    ),
]
Seed = Annotated[int, typer.Option(help="Which subset, noise, initialisation and order.", min=0)]

Device = Annotated[str | None, typer.Option(help="cpu, cuda, …; a GPU if there is one.")]
CpuThreads = Annotated[int | None, typer.Option(help="CPU threads.", min=1)]

Workers = Annotated[
    int | None, typer.Option(help="Processes; one per core, or per GPU, if not given.", min=1)
]
Threads = Annotated[
    int | None, typer.Option(help="CPU threads per worker; its share of the cores.", min=1)
]
WorkerDevice = Annotated[
    str | None, typer.Option(help="cpu, cuda:1, …; the GPUs in turn if there are some.")
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Do runs again that failed before.")
]
Engine = Annotated[
    str, typer.Option(help="Who does the runs: local (processes here) or ray (a cluster).")
]
Address = Annotated[
    str | None,
    typer.Option(
        help="ray: the cluster's, as host:6379 or auto; else $RAY_ADDRESS, else this machine alone."
    ),
]
GpusPerRun = Annotated[
    float | None, typer.Option(help="ray: GPUs of a run, default 0; 0.25 lets four runs share one.")
]
HangSeconds = Annotated[
    float, typer.Option(help="Kill a worker that is silent for so long; its run has failed.")
]
LoaderWorkers = Annotated[
    int,
    typer.Option(
        help="Processes of a run that load images ahead; 0 to load them between steps.", min=0
    ),
]


def reading_of(
    data_dir: Path | None,
    resize: int | None = None,
    stream: bool | None = None,
    on_corrupt: str = "fail",
) -> Reading:
    """Return how the options say that data are to be read.

    Errors: `DataError` for a value that is not allowed.
    """
    from dilute.data import Reading

    return Reading(data_dir, resize, stream, on_corrupt)  # type: ignore[arg-type]


def material_of(
    data: str,
    model: str,
    alpha: float | None,
    rate: float | None,
    noise: NoisePattern,
    noisy_images: str,
    seed: int,
    reading: Reading,
) -> Material:
    """Return what a run on all the images of the data, with the noise that the options describe, is made of."""
    from dilute.runs import Material, RunSpec

    # Before the data are read, so that most slips in an option cost no waiting.
    spec = RunSpec(
        data=data,
        model=model,
        noisy_images=noisy_images,
        alpha=alpha,
        rate=rate,
        noise=noise,
        seed=seed,
    )
    return Material.of(spec, reading)


def cluster(engine: str, address: str | None, gpus_per_run: float | None) -> Cluster | None:
    """Return the cluster that the options describe, None for processes on this machine.

    Errors: `SpecError` for an unknown engine, or options that the local one would ignore.
    """
    from dilute.sweeps import Cluster

    if engine == "ray":
        return Cluster(address, gpus_per_run or 0.0)
    if engine != "local":
        raise SpecError(unknown_name("engine", engine, ("local", "ray")))
    refuse_beside("--engine", engine, {"address": address, "gpus_per_run": gpus_per_run})
    return None


def refuse_beside(option: str, value: object, others: dict[str, object]) -> None:
    """Refuse options that would be ignored beside `option`, where that is given.

    Errors: `SpecError` that names them.
    """
    ignored = [f"--{name.replace('_', '-')}" for name, other in others.items() if other is not None]
    if value is not None and ignored:
        raise SpecError(
            f"{', '.join(ignored)} has no effect beside {option} {value}; leave one of them out"
        )


def pattern(
    name: str,
    delta: float | None,
    order: str | None,
    order_seed: int | None,
    class_order: str | None,
    class_map: str | None,
    confusion: Path | None,
) -> NoisePattern:
    """Return the noise pattern that the options describe.

    Errors: `NoiseError` for an unknown pattern, or an option that it lacks or has no use for.
    """
    from dilute.noise import make_pattern, read_matrix

    matrix_field = "rows" if name == "confusion" else "confusion"
    options: dict[str, Any] = {
        "delta": delta,
        "order": order,
        "order_seed": order_seed,
        "class_order": _integers(class_order) if class_order else None,
        "class_map": _class_map(class_map) if class_map else None,
        matrix_field: read_matrix(confusion) if confusion else None,
    }
    return make_pattern(
        name, **{field: value for field, value in options.items() if value is not None}
    )


def copies_value(text: str) -> Any:
    """Return labels per visit as `Recipe` takes them: a number, or a word as it is."""
    return int(text) if text.isascii() and text.isdigit() else text


def check_picture(path: Path | None) -> None:
    """Refuse a picture of a kind that is not drawn.

    Errors: `SpecError`.
    """
    if path is not None and path.suffix not in (".png", ".svg"):
        raise SpecError(f"picture {path} ends in '{path.suffix}'; allowed are .png and .svg")


def words(text: str) -> list[str]:
    """Return the words of a list by commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def numbers(what: str, text: str) -> list[float]:
    """Return the numbers of a list by commas, called `what` in errors.

    Errors: `SpecError` for anything else.
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise SpecError(
            f"{what} '{text}' cannot be read; give numbers as in 20 or 5,20,50"
        ) from None


def method_options(pairs: list[str] | None) -> dict[str, Any] | None:
    """Return a method's options from pairs as in `q=0.5`.

    `matrix` takes known, estimated, or the name of a matrix file.

    Errors: `SpecError` for anything else; what `read_matrix` raises.
    """
    from dilute.noise import read_matrix

    found: dict[str, Any] = {}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not (name and equals and value) or name in found:
            raise SpecError(
                f"method option '{pair}' cannot be read; give each once, as in q=0.5 or matrix=FILE"
            )
        found[name] = (
            read_matrix(Path(value))
            if name == "matrix" and value not in ("known", "estimated")
            else value
        )
    return found or None


def steps_list(text: str) -> list[int]:
    """Return the ascending numbers of steps that a list by commas gives.

    Errors: `SpecError` for anything else.
    """
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise SpecError(f"steps '{text}' cannot be read; give numbers as in 0,50,200")
    return sorted({int(part) for part in parts})


def _integers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise NoiseError(
            f"class order '{text}' cannot be read; give class numbers as in 3,5,8"
        ) from None


def _class_map(text: str) -> str | dict[int, int]:
    if ":" not in text:
        return text
    try:
        halves = [part.split(":") for part in text.split(",")]
        pairs = [(int(source), int(target)) for source, target in halves]
        if len({source for source, _ in pairs}) == len(pairs):
            return dict(pairs)
    except ValueError:
        pass
    raise NoiseError(
        f"class map '{text}' cannot be read; give pairs as in 7:1,2:7, each class once before a colon"
    )
