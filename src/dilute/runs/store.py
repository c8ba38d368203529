"""A folder of run records: a run that is there is not run again."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dilute.data import LabelledSet
from dilute.errors import StoreError
from dilute.files import as_path, check_folder, check_writable, remove_file
from dilute.interruption import Interrupted, stop_requests
from dilute.runs.locks import claimed
from dilute.runs.material import Material
from dilute.runs.pack import Pack, packed_state
from dilute.runs.record import RunRecord
from dilute.runs.record_files import (
    file_states,
    parse_record,
    read_record,
    record_names,
    write_record,
)
from dilute.runs.result import Fit, TrainedNetwork
from dilute.runs.running import Execution, train_material
from dilute.runs.spec import RunSpec
from dilute.runs.table import Row, frame, read_cache, row_of, write_cache
from dilute.runs.weights import Which, read_model, weights_path, write_weights

_log = logging.getLogger(__name__)


class Store:
    """Records of runs in one folder, a JSON file each or packed, by key; present means finished.

    Files are written under a temporary name and renamed, so that no lock is needed and stores merge
    by copying. Beside `KEY.json` there may be `KEY.last.safetensors` and `KEY.selected.safetensors`
    (weights) and, while a run is unfinished, `KEY.checkpoint.safetensors`. The hidden
    `.table.parquet` makes `table` fast and can be deleted at any time.

    `pack` puts all records into one file, `records.jsonl`. A record that is in it and also has a
    file of its own is read from the latter.

    Arguments:
        folder: created, if missing, when the first file is written; one that cannot be written to
            can be read.

    Errors: `StoreError` if a file is in the way of the folder. Whatever reads records raises one
        for a pack that is damaged, or that a newer version has written.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = check_folder(as_path(folder))
        self._pack = Pack(self.folder)
        self._reported: set[str] = set()

    def get(self, key: str) -> RunRecord | None:
        """Return the record of `key`, or None.

        Errors: `StoreError` if it cannot be read, or if a newer version has written it.
        """
        # First its file: what is packed meanwhile is in the pack before its file goes.
        record = read_record(self._record(key))
        if record is None and (line := self._pack.lines().get(key)) is not None:
            return parse_record(line, f"{key} in {self._pack.path}")
        return record

    def put(self, record: RunRecord) -> None:
        """Write a record, in place of the one with the same key if there is one."""
        write_record(self._record(record.key), record)

    def delete(self, key: str) -> None:
        """Delete the record of `key`, if there is one; its weights stay.

        Errors: `StoreError` if the store cannot be written to or another process is packing it.
        """
        if key in self._pack.lines():
            self._pack.remove(key)
        remove_file(self._record(key))  # last, or the packed one would answer again

    def keys(self) -> set[str]:
        """Return the keys of all records, which are not read."""
        loose = {name.removesuffix(".json") for name in record_names(self.folder)}
        return loose | self._pack.lines().keys()

    def pack(self) -> int:
        """Put all records into the one file `records.jsonl`, and return how many it has.

        The same records give the same bytes. A record's file is removed once the pack is written
        and has been read back, and only if it is still the file that was packed; so nothing is lost
        if the process is killed. Weights and checkpoints stay as they are. On a file system without
        locks, and in object storage, pack a store from one process at a time.

        Errors: `StoreError` for a record that cannot be read, and then nothing is changed; or if
            the store cannot be written to or another process is packing it.
        """
        return self._pack.take_in(record_names(self.folder))

    def _record(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def claim(self, key: str) -> AbstractContextManager[bool]:
        """Say, in a `with` block, whether run `key` is ours: not if another process has claimed it.

        A claim only saves work: a record is written whole, and two runs of one spec give the same.

        Errors: those of `claimed`.
        """
        return claimed(self.folder, key)

    def records(self) -> Iterator[RunRecord]:
        """Yield all records, by key.

        Those that cannot be read are left out: each of them is logged as a warning.
        """
        for key in sorted(self.keys()):
            record = self._readable(key, [])
            if record is not None:
                yield record

    def table(self) -> Any:
        """Return a pandas data frame: a row per record, by key, and a column per field.

        Nested fields are columns as `spec.alpha`; `curve` and `heldout_confusion` are left out. The
        columns are in the order of `RunRecord`'s and `RunSpec`'s fields, which are always there.
        Records that cannot be read have no row: `attrs["unreadable"]` is a list of lines that say
        which and why, each logged as a warning, too.

        Only records that are new or changed since the last time are read; the others come from the
        hidden file `.table.parquet`, which is written anew where the folder allows it.
        """
        cache = self.folder / ".table.parquet"
        cached = read_cache(cache)
        rows: dict[str, Row] = {}
        unreadable: list[str] = []
        loose = file_states(self.folder)
        packed = {f"{key}.json": packed_state(line) for key, line in self._pack.lines().items()}
        for name, state in sorted((packed | loose).items()):
            if name in cached and cached[name].state == state:
                rows[name] = cached[name]
            elif (record := self._readable(name.removesuffix(".json"), unreadable)) is not None:
                rows[name] = Row(state, row_of(record))
        if rows != cached:
            with suppress(StoreError):  # a store that can only be read is read each time
                write_cache(cache, rows)
        table = frame(row.row for row in rows.values())
        table.attrs["unreadable"] = unreadable
        return table

    def _readable(self, key: str, unreadable: list[str]) -> RunRecord | None:
        """Return the record of `key`, None if it is gone or cannot be read.

        Why it cannot be read is added to `unreadable`.
        """
        try:
            return self.get(key)
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
        """Return what came of a run: from the store if it has it, else by running it.

        A run that has a checkpoint goes on from it. Data are loaded only if the run has to be done,
        or if their own names (`folder@hash`) are not known without them.

        Arguments:
            run, execution: as for `run_one`.
            force: run even if the record is there, from the start.
            keep_weights: also write the weights of the last and the selected model.

        Of several ranks (`execution.world`), rank 0 alone reads and writes the folder. A run that
        is there as `failed` is run again, as is one that had no test set if there is one now, and
        one whose network was given as an object. Ctrl-C and SIGTERM write a checkpoint first.

        Errors: those of `run_one`; `StoreError` if something cannot be written.
        """
        material, world = run if isinstance(run, Material) else Material.of(run), execution.world
        # A key does not say all of a network that was given as an object.
        may_answer = material.network is None and not force
        named = material.spec_unread
        if may_answer and named is not None:
            found = world.from_first(lambda: self.get(named.key()))
            if found is not None and found.answers(material.may_have_test, material.test_hash):
                return self._known(found, material)
        if named is not None:  # before the data are read
            world.from_first(lambda: check_writable(self.folder))
        key = material.spec.key()
        found = world.from_first(lambda: self.get(key))
        has_test = material.splits.test is not None
        if may_answer and found is not None and found.answers(has_test, material.test_hash):
            return self._known(found, material)
        world.from_first(lambda: check_writable(self.folder))
        checkpoint = weights_path(self.folder, key, "checkpoint")
        if force and world.is_first:
            checkpoint.unlink(missing_ok=True)
        with stop_requests() as should_stop:
            trained = train_material(
                material, replace(execution, checkpoint=checkpoint, should_stop=should_stop)
            )
            if world.is_first:
                self._keep(trained, found, material.splits.train, keep_weights)
            if should_stop():
                raise Interrupted(f"run {key} was finished and kept; nothing was begun after it")
        return trained.fit()

    def _known(self, record: RunRecord, material: Material) -> Fit:
        """Return the fit of a run that the store has; its model is read when it is asked for."""
        if record.test_labels is not None and material.test_hash is not None:
            # Whether the test labels are declared clean changes no number.
            record = record.model_copy(update={"test_labels": material.test_labels})
        return Fit(
            record,
            was_known=True,
            _read_model=lambda: read_model(
                self.folder, record, "selected", lambda: material.splits.train
            ),
            _find_noisy=lambda: material.noisy,
        )

    def _keep(
        self,
        trained: TrainedNetwork,
        found: RunRecord | None,
        clean: LabelledSet,
        keep_weights: bool,
    ) -> None:
        """Write what came of a run; a failure replaces no result, and leaves the checkpoint."""
        record = trained.record
        if record.status == "failed":
            if found is None or found.status == "failed":
                self.put(record)
            return
        weights: dict[Which, Mapping[str, Tensor]] = {
            "last": trained.network.state_dict(),
            "selected": trained.selected_weights,
        }
        for which, tensors in weights.items():
            path = weights_path(self.folder, record.key, which)
            if keep_weights and tensors and record.status == "done":
                write_weights(path, record, which, tensors, clean)
            else:
                path.unlink(missing_ok=True)
        self.put(record)
        weights_path(self.folder, record.key, "checkpoint").unlink(missing_ok=True)

    def load_model(
        self, key: str, which: Which = "selected", *, clean: LabelledSet | None = None
    ) -> nn.Module:
        """Return a trained model, in evaluation mode: raw inputs `[B, …]` to logits `[B, K]`.

        Arguments:
            key: the run's key, as in its record.
            which: `"selected"` (the last ones where nothing selected) or `"last"` weights.
            clean: the run's training set, for weights that an older version wrote.

        Errors: `StoreError` if the store has no such run or no such weights; `ModelError` for a
            network that was given as an object.
        """
        record = self.get(key)
        if record is None:
            raise StoreError(f"store {self.folder} has no run {key}")
        return read_model(self.folder, record, which, None if clean is None else lambda: clean)
