"""`dilute store`: records of runs in one file, and out of it."""

from __future__ import annotations

import typer

from dilute.cli import console, options
from dilute.cli.commands import add_command

app = typer.Typer(
    help="Pack the records of a store into one file, or delete some.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@options.json
def pack(folder: str, json: bool) -> None:
    """Put all records of a store into its one file records.jsonl.

    The store answers as before. Weights and checkpoints stay as they are.

    Example: `dilute store pack runs`

    Arguments:
        folder: the store: a folder, or s3://BUCKET/FOLDER.
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
def delete(folder: str, key: list[str], json: bool) -> None:
    """Delete records from a store, packed or not, so that their runs are run again.

    Weights stay until then.

    Example: `dilute store delete runs 007a92c8aa4a2cf580f1`

    Arguments:
        folder: as for `dilute store pack`.
        key: of a record.
    """
    from dilute.errors import StoreError
    from dilute.runs import Store

    store = Store(folder)
    there = store.keys()
    if missing := [one for one in key if one not in there]:
        raise StoreError(f"store {folder} has no record {missing[0]}; nothing was deleted")
    for one in key:
        store.delete(one)
    if json:
        console.print_json({"store": folder, "deleted": key})
    else:
        print(f"{folder}: deleted {len(key):,} of {len(there):,} records")


for command in (pack, delete):
    add_command(app, command)
