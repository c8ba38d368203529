"""What `docs/extending.md` says, done: every block of it is written to a file and run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import dilute
from dilute.cli import main
from dilute.extensions import listed

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = {
    name: (language, text)
    for language, name, text in re.findall(r"^```(\w+)\n# (\S+)\n(.*?)^```$", PAGE, re.M | re.S)
}
OUTSIDE = [name for name in BLOCKS if "/" not in name]
ADDED = {
    kind: re.findall(r"`(\S+?)`", files)
    for kind, number, files in re.findall(r"^\| (an? [^|]+) \| (\d) \| (.+) \|$", PAGE, re.M)
    if len(re.findall(r"`(\S+?)`", files)) == int(number)
}
QUICK = ["--steps", "4", "--curve-points", "1", "--batch-size", "16", "--json"]


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch):
    """Networks are tiny; threads that wait for one another would take most of the time."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the modules of part 1, importable here and in processes that start here."""
    for name in OUTSIDE:
        (tmp_path / name).write_text(BLOCKS[name][1], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def commands(script: Path) -> list[list[str]]:
    lines = script.read_text().replace("\\\n", " ").splitlines()
    return [line.split()[1:] for line in lines if line.startswith("dilute ")]


def python(*arguments: str) -> str:
    """Return what a process prints that must end well."""
    ran = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_every_block_has_a_file_name():
    assert PAGE.count("\n```") == 2 * len(BLOCKS)
    assert len(BLOCKS["my_loss.py"][1].replace("\n\n", "\n").splitlines()) <= 10


@pytest.mark.parametrize("script", ["commands.sh", "sweep.sh", "study.sh"])
def test_commands_of_part_1(place: Path, script: str, capsys: pytest.CaptureFixture[str]):
    for arguments in commands(place / script):
        assert main(arguments) == 0, capsys.readouterr().err
    specs = [record.spec for record in dilute.Store(place / "runs").records()]
    assert len(specs) == {"commands.sh": 4, "sweep.sh": 4, "study.sh": 2}[script]
    if script == "commands.sh":
        run = next(spec for spec in specs if spec.get("method_options") == {"epsilon": 2.0})
        assert (run["model"], run["method"]) == ("my_model:small", "my_loss:PolyLoss")
        assert run["noise"] == {"pattern": "my_noise:Nearby", "width": 1.0}
        assert {"my_loss:PolyLoss", "my_method:GrowingTrust"} < {spec["method"] for spec in specs}
    elif script == "study.sh":
        assert (place / "figures" / "noise-costs.png").stat().st_size > 0


def test_an_option_of_a_pattern(place: Path):
    (arguments,) = commands(place / "noise_option.sh")
    assert main(arguments) == 0
    (record,) = dilute.Store(place / "runs").records()
    assert record.spec["noise"] == {"pattern": "my_noise:Nearby", "width": 0.5}


def test_the_script_of_part_1_as_a_user_starts_it(place: Path):
    shown = python(str(place / "own.py"))
    assert shown.startswith("my_loss:PolyLoss {'epsilon': 2.0}\naccuracy ")


def test_the_example_of_own_data():
    assert "alpha = 5" in python(str(ROOT / "examples" / "own_data.py"))


# Part 2: in a copy of the sources


def patched(text: str, change: str) -> str:
    """Return a text with each hunk of a change (without line numbers) in its place."""
    for hunk in change.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        old, new = ("".join(x[1:] for x in lines if x[0] != sign) for sign in "+-")
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return what adds a kind of thing to a copy of the package, by the files the page names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "src"))
    shutil.copytree(
        ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )

    def write(kind: str) -> None:
        for name in ADDED[kind]:
            path = tmp_path / name
            language, text = BLOCKS.get(name) or BLOCKS["my_study.py"]
            assert path.exists() == (language == "diff")
            if language == "diff":
                text = patched(path.read_text(encoding="utf-8"), text)
            path.write_text(text, encoding="utf-8")

    return write


def test_the_page_counts_files():
    assert [len(files) for files in ADDED.values()] == [1, 1, 2, 1, 1]
    assert [kind.split()[1] for kind in ADDED] == [
        "loss",
        "model",
        "data",
        "figure",
        "command-line",
    ]


def test_a_loss_a_model_and_an_option_are_a_file_each(add):
    add("a loss (or another method)")
    add("a model")
    add("a command-line option")
    run = ["-m", "dilute", "run", "digits", "--model", "small", "--method", "poly", *QUICK]
    run += ["--method-option", "epsilon=2", "--amsgrad"]
    shown = python(*run)
    assert '"method": "poly"' in shown
    assert '"amsgrad": true' in shown
    specs = "dilute.RunSpec(data='digits', model='small', amsgrad={}).key()"
    shown = python("-m", "dilute", "run", "--help")
    for word in ("small", "poly", "--amsgrad"):
        assert word in shown
    keys = python("-c", f"import dilute; print({specs.format(True)}, {specs.format(False)})")
    plain = dilute.RunSpec(data="digits", model="mlp1").model_copy(update={"model": "small"})
    assert keys.split()[1] == plain.key() != keys.split()[0]


def test_a_data_source_is_two_files(add, tmp_path: Path):
    add("a data source")
    rows = np.random.default_rng(0).normal(size=(60, 2))
    lines = [f"{number % 3} 1:{x:.3f} 2:{y:.3f}\n" for number, (x, y) in enumerate(rows)]
    (tmp_path / "rows.svm").write_text("".join(lines))
    assert "svmlight:FILE" in python("-m", "dilute", "data", "list")
    shown = python("-m", "dilute", "run", "svmlight:rows.svm", "--model", "perceptron", *QUICK)
    assert '"data": "svmlight@' in shown


def test_a_figure_is_one_file(add):
    add("a figure (a study)")
    code = "from dilute.studies import chosen_studies as c; print(c(['noise-costs'])[0].title)"
    assert python("-c", code) == "What noise costs on digits\n"


def test_files_list_what_they_add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Files that list nothing are not imported; a name that two list is refused."""
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "shelf"
    package.mkdir()
    for name, text in (
        ("__init__", ""),
        ("apple", "FRUIT = {'apple': 1}"),
        ("pear", "FRUIT: dict[str, int] = {'pear': 2, 'quince': 3}"),
        ("stone", "raise RuntimeError('FRUIT = ' + str({'stone': 4}))"),
    ):
        (package / f"{name}.py").write_text(text)
    assert listed("shelf", "FRUIT", first=("pear",)) == {"pear": 2, "quince": 3, "apple": 1}
    assert list(listed("shelf", "FRUIT", first=("pear",))) == ["pear", "quince", "apple"]
    (package / "plum.py").write_text("FRUIT = {'pear': 5}")
    with pytest.raises(ValueError, match=r"shelf.plum lists pear, as another file does"):
        listed("shelf", "FRUIT")
