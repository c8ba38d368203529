"""What is printed: any text, into any encoding, and into an output that is closed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dilute import LabelledSet
from dilute.cli import main
from dilute.errors import DataError, printable, unknown_name

ODD = ("\x1b[31mred\x1b[0m", "two\nlines", "caf\udce9", "$100_$", r"$\frac$")


def started(command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Return what came of a line of shell in which `dilute` is the command."""
    line = command.replace("dilute ", f"{sys.executable} -m dilute ")
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, env={**os.environ, **environment}, check=False
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", r"\x1b[31m"),
        ("a\r\nb", r"a\r\nb"),
        ("caf\udce9", r"caf\udce9"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("é 猫 \u200d ½", "é 猫 \u200d ½"),
    ],
)
def test_printable(text: str, shown: str):
    assert printable(text) == shown
    assert printable(shown) == shown
    assert str(DataError(f"no {text}")) == f"no {shown}"


def test_messages_do_not_grow_with_what_was_given():
    assert len(unknown_name("field", "k" * 10**6, ["data"])) < 200


def test_names_are_printable_in_a_set():
    odd = LabelledSet(
        np.zeros((5, 2), "f"), np.arange(5), ODD, row_names=np.array([*ODD[:3], "a", "b"])
    )
    assert odd.class_names == tuple(map(printable, ODD))
    assert odd.row_names is not None
    assert odd.row_names.tolist() == [*map(printable, ODD[:3]), "a", "b"]
    assert odd.take(np.array([0])).class_names == odd.class_names


def test_odd_class_names_reach_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    np.savez(tmp_path / "odd.npz", x=np.zeros((20, 2), "f"), y=np.repeat(ODD[:2], 10))
    assert main(["data", "info", f"npz:{tmp_path / 'odd.npz'}"]) == 0
    (line,) = [line for line in capsys.readouterr().out.split("\n") if "by class" in line]
    assert line == r"train by class: \x1b[31mred\x1b[0m 8, two\nlines 8"
    assert main(["data", "info", "\x1b[31mred"]) == 1
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes on Linux alone")
def test_folders_whose_names_are_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in (b"a", b"caf\xe9"):
        folder = os.fsencode(tmp_path / "set") + b"/" + name
        os.makedirs(folder)  # noqa: PTH103
        for i in range(4):
            Image.new("L", (8, 8), 60 * i).save(os.fsdecode(folder + b"/\xe9%d.png" % i))
    picture = tmp_path / "sheet.png"
    command = ["data", "info", f"folder:{tmp_path / 'set'}", "--picture", str(picture), "--json"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["class_names"] == ["a", "caf\\udce9"]
    assert picture.stat().st_size > 1000


def test_output_that_cannot_be_written():
    ascii_only = started("dilute data info digits", PYTHONIOENCODING="ascii")
    assert (ascii_only.returncode, ascii_only.stderr) == (0, b"")
    assert rb"inputs 1\xd78\xd78 uint8" in ascii_only.stdout
    for command in ("dilute data list >&-", "dilute data list >&- 2>&-"):
        closed = started(command)
        assert (closed.returncode, closed.stdout, closed.stderr) == (0, b"", b"")
    left = started("(sleep 3; dilute data list; echo $? >&2) | true")
    assert left.stderr == b"141\n"
    failing = started("(dilute data info no-such-set; echo $?) 2>&-")
    assert failing.stdout == b"1\n"
