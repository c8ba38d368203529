from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from small_files import write_folder

from dilute import data
from dilute.data import Reading, home
from dilute.errors import DataError


def test_unknown_names_answer_with_the_nearest() -> None:
    with pytest.raises(DataError, match="unknown data set 'cifar-10'; did you mean cifar10"):
        data.load("cifar-10")
    with pytest.raises(DataError, match="unknown data set 'file:x'"):
        data.load("file:x")


@pytest.mark.parametrize(
    ("name", "resize", "message"),
    [
        ("folder:", None, "give folder:DIR"),
        ("folder:a\0b", None, "control characters"),
        ("folder:x", 0, "resize is 0"),
        ("npz:x", 8, "resize is not for npz:"),
        ("digits", 8, "resize is not for digits"),
    ],
)
def test_arguments_that_cannot_be(name: str, resize: int | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        data.load(name, Reading(resize=resize))


def test_known_names_are_described() -> None:
    known = data.known()
    assert list(known)[:5] == ["mnist5k", "digits", "mnist", "cifar10", "cifar100"]
    assert "hub:OWNER/NAME" in known
    assert all(description and "\n" not in description for description in known.values())


def test_one_own_set_at_two_places_has_one_name(tmp_path: Path) -> None:
    splits = [data.load(f"folder:{write_folder(tmp_path / place)}") for place in "ab"]
    assert splits[0].name == splits[1].name
    assert splits[0].origin != splits[1].origin


def test_fetch(tmp_path: Path) -> None:
    assert data.fetch("digits").startswith("scikit-learn")
    with pytest.raises(DataError, match="need not be fetched"):
        data.fetch(f"folder:{tmp_path}")


def test_where_data_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DILUTE_DATA", str(tmp_path / "variable"))
    assert home.data_folder() == tmp_path / "variable"
    assert home.data_folder(tmp_path / "argument") == tmp_path / "argument"
    monkeypatch.delenv("DILUTE_DATA")
    monkeypatch.delenv("DILUTE_CACHE")
    assert home.data_folder() != home.cache_folder()
    assert home.data_folder().name == "dilute"


def test_the_import_is_light() -> None:
    heavy = "torch torchvision datasets mlxtend sklearn PIL pyarrow pandas scipy matplotlib pooch"
    program = f"import sys, dilute.data; print(set('{heavy}'.split()) & set(sys.modules))"
    # Without the package's own __init__, which may import more.
    program = (
        "import sys, types, importlib.util as u; "
        "p = types.ModuleType('dilute'); "
        "p.__path__ = list(u.find_spec('dilute').submodule_search_locations); "
        "sys.modules['dilute'] = p; " + program
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True,
        env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
    )  # fmt: skip
    assert done.stdout.strip() == "set()"
