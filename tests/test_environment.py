"""What a record says of the code behind it: the hash that names it, and the commit."""

from __future__ import annotations

import ast
import shutil
import subprocess
from pathlib import Path

import pytest

import dilute
from dilute import environment
from dilute.environment import code_hash, source_commit, source_hash
from dilute.runs import RunSpec, failed_record, run_one

PACKAGE = Path(dilute.__file__).parent
HARMLESS = {"serving", "environment", "errors", "extensions", "files", "interruption", "launcher"}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package's source, which the hash is of and the commit is asked for."""
    copy = tmp_path / "src" / "dilute"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(environment, "_PACKAGE", copy)
    monkeypatch.setattr(environment, "source_hash", source_hash.__wrapped__)
    return copy


def hash_now() -> str:
    return code_hash.__wrapped__()


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_commands_and_pictures_leave_the_hash(package: Path):
    before = hash_now()
    assert before == code_hash()
    for path in (*package.glob("*figure*.py"), *(package / "cli").glob("*.py")):
        path.write_text(path.read_text() + "\n\nSPACE = 1\n")
    (package / "studies" / "new.py").write_text("x = 1\n")
    assert hash_now() == before


@pytest.mark.parametrize(
    "name",
    ["training/loop.py", "methods/gce.py", "seeds.py", "data/idx.py", "runs/running.py"],
)
def test_what_can_change_numbers_changes_the_hash(package: Path, name: str):
    before = hash_now()
    path = package / name
    path.write_text(path.read_text() + "\nRATE = 1\n")
    first = hash_now()
    edit(path, "RATE = 1", "RATE = 2")
    assert len({before, first, hash_now()}) == 3


def test_a_new_file_changes_the_hash(package: Path):
    before = hash_now()
    (package / "methods" / "new.py").write_text("")
    assert hash_now() != before


def test_a_part_that_is_gone_is_no_silence(package: Path):
    (package / "seeds.py").unlink()
    with pytest.raises(FileNotFoundError):
        hash_now()


def test_all_that_runs_import_counts():
    """A part that the code behind numbers imports is covered, or is known to change none."""
    counted = set(environment._CHANGES_NUMBERS)
    files = [file for name in counted for file in environment._files(name)]
    imported = set()
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text()))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "dilute":
            imported |= {f"dilute.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module)
    parts = {name.split(".")[1] for name in imported if name.startswith("dilute.")}
    assert parts - {"__version__"} <= counted | HARMLESS


needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def commit_now() -> str | None:
    return source_commit.__wrapped__()


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@needs_git
def test_the_commit_of_the_source(package: Path, monkeypatch: pytest.MonkeyPatch):
    root = package.parents[1]
    assert commit_now() is None, "no repository"
    git(root, "init", "--quiet")
    assert commit_now() is None, "no commit"
    git(root, "add", "-A")
    git(root, "commit", "--quiet", "-m", "one")
    commit = git(root, "rev-parse", "HEAD")
    assert commit_now() == commit
    (root / "notes.md").write_text("not of the package")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert commit_now() == commit
    monkeypatch.delenv("GIT_DIR")
    (package / "new.py").write_text("")
    assert commit_now() == f"{commit}+changes"
    (package / "new.py").unlink()
    (package / "seeds.py").write_text("")
    assert commit_now() == f"{commit}+changes"


@needs_git
def test_an_installed_package_has_not_the_commit_of_the_project_around(
    package: Path, monkeypatch: pytest.MonkeyPatch
):
    root = package.parents[1]
    git(root, "init", "--quiet")
    git(root, "add", "-A")
    git(root, "commit", "--quiet", "-m", "one")
    site = root / ".venv" / "lib" / "python3" / "site-packages" / "dilute"
    shutil.copytree(package, site)
    monkeypatch.setattr(environment, "_PACKAGE", site)
    assert commit_now() is None


def test_without_git_there_is_no_commit(package: Path, monkeypatch: pytest.MonkeyPatch):
    (package.parents[1] / ".git").mkdir()
    assert commit_now() is None, "an empty .git is no repository"
    monkeypatch.setenv("PATH", "")
    assert commit_now() is None


def test_records_say_code_and_commit():
    spec = RunSpec(data="digits", model="perceptron", batch_size=32, budget_steps=2)
    for record in (run_one(spec).record, failed_record(spec, "died", 1.0)):
        assert (record.code, record.commit) == (code_hash(), source_commit())
