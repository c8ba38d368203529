"""Stores packed into one file: read as before, written whole, damage found."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import assert_one_line
from made_records import made_up
from pandas.testing import assert_frame_equal

from dilute.errors import StoreError
from dilute.runs import RunRecord, RunSpec, Store, record_files
from dilute.runs import pack as packing
from dilute.runs import store as storing
from dilute.runs.pack import PACK, PACK_FORMAT, read_pack, write_pack

KEYS = [made_up(seed).key for seed in range(7)]


def filled(folder: Path, seeds: range | list[int] = range(7)) -> Store:
    store = Store(folder)
    for seed in seeds:
        store.put(made_up(seed))
    return store


@pytest.fixture
def packed(tmp_path: Path) -> Store:
    store = filled(tmp_path / "runs")
    assert store.pack() == 7
    return store


def names(store: Store) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir())


def test_a_packed_store_reads_as_before(tmp_path: Path):
    store = filled(tmp_path)
    texts = {key: (tmp_path / f"{key}.json").read_bytes() for key in KEYS}
    records, table = list(store.records()), store.table()
    (tmp_path / ".table.parquet").unlink()
    (tmp_path / f"{KEYS[0]}.last.safetensors").write_bytes(b"weights")
    assert store.pack() == 7
    assert names(store) == sorted([PACK, f"{KEYS[0]}.last.safetensors"])
    for reader in (store, Store(tmp_path)):
        assert list(reader.records()) == records
        assert reader.keys() == set(KEYS)
        assert [reader.get(key) for key in KEYS] == [made_up(seed) for seed in range(7)]
        assert reader.get("none") is None
        assert_frame_equal(reader.table(), table, check_exact=True)
    for key, line in read_pack(tmp_path / PACK).items():
        assert b"\n" not in line
        assert re.sub(rb"\s", b"", line) == re.sub(rb"\s", b"", texts[key])


def test_a_message_with_line_breaks_survives(tmp_path: Path):
    store, record = Store(tmp_path), made_up(1, message='a\n  b\r\n "c" {"key": "d"}')
    store.put(record)
    store.pack()
    assert store.get(record.key) == record


def test_the_same_records_give_the_same_bytes(packed: Store, tmp_path: Path):
    content = (packed.folder / PACK).read_bytes()
    assert packed.pack() == 7
    other = filled(tmp_path / "other", [6, 2, 0])
    other.pack()
    filled(tmp_path / "other", [5, 1, 3, 4])
    assert other.pack() == 7
    assert content == (packed.folder / PACK).read_bytes() == (other.folder / PACK).read_bytes()
    first, *lines = content.decode().splitlines()
    assert json.loads(first).keys() == {"format", "records", "sha256"}
    assert [json.loads(line)["key"] for line in lines] == sorted(KEYS)


def test_a_line_whose_key_is_not_first_is_found(tmp_path: Path):
    store = filled(tmp_path, [1])
    path = tmp_path / f"{KEYS[1]}.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(document.items()))))
    store.pack()
    assert Store(tmp_path).get(KEYS[1]) == made_up(1)


def test_a_record_with_a_file_of_its_own_wins(packed: Store):
    again = made_up(2, seconds=9.0)
    packed.put(again)
    for reader in (packed, Store(packed.folder)):
        assert reader.get(again.key) == again
        assert reader.keys() == set(KEYS)
        assert sorted(reader.table()["seconds"])[-2:] == [1.5, 9.0]
        assert [record.key for record in reader.records()] == sorted(KEYS)
    assert packed.pack() == 7
    assert Store(packed.folder).get(again.key) == again
    assert not list(packed.folder.glob("*.json"))


def test_deleted_records_are_gone(packed: Store):
    packed.put(made_up(2, seconds=9.0))
    for key in (KEYS[2], KEYS[3], "none"):
        packed.delete(key)
    for reader in (packed, Store(packed.folder)):
        assert reader.keys() == set(KEYS) - {KEYS[2], KEYS[3]}
        assert reader.get(KEYS[2]) is None
        assert len(reader.table()) == 5
    packed.put(made_up(8))
    packed.delete(made_up(8).key)
    assert len(packed.keys()) == 5


def test_what_others_pack_is_noticed(tmp_path: Path):
    reader, writer = filled(tmp_path), Store(tmp_path)
    assert reader.get(KEYS[1]) == made_up(1)
    writer.pack()
    assert reader.get(KEYS[1]) == made_up(1)
    writer.put(made_up(1, seconds=2.0))
    writer.put(made_up(9))
    writer.pack()
    assert reader.get(KEYS[1]).seconds == 2.0
    assert len(reader.keys()) == len(reader.table()) == 8
    (tmp_path / PACK).unlink()
    assert reader.keys() == set()
    assert reader.get(KEYS[1]) is None


def test_one_key_is_one_record_parsed(packed: Store, monkeypatch: pytest.MonkeyPatch):
    read, parsed = [], []

    def counted_read(path: Path) -> dict[str, bytes]:
        read.append(path)
        return read_pack(path)

    def counted_parse(text: bytes, name: str) -> RunRecord:
        parsed.append(name)
        return record_files.parse_record(text, name)

    monkeypatch.setattr(packing, "read_pack", counted_read)
    monkeypatch.setattr(storing, "parse_record", counted_parse)
    store = Store(packed.folder)
    for key in KEYS[:3]:
        store.get(key)
    store.keys()
    assert (len(read), len(parsed)) == (1, 3)
    store.table()
    assert (len(read), len(parsed)) == (1, 10)
    assert len(Store(packed.folder).table()) == 7
    assert len(parsed) == 10, "the rest comes from the table's cache"


def cut_in_a_line(content: bytes) -> bytes:
    return content[:-50]


def cut_between_lines(content: bytes) -> bytes:
    return content[: content.rindex(b"\n", 0, -1) + 1]


def flipped(content: bytes) -> bytes:
    return content.replace(b'"seconds": 1.5', b'"seconds": 1.6', 1)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (cut_in_a_line, "its records do not have the checksum that its first line gives"),
        (cut_between_lines, "its records do not have the checksum that its first line gives"),
        (flipped, "its records do not have the checksum that its first line gives"),
        (lambda content: b"", "its first line is not that of a pack"),
        (lambda content: content.partition(b"\n")[2], "its first line is not that of a pack"),
        (lambda content: b"\xff\x00", "its first line is not that of a pack"),
        (lambda content: content.replace(b":7,", b":8,", 1), "it has 7 of 8 records"),
    ],
)
def test_damage_is_found_and_named(packed: Store, damage: Callable[[bytes], bytes], says: str):
    path = packed.folder / PACK
    path.write_bytes(damage(path.read_bytes()))
    line = f"pack {path} is damaged ({says}); put a whole copy in its place"
    reader = Store(packed.folder)
    for ask in (
        lambda: reader.get(KEYS[0]),
        reader.keys,
        lambda: list(reader.records()),
        reader.table,
        lambda: filled(packed.folder, [8]).pack(),
    ):
        with pytest.raises(StoreError) as caught:
            ask()
        assert str(caught.value) == line
    assert reader.get(made_up(8).key) == made_up(8), "one with a file of its own is not touched"


def test_a_newer_pack_asks_for_an_update(packed: Store):
    path = packed.folder / PACK
    path.write_bytes(b'{"format":2,"columns":[]}\n')
    with pytest.raises(
        StoreError,
        match=rf"^pack {path} has format 2, but this version of dilute reads formats up to "
        rf"{PACK_FORMAT}; update dilute$",
    ):
        Store(packed.folder).keys()


def test_a_newer_record_in_a_pack_is_named(packed: Store):
    lines = read_pack(packed.folder / PACK)
    lines[KEYS[1]] = lines[KEYS[1]].replace(b'"format": 1', b'"format": 7')
    packing.write_pack(packed.folder / PACK, lines)
    with pytest.raises(StoreError, match=rf"^record {KEYS[1]} in .*{PACK} has format 7.*update"):
        packed.get(KEYS[1])
    assert len(packed.table().attrs["unreadable"]) == 1
    assert len(list(packed.records())) == 6


def test_a_record_that_cannot_be_read_stops_it(tmp_path: Path):
    store = filled(tmp_path)
    path = tmp_path / f"{KEYS[3]}.json"
    path.write_bytes(b"{}")
    with pytest.raises(StoreError, match=rf"^record {path} cannot be read"):
        store.pack()
    (tmp_path / f"{KEYS[2]}.json").rename(path)
    with pytest.raises(StoreError, match=rf"^record {path} is of run {KEYS[2]}, which is not"):
        store.pack()
    assert names(store) == sorted(f"{key}.json" for key in KEYS if key != KEYS[2])


def test_nothing_is_lost_or_doubled_where_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store = filled(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(packing, "write_file", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            store.pack()
    assert names(store) == sorted(f"{key}.json" for key in KEYS)
    removed = []

    def killed_at_the_third(path: Path) -> None:
        if len(removed) == 2:
            raise KeyboardInterrupt
        removed.append(path)
        path.unlink()

    with monkeypatch.context() as patch:
        patch.setattr(packing, "remove_file", killed_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            store.pack()
    assert len(list(tmp_path.glob("*.json"))) == 5
    assert [record.key for record in Store(tmp_path).records()] == sorted(KEYS)
    assert len(store.table()) == 7
    assert store.pack() == 7
    assert not list(tmp_path.glob("*.json"))


def test_a_record_written_while_packing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store, newer = filled(tmp_path), made_up(2, seconds=9.0)

    def write_meanwhile(path: Path, lines: dict[str, bytes]) -> None:
        write_pack(path, lines)
        Store(tmp_path).put(newer)
        Store(tmp_path).put(made_up(8))

    monkeypatch.setattr(packing, "write_pack", write_meanwhile)
    store.pack()
    left = {path.stem for path in tmp_path.glob("*.json")}
    assert left == {newer.key, made_up(8).key}
    assert store.get(newer.key) == newer
    assert len(store.keys()) == 8


def test_one_process_packs_at_a_time(packed: Store):
    packed.put(made_up(8))
    with (
        Store(packed.folder).claim("pack"),
        pytest.raises(StoreError, match=r"^another process is packing .*; wait until it is done$"),
    ):
        packed.pack()
    assert packed.pack() == 8


def test_an_empty_store_stays_absent(tmp_path: Path):
    assert Store(tmp_path / "none").pack() == 0
    assert not (tmp_path / "none").exists()


def test_runs_are_known_and_models_load(tmp_path: Path):
    spec = RunSpec(data="digits", model="perceptron", batch_size=32, budget_steps=3)
    Store(tmp_path).run(spec)
    Store(tmp_path).pack()
    fit = Store(tmp_path).run(spec)
    assert fit.was_known
    assert not fit.model.training
    assert not (tmp_path / f"{spec.key()}.json").exists()
    assert not Store(tmp_path).load_model(spec.key()).training


def test_the_commands(tmp_path: Path, command):
    filled(tmp_path / "runs")
    code, out, _ = command("store", "pack", tmp_path / "runs")
    assert (code, out) == (0, f"{tmp_path / 'runs'}: 7 records in records.jsonl\n")
    code, out, _ = command("store", "pack", tmp_path / "runs", "--json")
    assert json.loads(out) == {"store": str(tmp_path / "runs"), "records": 7}
    code, out, _ = command("store", "delete", tmp_path / "runs", *KEYS[:2])
    assert (code, out) == (0, f"{tmp_path / 'runs'}: deleted 2 of 7 records\n")
    assert Store(tmp_path / "runs").keys() == set(KEYS[2:])
    refused = command("store", "delete", tmp_path / "runs", KEYS[2], KEYS[0])
    assert_one_line(refused, f"has no record {KEYS[0]}; nothing was deleted")
    assert_one_line(command("store", "pack", tmp_path / "none"), "has no records to pack")
    assert not (tmp_path / "none").exists()
