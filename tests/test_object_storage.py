"""A store in object storage, by an address: in memory, and on a local server that speaks S3."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from moto.server import ThreadedMotoServer

from dilute.data import Splits
from dilute.errors import StoreError
from dilute.figures import save
from dilute.files import as_path, is_local, read_file, write_file
from dilute.interruption import Interrupted
from dilute.runs import Execution, Material, RunSpec, Store
from dilute.sweeps import run_sweep

SPEC = RunSpec(data="digits", model="perceptron", batch_size=32, budget_steps=20, curve_points=2)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The address of a server that speaks S3."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a new bucket on that server, which all processes of the test find."""
    import s3fs

    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    name = f"bucket-{uuid.uuid4().hex}"
    s3fs.S3FileSystem(use_listings_cache=False).mkdir(name)
    return f"s3://{name}"


@pytest.fixture(params=["memory", "s3"])
def address(request: pytest.FixtureRequest) -> str:
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}/runs"
    return f"{request.getfixturevalue('bucket')}/runs"


@pytest.fixture
def in_memory() -> str:
    return f"memory://{uuid.uuid4().hex}/runs"


def names(store: Store) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir())


@pytest.mark.numerical
def test_it_is_a_store_like_any_other(address: str, tmp_path: Path, digits: Splits):
    there, here = Store(address), Store(tmp_path)
    assert there.keys() == set()
    assert there.get(SPEC.key()) is None
    assert len(there.table()) == 0
    fit = there.run(Material.of(SPEC, splits=digits))
    record = fit.record
    assert not fit.was_known
    assert there.run(Material.of(SPEC, splits=digits)).was_known
    own = here.run(Material.of(SPEC, splits=digits)).record
    assert record.accuracy == own.accuracy
    assert there.keys() == {SPEC.key()}
    for which in ("last", "selected"):
        name = f"{SPEC.key()}.{which}.safetensors"
        assert (there.folder / name).read_bytes() == (tmp_path / name).read_bytes()
    assert [found.key for found in Store(address).records()] == [SPEC.key()]
    table = there.table()
    assert list(table["key"]) == [SPEC.key()]
    assert names(there) == [".table.parquet", *sorted(path.name for path in tmp_path.iterdir())]
    model = there.load_model(SPEC.key())
    assert not model.training


def test_the_table_follows_what_others_write(address: str, digits: Splits):
    store = Store(address)
    record = store.run(Material.of(SPEC, splits=digits)).record
    assert list(store.table()["seconds"]) == [record.seconds]
    Store(address).put(record.model_copy(update={"seconds": 7.0}))
    assert list(store.table()["seconds"]) == [7.0]
    other = SPEC.model_copy(update={"seed": 1})
    Store(address).run(Material.of(other, splits=digits))
    assert set(store.table()["key"]) == {SPEC.key(), other.key()}
    (store.folder / f"{other.key()}.json").write_bytes(b"{")
    assert store.table().attrs["unreadable"]


def test_a_packed_store_is_read_there(address: str):
    store = Store(address)
    assert store.pack() == 0
    record = store.run(SPEC).record
    other = record.model_copy(update={"key": "other", "seconds": 3.0})
    store.put(other)
    reader = Store(address)
    assert store.pack() == 2
    assert [name for name in names(store) if name.endswith((".json", ".jsonl"))] == [
        "records.jsonl"
    ]
    for one in (store, reader, Store(address)):
        assert [one.get(record.key), one.get("other")] == [record, other]
        assert one.keys() == {record.key, "other"}
        assert len(one.table()) == 2
    store.put(other.model_copy(update={"seconds": 4.0}))
    assert sorted(reader.table()["seconds"]) == sorted([record.seconds, 4.0])
    store.pack()
    assert reader.get("other").seconds == 4.0
    store.delete("other")
    assert Store(address).keys() == reader.keys() == {record.key}
    (store.folder / "records.jsonl").write_bytes(b"{}")
    with pytest.raises(StoreError, match=r"^pack \S+records.jsonl is damaged"):
        reader.get(record.key)


