"""A folder of run records: a run that is there is not run again."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from torch import nn

from dilute.data import LabelledSet
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
from dilute.runs.material import Material
from dilute.runs.network import build_network
from dilute.runs.record import RunRecord
from dilute.runs.result import Fit
from dilute.runs.running import Execution, Outcome, train_material
from dilute.runs.spec import RunSpec
from dilute.training import Scaled, load_weights, save_weights
from dilute.training.checkpoints import put_weights

Which = Literal["selected", "last"]
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
        run: RunSpec | Material,
        execution: Execution = Execution(),  # noqa: B008 (frozen)
        *,
        force: bool = False,
        keep_weights: bool = True,
    ) -> Fit:
        """Return what came of a run: from the store if it has it, else by running it, from its checkpoint if it has one.

        Data are loaded only if the run has to be done, or if their own names (`folder@hash`) are not
        known without them.

        Arguments:
            run, execution: as for `run_one`.
            force: run even if the record is there, from the start.
            keep_weights: also write the weights of the last and the selected model.

        Of several ranks (`execution.world`), rank 0 alone reads and writes the folder. A run that is there as
        `failed` is run again, as is one that had no test set if there is one now, and one whose network was
        given as an object. Ctrl-C and SIGTERM write a checkpoint first.

        Errors: those of `run_one`; `StoreError` if something cannot be written.
        """
        material, world = run if isinstance(run, Material) else Material.of(run), execution.world
        may_answer = material.is_repeatable and not force
        named = material.spec_unread
        if may_answer and named is not None:
            found = world.from_first(lambda: self.get(named.key()))
            if found is not None and _answers(found, material.may_have_test):
                return self._known(found, material)
        key = material.spec.key()
        found = world.from_first(lambda: self.get(key))
        if may_answer and found is not None and _answers(found, material.test_set is not None):
            return self._known(found, material)
        world.from_first(lambda: check_writable(self.folder))
        checkpoint = self._weights(key, "checkpoint")
        if force and world.is_first:
            checkpoint.unlink(missing_ok=True)
        with stop_requests() as should_stop:
            outcome = train_material(
                material, replace(execution, checkpoint=checkpoint, should_stop=should_stop)
            )
            if world.is_first:
                self._keep(outcome, found, material.splits.train, keep_weights)
            if should_stop():
                raise Interrupted(f"run {key} was finished and kept; nothing was begun after it")
        return Fit.of_training(outcome.record, outcome.network, outcome.selected_weights)

    def _known(self, record: RunRecord, material: Material) -> Fit:
        """Return the fit of a run that the store has; its model is read when it is asked for."""
        key = record.key

        def read_model() -> nn.Module:
            return self._model(key, "selected", lambda: material.splits.train)

        return Fit(record, was_known=True, _read_model=read_model)

    def _keep(
        self, outcome: Outcome, found: RunRecord | None, clean: LabelledSet, keep_weights: bool
    ) -> None:
        """Write what came of a run; a failure replaces no result, and leaves the checkpoint for another try."""
        record = outcome.record
        if record.status == "failed":
            if found is None or found.status == "failed":
                self.put(record)
            return
        description = {
            "key": record.key,
            "model": record.spec["model"],
            "input_shape": clean.input_shape,
            "num_classes": clean.num_classes,
        }
        for which, weights in (
            ("last", outcome.network.state_dict()),
            ("selected", outcome.selected_weights),
        ):
            path = self._weights(record.key, which)
            if keep_weights and weights and record.status == "done":
                save_weights(path, weights, {**description, "which": which})
            else:
                path.unlink(missing_ok=True)
        self.put(record)
        self._weights(record.key, "checkpoint").unlink(missing_ok=True)

    def load_model(
        self, key: str, which: Which = "selected", *, clean: LabelledSet | None = None
    ) -> nn.Module:
        """Return the trained model of run `key`; see `load_model`."""
        return self._model(key, which, None if clean is None else lambda: clean)

    def _model(
        self, key: str, which: Which, find_clean: Callable[[], LabelledSet] | None
    ) -> nn.Module:
        """Return the trained model of run `key`; `find_clean` gives the data, for weights of before."""
        record = self.get(key)
        if record is None:
            raise StoreError(f"store {self.folder} has no run {key}")
        if which == "selected" and record.selected_step is None:
            which = "last"
        path = self._weights(key, which)
        if not path.exists():
            raise StoreError(
                f"store {self.folder} has no {which} weights of run {key}"
                + (f", which {record.status}" if record.status != "done" else "")
                + "; run it again with --force (force=True), and keep the weights"
            )
        tensors, description = load_weights(path)
        if "input_shape" in description:
            shape, num_classes = tuple(description["input_shape"]), description["num_classes"]
        elif find_clean is not None:
            clean = find_clean()
            shape, num_classes = clean.input_shape, clean.num_classes
        else:
            raise StoreError(
                f"weights {path} do not say for which inputs they are, as an older version wrote them; "
                "give the training set, too (clean=…)"
            )
        network = build_network(record.spec["model"], shape, num_classes)
        model = Scaled(network, tensors["mean"].numpy(), tensors["deviation"].numpy())
        put_weights(model, tensors)
        return model.eval()

    def _weights(self, key: str, which: str) -> Path:
        return self.folder / f"{key}.{which}.safetensors"


def load_model(
    store: Store | Path | str,
    key: str,
    which: Which = "selected",
    *,
    clean: LabelledSet | None = None,
) -> nn.Module:
    """Return a trained model, in evaluation mode: raw inputs `[B, …]` to logits `[B, K]`.

    Arguments:
        store: the store that has the run, or its folder.
        key: the run's key, as in its record.
        which: `"selected"` (the last ones where nothing selected) or `"last"` weights.
        clean: the run's training set, for weights that an older version wrote.

    Errors: `StoreError` if the store has no such run or no such weights; `ModelError` for a network that
        was given as an object.
    """
    store = store if isinstance(store, Store) else Store(store)
    return store.load_model(key, which, clean=clean)


def _answers(record: RunRecord, has_test: bool) -> bool:
    """Return whether a run with this record need not be done again."""
    lacks_test = has_test and record.num_test is None
    return record.status != "failed" and not lacks_test


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
