"""A folder of run records: a run that is there is not run again."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from dilute.data import LabelledSet, Splits
from dilute.dilution import ImageSource, NoisySet
from dilute.errors import StoreError
from dilute.files import as_path, check_folder, check_writable, is_local, make_folder, write_error
from dilute.interruption import Interrupted, stop_requests
from dilute.runs.files import (
    Row,
    file_states,
    frame,
    read_cache,
    read_record,
    record_names,
    row_of,
    write_cache,
    write_record,
)
from dilute.runs.material import scaled_model
from dilute.runs.record import RunRecord
from dilute.runs.running import Execution, Outcome, run_one
from dilute.runs.spec import RunSpec
from dilute.training import Scaled, load_weights, save_weights
from dilute.training.checkpoints import put_weights

_log = logging.getLogger(__name__)


class Store:
    """Records of runs in one folder, a JSON file each, named by key; present means finished.

    Files are written under a temporary name and renamed, so that no lock is needed and stores merge
    by copying. Beside `KEY.json` there may be `KEY.last.safetensors` and `KEY.selected.safetensors`
    (weights) and, while a run is unfinished, `KEY.checkpoint.safetensors`. The hidden `.table.parquet`
    makes `table` fast and can be deleted at any time.

    Arguments:
        folder: created, if missing, when the first file is written; one that cannot be written to can
            be read.

    Errors: `StoreError` if a file is in the way of the folder.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = check_folder(as_path(folder))
        self._reported: set[str] = set()

    def get(self, key: str) -> RunRecord | None:
        """Return the record of `key`, or None.

        Errors: `StoreError` if there is one that cannot be read, or that a newer version has written.
        """
        return read_record(self.folder / f"{key}.json")

    def put(self, record: RunRecord) -> None:
        """Write a record, in place of the one with the same key if there is one."""
        write_record(self.folder / f"{record.key}.json", record)

    def keys(self) -> set[str]:
        """Return the keys of all records, which are not read."""
        return {name.removesuffix(".json") for name in record_names(self.folder)}

    @contextmanager
    def claim(self, key: str) -> Iterator[bool]:
        """Yield whether run `key` is ours to do: false while another process on this machine has claimed it.

        It saves work and no more: correctness never depends on it, since a record is written whole and
        two runs of one spec give the same. The operating system releases the claim when the process
        dies, however it dies. Where files cannot be locked the answer is always true.

        Errors: `StoreError` if the claim's file `.KEY.claim` cannot be written.
        """
        if sys.platform == "win32" or not is_local(self.folder):
            yield True
            return
        path = make_folder(self.folder) / f".{key}.claim"
        descriptor = _locked(path)
        if descriptor is None:
            yield False
            return
        try:
            yield True
        finally:
            with suppress(OSError):
                path.unlink()  # before its lock goes, or it could be another's
            os.close(descriptor)

    def records(self) -> Iterator[RunRecord]:
        """Yield all records, by key, but those that cannot be read: each of them is logged as a warning."""
        for name in file_states(self.folder):
            record = self._readable(name, [])
            if record is not None:
                yield record

    def table(self) -> Any:
        """Return a pandas data frame: a row per record, by key, and a column per field.

        Nested fields are columns as `spec.alpha`; `curve` and `heldout_confusion` are left out. The
        columns are in the order of `RunRecord`'s and `RunSpec`'s fields, which are always there. Records
        that cannot be read have no row: `attrs["unreadable"]` is a list of lines that say which and
        why, each logged as a warning, too.

        Only records that are new or changed since the last time are read; the others come from the
        hidden file `.table.parquet`, which is written anew where the folder allows it.
        """
        cache = self.folder / ".table.parquet"
        cached = read_cache(cache)
        rows: dict[str, Row] = {}
        unreadable: list[str] = []
        for name, state in file_states(self.folder).items():
            if name in cached and cached[name].state == state:
                rows[name] = cached[name]
            elif (record := self._readable(name, unreadable)) is not None:
                rows[name] = Row(state, row_of(record))
        if rows != cached:
            with suppress(StoreError):  # a store that can only be read is read each time
                write_cache(cache, rows)
        table = frame(row.row for row in rows.values())
        table.attrs["unreadable"] = unreadable
        return table

    def _readable(self, name: str, unreadable: list[str]) -> RunRecord | None:
        """Return the record in the file `name`, None if it is gone; or add to `unreadable` why it cannot be read."""
        try:
            return read_record(self.folder / name)
        except StoreError as error:
            line = str(error)
        unreadable.append(line)
        if line not in self._reported:
            self._reported.add(line)
            _log.warning("%s", line)
        return None

    def run(
        self,
        spec: RunSpec,
        execution: Execution = Execution(),  # noqa: B008 (frozen)
        *,
        splits: Splits | None = None,
        pool: ImageSource | None = None,
        noisy: NoisySet | None = None,
        heldout: LabelledSet | None = None,
        force: bool = False,
        keep_weights: bool = True,
    ) -> tuple[RunRecord, bool]:
        """Return the record of `spec`, and whether it was there; if not, run it, from its checkpoint if it has one.

        Arguments:
            execution, splits, pool, noisy, heldout: as for `run_one`.
            force: run even if the record is there, from the start.
            keep_weights: also write the weights of the last and the selected model.

        Of several ranks (`execution.world`), rank 0 alone reads and writes the folder. A run that is there as
        `failed` is run again, as is one that had no test set if there is one now. Ctrl-C and SIGTERM write a
        checkpoint first.

        Errors: those of `run_one`; `StoreError` if something cannot be written.
        """
        key, world = spec.key(), execution.world
        found = world.from_first(lambda: self.get(key))
        has_test = splits is not None and splits.test is not None
        if found is not None and not force and found.status != "failed":
            lacks_test = has_test and found.num_test is None
            if not lacks_test:
                return found, True
        world.from_first(lambda: check_writable(self.folder))
        checkpoint = self._weights(key, "checkpoint")
        if force and world.is_first:
            checkpoint.unlink(missing_ok=True)
        with stop_requests() as should_stop:
            outcome = run_one(
                spec,
                replace(execution, checkpoint=checkpoint, should_stop=should_stop),
                splits=splits,
                pool=pool,
                noisy=noisy,
                heldout=heldout,
            )
            if world.is_first:
                self._keep(outcome, found, keep_weights)
            if should_stop():
                raise Interrupted(f"run {key} was finished and kept; nothing was begun after it")
        return outcome.record, False

    def _keep(self, outcome: Outcome, found: RunRecord | None, keep_weights: bool) -> None:
        """Write what came of a run; a failure replaces no result, and leaves the checkpoint for another try."""
        record = outcome.record
        if record.status == "failed":
            if found is None or found.status == "failed":
                self.put(record)
            return
        for which, weights in (
            ("last", outcome.last_weights),
            ("selected", outcome.selected_weights),
        ):
            path = self._weights(record.key, which)
            if keep_weights and weights and record.status == "done":
                save_weights(path, weights, {"key": record.key, "which": which})
            else:
                path.unlink(missing_ok=True)
        self.put(record)
        self._weights(record.key, "checkpoint").unlink(missing_ok=True)

    def load_model(self, key: str, clean: LabelledSet, which: str = "selected") -> Scaled:
        """Return the trained model of run `key`, in evaluation mode: raw inputs `[B, …]` to logits `[B, K]`.

        Arguments:
            clean: the training set, for input shape and classes.
            which: `"selected"` or `"last"`.

        Errors: `StoreError` if the store has no such run or no such weights.
        """
        record = self.get(key)
        if record is None:
            raise StoreError(f"store {self.folder} has no run {key}")
        tensors, _ = load_weights(self._weights(key, which))
        model = scaled_model(record.spec["model"], clean)
        put_weights(model, tensors)
        return model.eval()

    def _weights(self, key: str, which: str) -> Path:
        return self.folder / f"{key}.{which}.safetensors"


def _locked(path: Path) -> int | None:
    """Return the descriptor of `path`, created and locked; None if another process holds the lock."""
    import fcntl

    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise write_error(path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:  # a file system without locks
            return descriptor
        try:
            if os.path.samestat(path.stat(), os.fstat(descriptor)):
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)  # released and removed between opening and locking
