"""Records on disk: formats, and the table with its cache.

The records are made up, so that all is quick.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from made_records import made_up
from pandas.testing import assert_frame_equal

from dilute.errors import StoreError
from dilute.runs import RECORD_FORMAT, RunRecord, RunSpec, Store
from dilute.runs.table import read_cache

CACHE = ".table.parquet"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    kept = Store(tmp_path / "runs")
    for seed in range(7):
        kept.put(made_up(seed))
    return kept


def path_of(store: Store, seed: int) -> Path:
    return store.folder / f"{made_up(seed).key}.json"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read as records."""
    names: list[str] = []
    from dilute.runs import record_files, store

    def counted(path: Path) -> RunRecord | None:
        names.append(path.name)
        return record_files.read_record(path)

    monkeypatch.setattr(store, "read_record", counted)
    return names


def test_a_record_is_read_as_it_was_written(store: Store):
    assert store.get(made_up(1).key) == made_up(1)
    text = path_of(store, 1).read_text()
    assert "[1,1]" in text, "a row of numbers is one line"
    document = json.loads(text)
    assert document["format"] == RECORD_FORMAT == 1


def test_brackets_in_a_message_are_left_alone(store: Store):
    message = "list index [\n 1,\n 2] out of range [1, 2]"
    store.put(made_up(1, message=message))
    assert store.get(made_up(1).key).message == message


def test_a_record_without_a_format_is_of_format_1(store: Store):
    path = path_of(store, 1)
    document = json.loads(path.read_text())
    del document["format"], document["heldout_confusion"]
    path.write_text(json.dumps(document))
    assert store.get(made_up(1).key) == made_up(1, heldout_confusion=None)


@pytest.mark.parametrize("status", ["done", "diverged", "failed"])
def test_a_record_answers_if_it_was_tested_where_there_is_a_test_set(status: str):
    tested, untested = (made_up(1, status=status, num_test=number) for number in (100, None))
    ended = status != "failed"
    assert tested.answers(has_test=True) is tested.answers(has_test=False) is ended
    assert untested.answers(has_test=False) is ended
    assert untested.answers(has_test=True) is False


def test_a_newer_record_asks_for_an_update(store: Store):
    """Whatever else is in it."""
    path = path_of(store, 1)
    path.write_text('{"format": 2, "results": {}}')
    with pytest.raises(
        StoreError,
        match=rf"^record .*{path.name} has format 2, but this version of dilute "
        r"reads formats up to 1; update dilute$",
    ):
        store.get(path.stem)
    with pytest.raises(StoreError, match="update dilute"):
        store.run(RunSpec(**made_up(1).spec))
    assert path.read_text() == '{"format": 2, "results": {}}'


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "Invalid JSON"),
        (b"\xff\x00", "Invalid JSON"),
        (b"[]", "object"),
        (b'{"format": "new"}', "format: "),
        (b'{"format": 0}', "format: "),
        (b'{"status": "done"}', "key: Field required"),
    ],
)
def test_garbage_is_named(store: Store, content: bytes, says: str):
    path = path_of(store, 1)
    path.write_bytes(content)
    with pytest.raises(StoreError) as caught:
        store.get(path.stem)
    line = str(caught.value)
    assert says in line
    assert line.startswith(f"record {path} cannot be read (")
    assert line.endswith("); delete it to run again")
    assert "\n" not in line


def test_the_tables_values_and_columns(store: Store):
    table = store.table().set_index("spec.seed").sort_index()
    assert list(table.index) == list(range(7))
    assert list(table["spec.alpha"]) == list(range(7))
    assert list(table["spec.copies"]) == [3, "all", 3, "all", 3, "all", 3]
    assert list(table["accuracy.last"]) == [0.1 + seed / 100 for seed in range(7)]
    assert list(table["accuracy.selected"].isna()) == [False, True] * 3 + [False]
    assert list(table["hardware.threads"]) == list(range(7))
    assert table["spec.noise.class_order"].dropna().iloc[0] == [1, 0]
    assert not {"curve", "heldout_confusion"} & {name.partition(".")[0] for name in table}
    assert table.attrs["unreadable"] == []


def test_columns_are_in_a_stable_order(store: Store):
    names = list(store.table())
    assert names[:4] == ["format", "key", "status", "message"]
    assert names[4:7] == ["spec.method", "spec.method_options", "spec.copies"]
    assert names.index("spec.noise.pattern") < names.index("spec.seed") < names.index("steps")
    assert names.index("spec.seed") < names.index("spec.noise.class_order")
    for seed in (0, 1, 2, 4, 5):
        path_of(store, seed).unlink()
    fewer = list(store.table())
    assert fewer == [name for name in names if name in fewer]
    empty = Store(store.folder / "none").table()
    assert len(empty) == 0
    assert {"spec.alpha", "accuracy.top5_last", "num_test"} <= set(empty)
    assert list(empty) == [name for name in names if name in set(empty)]


