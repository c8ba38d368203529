from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from dilute.cli import main
from dilute.errors import StoreError, unknown_name
from dilute.files import check_file, check_writable, make_folder, write_file


def test_writes_and_replaces(tmp_path: Path):
    path = tmp_path / "a" / "b.txt"
    write_file(path, b"one")
    write_file(path, lambda file: file.write(b"two"))
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    path = tmp_path / "b.txt"
    write_file(path, b"old")

    def write_half(file) -> None:
        file.write(b"ne")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StoreError, match=r"^cannot write .*b\.txt: the disk is full[^\n]*$"):
        write_file(path, write_half)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_at_flush(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="the disk is full"):
        write_file(tmp_path / "c.txt", b"x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="needs /dev/full, a device that is always full"
)
def test_a_disk_that_is_really_full():
    with (
        Path("/dev/full").open("wb", buffering=0) as file,
        pytest.raises(OSError, match="No space") as caught,
    ):
        file.write(b"x")
    assert caught.value.errno == errno.ENOSPC


def test_a_file_in_the_way_of_a_folder(tmp_path: Path):
    (tmp_path / "f").write_text("")
    with pytest.raises(StoreError, match=r"cannot write .*: .*choose another folder"):
        make_folder(tmp_path / "f" / "g")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_without_permission(tmp_path: Path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StoreError, match="permission denied"):
            write_file(tmp_path / "x", b"")
    finally:
        tmp_path.chmod(0o700)


def test_unknown_names_answer_with_the_nearest():
    assert unknown_name("model", "conv5", ["conv4", "conv6", "mlp1"]).startswith(
        "unknown model 'conv5'; did you mean conv"
    )
    assert unknown_name("model", "zzz", ["conv4"]) == "unknown model 'zzz'; known: conv4"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc, where nobody can write")
def test_a_place_where_nobody_can_write(capsys: pytest.CaptureFixture[str]):
    for check in (check_writable, check_file):
        with pytest.raises(StoreError, match=r"^cannot write to /proc: [^\n]*$"):
            check(Path("/proc/runs/more"))
    for command in (
        ["run", "digits", "--model", "mlp1", "--steps", "100000", "--store", "/proc/runs"],
        ["data", "info", "digits", "--picture", "/proc/sheet.png"],
    ):
        assert main(command) == 1
        assert capsys.readouterr().err.startswith("dilute: cannot write to /proc: ")


def test_checks_leave_nothing_behind(tmp_path: Path):
    check_file(tmp_path / "new" / "file.png")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StoreError, match="the path is a folder"):
        check_file(tmp_path)
