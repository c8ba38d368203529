"""`dilute data`: which data sets there are, what is in them, and getting them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dilute.cli import console, options, progress
from dilute.cli.commands import add_command

if TYPE_CHECKING:
    from dilute.data import Reading

app = typer.Typer(
    help="List, look at, fetch and check data sets.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@options.json
def list_(json: bool) -> None:
    """List the data sets that have a name, and the forms that your own may have.

    Example: `dilute data list`
    """
    from dilute.data import known

    sets = known()
    if json:
        console.print_json(sets)
        return
    width = max(len(name) for name in sets)
    for name, description in sets.items():
        print(f"{name:{width}}  {description}")


@options.data
@options.reading
@options.json
def info(
    data: str,
    reading: Reading,
    json: bool,
    picture: Path | None = None,
) -> None:
    """Tell sizes, classes, class balance and origin of a data set.

    Example: `dilute data info mnist5k --picture sheet.png`

    Options:
        picture: write a sheet of images of each class to this PNG.
    """
    from dilute.data import contact_sheet, describe, load
    from dilute.files import as_path, check_file

    if picture is not None:
        check_file(as_path(picture))
    splits = load(data, reading)
    description = describe(splits)
    if picture is not None:
        contact_sheet(splits.train, picture)
    if json:
        console.print_json(description)
    else:
        print(_as_text(description))
        if picture is not None:
            print(f"picture: {picture}")


@options.data
@options.reading.but("resize", "stream", "on_corrupt")
@options.json
def fetch(data: str, reading: Reading, json: bool) -> None:
    """Get a public data set from its home, checked and whole, unless it is here already.

    Example: `dilute data fetch mnist`
    """
    from dilute.data import fetch as fetch_data

    origin = fetch_data(data, reading)
    if json:
        console.print_json({"name": data, "origin": origin})
    else:
        print(f"{data}: {origin}")


@options.data
@options.reading.but("stream", "on_corrupt")
@options.json
def check(data: str, reading: Reading, json: bool) -> None:
    """Decode every image of a data set once, and print the names of those that do not decode.

    These are the images that `--on-corrupt skip` skips in a run. Exits with 1 if there are some.

    Example: `dilute data check folder:my-images`
    """
    from dilute.data import check_images

    found = check_images(data, reading, progress.counting("images"))
    if json:
        console.print_json({"name": data, "corrupt": found})
    else:
        print("\n".join(found) if found else f"{data}: every image decodes")
    if found:
        console.say(
            f"{data}: {len(found):,} of its images cannot be decoded; replace or remove them"
        )
        raise typer.Exit(1)


for command in (list_, info, fetch, check):
    add_command(app, command)


def _as_text(description: dict[str, Any]) -> str:
    shape = "×".join(str(side) for side in description["input_shape"])
    lines = [
        f"{description['name']}: {description['num_classes']} classes, "
        f"inputs {shape} {description['dtype']}",
        f"found: {description['origin']}",
    ]
    for part in ("train", "test"):
        facts = description[part]
        if facts is None:
            lines.append(f"{part}: none")
            continue
        lines.append(
            f"{part}: {facts['examples']:,} examples, {facts['smallest_class']:,} to "
            f"{facts['largest_class']:,} a class, hash {facts['content_hash'][:16]}"
        )
    counts = zip(description["class_names"], description["train"]["class_counts"], strict=True)
    shown = list(counts)[:20]
    lines.append("train by class: " + ", ".join(f"{name} {count:,}" for name, count in shown))
    if description["num_classes"] > len(shown):
        lines[-1] += f", … ({description['num_classes'] - len(shown)} more; --json has them all)"
    return "\n".join(lines)