@pytest.mark.numerical
def test_an_interrupted_run_goes_on_from_its_checkpoint(
    address: str, tmp_path: Path, digits: Splits
):
    store = Store(address)

    def stop(step: int, num_steps: int, trained: object) -> None:
        if step == 7:
            os.kill(os.getpid(), 15)

    with pytest.raises(Interrupted):
        store.run(Material.of(SPEC, splits=digits), Execution(on_step=stop))
    assert names(store) == [f"{SPEC.key()}.checkpoint.safetensors"]
    steps = []
    record = (
        Store(address)
        .run(
            Material.of(SPEC, splits=digits),
            Execution(on_step=lambda step, *_: steps.append(step)),
        )
        .record
    )
    assert steps[0] == 8
    Store(tmp_path).run(Material.of(SPEC, splits=digits))
    name = f"{SPEC.key()}.last.safetensors"
    assert (store.folder / name).read_bytes() == (tmp_path / name).read_bytes()
    assert not [name for name in names(store) if "checkpoint" in name]
    assert record.status == "done"


def test_what_the_storage_refuses_is_one_line(in_memory: str, digits: Splits, monkeypatch):
    store = Store(in_memory)
    storage = type(store.folder.fs)

    def refuse(*arguments: object, **options: object) -> None:
        raise RuntimeError("the bucket\nis not yours")

    monkeypatch.setattr(storage, "pipe_file", refuse)
    with pytest.raises(
        StoreError, match=r"^cannot write memory://\S+: RuntimeError: the bucket is"
    ):
        store.run(Material.of(SPEC, splits=digits))
    monkeypatch.setattr(storage, "ls", refuse)
    with pytest.raises(StoreError, match=r"^cannot read memory://\S+: RuntimeError: the bucket is"):
        store.keys()
    monkeypatch.setattr(storage, "cat_file", refuse)
    with pytest.raises(StoreError, match=r"^cannot read memory://\S+: RuntimeError: the bucket is"):
        store.get(SPEC.key())


@pytest.mark.numerical
def test_a_sweep_by_processes_fills_it(bucket: str, tmp_path: Path):
    specs = [SPEC.model_copy(update={"seed": seed}) for seed in range(4)]
    there, here = Store(f"{bucket}/runs"), Store(tmp_path)
    assert run_sweep(specs, there, workers=2, threads=1).done == 4
    assert run_sweep(specs, here, workers=2, threads=1).done == 4
    assert names(there) == sorted(path.name for path in tmp_path.iterdir())
    for path in tmp_path.glob("*.safetensors"):
        assert (there.folder / path.name).read_bytes() == path.read_bytes()
    assert run_sweep(specs, there, workers=2).known == 4


def test_a_bucket_that_is_not_there_is_one_line(bucket: str, digits: Splits):
    store = Store(f"{bucket}-other/runs")
    with pytest.raises(
        StoreError, match=r"^cannot write s3://\S+: .*bucket does not exist"
    ) as caught:
        store.run(Material.of(SPEC, splits=digits))
    assert "\n" not in str(caught.value)


def test_an_address_as_text_is_written_to():
    write_file("memory://texts/a.txt", b"one")
    assert read_file(as_path("memory://texts/a.txt")) == b"one"
    figure = Figure()
    save(figure, "memory://texts/a.svg")
    assert read_file(as_path("memory://texts/a.svg")).startswith(b"<?xml")


def test_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert as_path(f"file://{tmp_path}/runs") == tmp_path / "runs"
    assert is_local(as_path("runs"))
    assert not is_local(as_path("memory://runs"))
    with pytest.raises(StoreError, match=r"^sftp://host/runs: sftp is no object storage in which"):
        Store("sftp://host/runs")
    import upath

    def without_library(*arguments: object, **options: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(upath, "UPath", without_library)
    with pytest.raises(StoreError, match=r"^s3://bucket/runs: Install s3fs to access S3"):
        Store("s3://bucket/runs")