def test_an_empty_store_stays_absent(tmp_path: Path):
    store = Store(tmp_path / "none")
    assert (len(store.table()), list(store.records())) == (0, [])
    assert not (tmp_path / "none").exists()


def test_the_cached_table_is_the_same_and_reads_nothing(store: Store, reads: list[str]):
    cold = store.table()
    assert sorted(reads) == sorted(path.name for path in store.folder.glob("*.json"))
    reads.clear()
    warm = Store(store.folder).table()
    assert reads == []
    assert_frame_equal(cold, warm, check_exact=True)
    (store.folder / CACHE).unlink()
    assert_frame_equal(store.table(), warm, check_exact=True)


def test_new_changed_and_deleted_records_are_noticed(store: Store, reads: list[str]):
    store.table()
    reads.clear()
    store.put(made_up(7))
    store.put(made_up(2, status="failed"))  # of the same size but for the word
    path_of(store, 3).unlink()
    table = store.table().set_index("spec.seed")
    assert sorted(table.index) == [0, 1, 2, 4, 5, 6, 7]
    assert table["status"][2] == "failed"
    assert sorted(reads) == sorted(path_of(store, seed).name for seed in (2, 7))


def test_a_record_put_in_place_within_a_tick_is_noticed(store: Store):
    """Same size, same time of change: only the inode tells."""
    store.table()
    path = path_of(store, 2)
    before = path.stat()
    store.put(made_up(2, seconds=2.5))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert store.table().set_index("spec.seed")["seconds"][2] == 2.5


def test_unreadable_records_are_named_and_block_nothing(store: Store, caplog):
    store.table()
    for seed, content in (
        (1, '{"format": 9}'),
        (2, "garbage"),
        (3, path_of(store, 3).read_text()[:80]),
    ):
        path_of(store, seed).write_text(content)
    (store.folder / "folder.json").mkdir()
    named = {path_of(store, seed).name for seed in (1, 2, 3)} | {"folder.json"}
    for _ in range(2):
        table = store.table()
        assert sorted(table["spec.seed"]) == [0, 4, 5, 6]
        lines = table.attrs["unreadable"]
        assert len(lines) == 4
        assert {Path(line.split()[1]).name for line in lines} == named
    assert sorted(record.spec["seed"] for record in store.records()) == [0, 4, 5, 6]
    assert sorted(caplog.messages) == sorted(lines), "each is said once"
    path_of(store, 2).unlink()
    store.put(made_up(3))
    assert sorted(store.table()["spec.seed"]) == [0, 3, 4, 5, 6]


def other_code(path: Path) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    rows = [row.replace("digits", "wrong!") for row in table["row"].to_pylist()]
    changed = pd.DataFrame({"name": table["name"], "state": table["state"], "row": rows})
    changed.to_parquet(path)


def bits_flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not Parquet at all, but long enough to look at"),
        lambda path: path.write_bytes(path.read_bytes()[:-40]),
        lambda path: pd.DataFrame({"other": [1]}).to_parquet(path),
        bits_flipped,
        other_code,
    ],
)
def test_a_cache_that_is_not_ours_is_ignored_and_rewritten(
    store: Store, spoil: Callable[[Path], object]
):
    good = store.table()
    path = store.folder / CACHE
    assert len(read_cache(path)) == 7
    spoil(path)
    assert_frame_equal(store.table(), good, check_exact=True)
    assert len(read_cache(path)) == 7


def test_a_cache_of_other_code_is_read_anew(
    store: Store, reads: list[str], monkeypatch: pytest.MonkeyPatch
):
    store.table()
    reads.clear()
    monkeypatch.setattr("dilute.runs.table.cache_version", lambda: "other")
    store.table()
    assert len(reads) == 7


def test_a_store_that_cannot_be_written_to_answers(store: Store, monkeypatch: pytest.MonkeyPatch):
    def refuse(path: Path, content: object) -> None:
        raise StoreError(f"cannot write {path}")

    monkeypatch.setattr("dilute.runs.table.write_file", refuse)
    monkeypatch.setattr(os, "access", lambda *_: False)
    answering = Store(store.folder)
    assert sorted(answering.table()["spec.seed"]) == list(range(7))
    assert not (store.folder / CACHE).exists()
    fit = answering.run(RunSpec(**made_up(1).spec))
    assert (fit.record, fit.was_known) == (made_up(1), True)
    with pytest.raises(StoreError, match="permission denied; choose another folder"):
        answering.run(RunSpec(**made_up(99).spec))


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the system refuses root nothing"
)
def test_a_folder_without_permission_answers(store: Store):
    store.folder.chmod(0o500)
    try:
        assert sorted(Store(store.folder).table()["spec.seed"]) == list(range(7))
        assert not (store.folder / CACHE).exists()
    finally:
        store.folder.chmod(0o700)
