"""`dilute store`: records of runs in one file, and out of it."""

from __future__ import annotations

from typing import Annotated

import typer

from dilute.cli import console, options
from dilute.cli.pages import add_command

app = typer.Typer(
    help="Pack the records of a store into one file, or delete some.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
Folder = Annotated[
    str, typer.Argument(metavar="FOLDER", help="The store: a folder, or s3://BUCKET/FOLDER.")
]


@options.json
def pack(folder: Folder, json: bool) -> None:
    """Put all records of a store into its one file records.jsonl.

    The store answers as before. Weights and checkpoints stay as they are.

    Example: `dilute store pack runs`
    """
    from dilute.errors import StoreError
    from dilute.runs import Store

    store = Store(folder)
    num_records = store.pack()
    if not num_records:
        raise StoreError(f"store {folder} has no records to pack; name the folder of a sweep")
    if json:
        console.print_json({"store": folder, "records": num_records})
    else:
        print(f"{folder}: {num_records:,} records in records.jsonl")


@options.json
def delete(
    folder: Folder,
    keys: Annotated[list[str], typer.Argument(help="Keys of records.", metavar="KEY…")],
    json: bool,
) -> None:
    """Delete records from a store, packed or not, so that their runs are run again.

    Weights stay until then.

    Example: `dilute store delete runs 007a92c8aa4a2cf580f1`
    """
    from dilute.errors import StoreError
    from dilute.runs import Store

    store = Store(folder)
    there = store.keys()
    if missing := [key for key in keys if key not in there]:
        raise StoreError(f"store {folder} has no record {missing[0]}; nothing was deleted")
    for key in keys:
        store.delete(key)
    if json:
        console.print_json({"store": folder, "deleted": keys})
    else:
        print(f"{folder}: deleted {len(keys):,} of {len(there):,} records")


add_command(app, "pack", pack)
add_command(app, "delete", delete)
