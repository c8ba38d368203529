from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from small_files import write_idx

from dilute import data
from dilute.data import Reading, download, idx
from dilute.errors import DataError


class Server:
    """A home on this machine: what it serves, and of which files it sends half only."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut_off: set[str] = set()
        self.requests: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.strip("/")
                server.requests.append(name)
                if name not in server.files:
                    self.send_error(404)
                    return
                content = server.files[name]
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(
                    content[: len(content) // 2] if name in server.cut_off else content
                )

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def mnist(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server with four small files in MNIST's place, which the package takes for the real."""
    folder = write_idx(tmp_path / "source", {"train": 30, "t10k": 6}, zipped=True)
    server.files = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(
        idx,
        "MNIST_MD5",
        {
            name.removesuffix(".gz"): hashlib.md5(gzip.decompress(content)).hexdigest()
            for name, content in sorted(server.files.items(), reverse=True)
        },
    )
    serve(monkeypatch, "mnist", server.url, server.files)
    return server


def serve(monkeypatch: pytest.MonkeyPatch, name: str, url: str, files: dict[str, bytes]) -> None:
    known = tuple((file, hashlib.md5(content).hexdigest()) for file, content in files.items())
    real = download.HOMES[name]
    home = download.Home((url,), known, real.place, real.is_archive)
    monkeypatch.setitem(download.HOMES, name, home)


def leftovers(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_what_is_absent_is_fetched_once(mnist: Server, tmp_path: Path, capfd) -> None:
    folder = tmp_path / "new" / "data"
    with pytest.raises(DataError):  # only digits 0 to 2 in these small files
        data.load("mnist", Reading(folder))
    assert sorted(mnist.requests) == sorted(mnist.files)
    assert leftovers(folder) == sorted(f"MNIST/raw/{name}" for name in mnist.files)
    assert not list(folder.glob(".*"))
    mnist.requests.clear()
    with pytest.raises(DataError, match="no training example"):
        data.load("mnist", Reading(folder))
    assert mnist.requests == []
    assert capfd.readouterr().err == ""


def test_cut_off(mnist: Server, tmp_path: Path) -> None:
    mnist.cut_off = {"t10k-images-idx3-ubyte.gz"}
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte.gz was cut off") as caught:
        data.load("mnist", Reading(tmp_path / "data"))
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "data" / "MNIST" / "raw") in str(caught.value)
    assert not (tmp_path / "data").exists()


def test_wrong_checksum(mnist: Server, tmp_path: Path) -> None:
    mnist.files["train-labels-idx1-ubyte.gz"] += b"x"
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte.gz has another checksum than"):
        data.fetch("mnist", Reading(tmp_path))
    assert not (tmp_path / "MNIST").exists()
    assert leftovers(tmp_path / "source") == sorted(mnist.files)


def test_not_found_and_refused(mnist: Server, tmp_path: Path, monkeypatch) -> None:
    files = dict(mnist.files)
    mnist.files.clear()
    with pytest.raises(DataError, match="gz answers 404; set DILUTE_DATA"):
        data.load("mnist", Reading(tmp_path / "data"))
    serve(monkeypatch, "mnist", "http://127.0.0.1:9/", files)
    with pytest.raises(DataError, match=r"127.0.0.1:9/.* cannot be reached") as caught:
        data.load("mnist", Reading(tmp_path / "data"))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "data").exists()


def test_the_second_home_stands_in_for_the_first(
    mnist: Server, tmp_path: Path, monkeypatch
) -> None:
    home = download.HOMES["mnist"]
    urls = ("http://127.0.0.1:9/", mnist.url)
    monkeypatch.setitem(
        download.HOMES, "mnist", download.Home(urls, home.files, home.place, home.is_archive)
    )
    download.download("mnist", tmp_path / "data")
    assert len(leftovers(tmp_path / "data")) == 4


def archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as opened:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            opened.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize("incomplete", [False, True])
def test_archives_are_unpacked_and_placed(
    server: Server, tmp_path: Path, monkeypatch, incomplete
) -> None:
    content = archive(
        {"cifar-10-batches-py/data_batch_1": b"one", "cifar-10-batches-py/readme": b""}
    )
    server.files = {"cifar.tar.gz": content}
    serve(monkeypatch, "cifar10", server.url, server.files)
    folder = tmp_path / "data"
    if incomplete:
        (folder / "cifar-10-batches-py").mkdir(parents=True)
        (folder / "cifar-10-batches-py" / "old").write_bytes(b"")
    assert download.download("cifar10", folder) == folder / "cifar-10-batches-py"
    assert leftovers(folder) == ["cifar-10-batches-py/data_batch_1", "cifar-10-batches-py/readme"]
    with pytest.raises(DataError, match="incomplete or corrupt"):
        data.load("cifar10", Reading(folder))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (archive({"../outside": b"x"}), "cannot be unpacked"),
        (archive({"other/file": b"x"}), "does not hold the folder"),
        (b"no archive", "cannot be unpacked"),
    ],
)
def test_archives_that_cannot_be_trusted(
    server: Server, tmp_path: Path, monkeypatch, content, message
) -> None:
    server.files = {"cifar.tar.gz": content}
    serve(monkeypatch, "cifar10", server.url, server.files)
    with pytest.raises(DataError, match=message):
        data.load("cifar10", Reading(tmp_path / "data"))
    assert leftovers(tmp_path) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("DILUTE_DATA", str(tmp_path / "file" / "data"))
    with pytest.raises(DataError, match=r"cifar100 is not in .* cannot be put there: .* is a file"):
        data.load("cifar100")
