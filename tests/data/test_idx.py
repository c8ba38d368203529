from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_files import idx_bytes, write_idx

from dilute import data
from dilute.data import Reading, idx, limits
from dilute.errors import DataError


@pytest.mark.parametrize("zipped", [False, True])
def test_folder_with_test_set(tmp_path: Path, zipped: bool) -> None:
    write_idx(tmp_path, {"train": 12, "t10k": 6}, zipped)
    splits = data.load(f"idx:{tmp_path}")
    assert splits.train.inputs.shape == (12, 1, 6, 5)
    assert splits.train.class_names == ("0", "1", "2")
    assert splits.test is not None
    assert len(splits.test) == 6
    expected = np.random.default_rng(12).integers(0, 256, (12, 6, 5))
    assert (splits.train.inputs[:, 0] == expected).all()
    assert splits.name.startswith("idx@")
    assert str(tmp_path) not in splits.name


def test_the_name_tells_content_and_not_place(tmp_path: Path) -> None:
    names = {
        data.load(f"idx:{write_idx(tmp_path / place, {'train': size}, zipped)}").name
        for place, size, zipped in (("a", 12, False), ("b", 12, True), ("c", 15, False))
    }
    assert len(names) == 2


def test_without_test_files_a_fifth_becomes_the_test_set(tmp_path: Path) -> None:
    splits = data.load(f"idx:{write_idx(tmp_path, {'train': 30})}")
    assert splits.test is not None
    assert (len(splits.train), len(splits.test)) == (24, 6)


IMAGES = np.zeros((3, 2, 2), np.uint8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with nothing"),
        (b"\x00\x00\x08\x01" + bytes(20), "begins with 00000801; .* begins with 00000803"),
        (idx_bytes(IMAGES)[:9], "cut off: it ends within its header"),
        (idx_bytes(IMAGES)[:-1], "cut off: shape \\(3, 2, 2\\) means 12 bytes, it has 11"),
        (idx_bytes(IMAGES) + b"x", "trailing bytes"),
        (idx_bytes(IMAGES[:0]), "at least one example"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_malformed_files(tmp_path: Path, content: bytes, message: str, zipped: bool) -> None:
    path = tmp_path / ("images.gz" if zipped else "images")
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(DataError, match=message) as caught:
        idx.read_idx(path, 3)
    assert str(path) in str(caught.value)


def test_broken_gzip(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    content = gzip.compress(idx_bytes(np.arange(75, dtype=np.uint8).reshape(3, 5, 5)))
    wrong_sum = content[:-8] + bytes(4) + content[-4:]
    for broken in (b"no gzip", content[:-20], content[:12], wrong_sum):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=r"cannot read|cut off"):
            idx.read_idx(path, 3)


def test_gzip_bombs_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "images.gz"
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", 100_000, 28, 28)
    path.write_bytes(gzip.compress(header + bytes(10_000)))
    with pytest.raises(DataError, match="decompression bomb"):
        idx.read_idx(path, 3)
    path.write_bytes(
        gzip.compress(bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**31, 2**15, 2**15) + bytes(99))
    )
    with pytest.raises(DataError, match="of memory are free"):
        idx.read_idx(path, 3)
    # More than declared: one byte too many is enough to know.
    path.write_bytes(gzip.compress(idx_bytes(IMAGES) + bytes(50_000_000)))
    with pytest.raises(DataError, match="trailing bytes"):
        idx.read_idx(path, 3)
    limits.check_size("small files may be anything", 2**20, 10)


def test_mismatched_or_missing_files(tmp_path: Path) -> None:
    write_idx(tmp_path, {"train": 12, "t10k": 6})
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.arange(11) % 3))
    with pytest.raises(DataError, match=r"12 images but .* has 11 labels"):
        data.load(f"idx:{tmp_path}")
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="has no t10k-labels-idx1-ubyte"):
        data.load(f"idx:{tmp_path}")
    with pytest.raises(DataError, match="has no train-images"):
        data.load(f"idx:{tmp_path / 'nowhere'}")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    start=st.sampled_from([b"", b"\x00\x00\x08\x03", b"\x00\x00\x08\x01\x00\x00\x00\x02"]),
    rest=st.binary(max_size=64),
    zipped=st.booleans(),
    suffix=st.sampled_from(["", ".gz"]),
    dimensions=st.sampled_from([1, 3]),
)
def test_garbage_is_a_data_error(
    tmp_path: Path, start: bytes, rest: bytes, zipped: bool, suffix: str, dimensions: int
) -> None:
    path = tmp_path / f"garbage{suffix}"
    path.write_bytes(gzip.compress(start + rest) if zipped else start + rest)
    try:
        found = idx.read_idx(path, dimensions)
    except DataError as error:
        message = str(error)
    else:
        message = ""
        assert found.ndim == dimensions
    assert "\n" not in message


def test_files_that_are_not_mnist_are_refused(tmp_path: Path) -> None:
    write_idx(tmp_path / "MNIST" / "raw", {"train": 12, "t10k": 6})
    with pytest.raises(
        DataError, match=r"train-images-idx3-ubyte is corrupt: MD5 .* instead of 6bbc9a"
    ):
        data.load("mnist", Reading(tmp_path))


def test_mnist(real_data) -> None:
    splits = data.load("mnist", Reading(real_data("mnist")))
    assert splits.name == "mnist"
    assert splits.test is not None
    assert splits.train.inputs.shape == (60_000, 1, 28, 28)
    assert splits.test.inputs.shape == (10_000, 1, 28, 28)
    assert splits.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert splits.train.content_hash.startswith("33d00f4e2191a1ed")
    assert splits.test.content_hash.startswith("4c60b8fc3339aaab")
