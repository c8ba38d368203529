"""`dilute data`: which data sets there are, what is in them, and getting them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dilute.cli import console, options

app = typer.Typer(
    help="List, look at and fetch data sets.", no_args_is_help=True, rich_markup_mode="markdown"
)


@app.command("list")
def list_(json: options.Json = False) -> None:
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


@app.command()
def info(
    name: options.DataName,
    picture: Annotated[
        Path | None, typer.Option(help="Write a sheet of images of each class to this PNG.")
    ] = None,
    data_dir: options.DataDir = None,
    resize: options.Resize = None,
    stream: options.Stream = None,
    json: options.Json = False,
) -> None:
    """Tell sizes, classes, class balance and origin of a data set.

    Example: `dilute data info mnist5k --picture sheet.png`
    """
    from dilute.data import contact_sheet, describe, load

    splits = load(name, options.reading_of(data_dir, resize, stream))
    description = describe(splits)
    if picture is not None:
        contact_sheet(splits.train, picture)
    if json:
        console.print_json(description)
    else:
        print(_as_text(description))
        if picture is not None:
            print(f"picture: {picture}")


@app.command()
def fetch(
    name: options.DataName, data_dir: options.DataDir = None, json: options.Json = False
) -> None:
    """Get a public data set from its home, checked and whole, unless it is here already.

    Example: `dilute data fetch mnist`
    """
    from dilute.data import fetch as fetch_data

    origin = fetch_data(name, options.reading_of(data_dir))
    if json:
        console.print_json({"name": name, "origin": origin})
    else:
        print(f"{name}: {origin}")


def _as_text(description: dict[str, Any]) -> str:
    shape = "×".join(str(side) for side in description["input_shape"])
    lines = [
        f"{description['name']}: {description['num_classes']} classes, inputs {shape} {description['dtype']}",
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
