"""A folder of run records: a run that is there is not run again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dilute.data import LabelledSet, Splits
from dilute.dilution import ImageSource, NoisySet
from dilute.errors import StoreError
from dilute.files import check_writable, write_file
from dilute.interruption import stop_requests
from dilute.runs import Execution, Outcome, RunRecord, RunSpec, run_one, scaled_model
from dilute.training import Interrupted, Scaled, load_weights, save_weights
from dilute.training.checkpoints import put_weights


class Store:
    """Records of runs in one folder, a JSON file each, named by key; present means finished.

    Files are written under a temporary name and renamed, so that no lock is needed and stores merge
    by copying. Beside `KEY.json` there may be `KEY.last.safetensors` and `KEY.selected.safetensors`
    (weights) and, while a run is unfinished, `KEY.checkpoint.safetensors`.

    Arguments:
        folder: created, if missing, when the first file is written.

    Errors: `StoreError` if it cannot be written to.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = check_writable(Path(folder))

    def get(self, key: str) -> RunRecord | None:
        """Return the record of `key`, or None.

        Errors: `StoreError` if there is one that cannot be read.
        """
        path = self.folder / f"{key}.json"
        try:
            return RunRecord.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            reason = str(error).splitlines()[0]
            raise StoreError(
                f"record {path} cannot be read ({reason}); delete it to run again"
            ) from None

    def put(self, record: RunRecord) -> None:
        """Write a record, in place of the one with the same key if there is one."""
        text = record.model_dump_json(indent=1)
        write_file(self.folder / f"{record.key}.json", text.encode() + b"\n")

    def records(self) -> Iterator[RunRecord]:
        """Yield all records, by key."""
        for path in sorted(self.folder.glob("[!.]*.json")):
            record = self.get(path.stem)
            assert record is not None, path
            yield record

    def table(self) -> Any:
        """Return a pandas data frame: a row per record, a column per field, those of the spec as `spec.name`."""
        import pandas as pd

        rows = [record.model_dump(mode="json", exclude={"curve"}) for record in self.records()]
        return pd.json_normalize(rows)

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

        A run that is there as `failed` is run again, as is one that had no test set if there is one
        now. Ctrl-C and SIGTERM write a checkpoint first.

        Errors: those of `run_one`; `StoreError` if something cannot be written.
        """
        key = spec.key()
        found = self.get(key)
        has_test = splits is not None and splits.test is not None
        if found is not None and not force and found.status != "failed":
            lacks_test = has_test and found.num_test is None
            if not lacks_test:
                return found, True
        checkpoint = self._weights(key, "checkpoint")
        if force:
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
