"""A user's own study, by path and by module:name, and the library functions behind the commands."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dilute
from dilute.cli import main
from dilute.data import Splits
from dilute.errors import SpecError, StoreError
from dilute.study import Study, Sweeping
from dilute.study.finding import find_study
from dilute.study.pages import write_table

OWN = """
from dilute import RunSpec
from dilute.study import Study
from dilute.study.style import draw_means, finish_accuracy, new_figure


def specs(scale):
    return [
        RunSpec(data="digits", model="perceptron", alpha=alpha, budget_steps=4, curve_points=1)
        for alpha in (0, 2)
    ]


def draw(data, scale):
    figure, (axes,) = new_figure("digits", scale)
    draw_means(axes, data, "alpha", "model", {"perceptron": "perceptron"})
    finish_accuracy(axes, "alpha")
    return figure


STUDY = Study(name="own", title="Digits, a perceptron", specs=specs, draw=draw)
"""


@pytest.fixture
def own_study(tmp_path: Path) -> Path:
    path = tmp_path / "own_study.py"
    path.write_text(OWN)
    return path


def test_a_study_of_ones_own_by_path(own_study: Path, tmp_path: Path, capsys):
    command = ["reproduce", str(own_study), "--scale", "smoke", "--json"]
    command += ["--store", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    assert main([*command, "--workers", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == {"own": 2}
    for ending in ("png", "svg", "csv"):
        assert (tmp_path / "out" / f"own.{ending}").stat().st_size > 0
    assert main([*command, "--draw-only"]) == 0


def test_a_study_of_ones_own_by_module(
    own_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(str(own_study.parent))
    store, out = tmp_path / "runs", tmp_path / "out"
    found = dilute.reproduce(
        "own_study:STUDY", scale="smoke", store=store, out=out, sweeping=Sweeping(workers=1)
    )
    assert [one.study.name for one in found.studies] == ["own"]
    assert sorted(found.data["own"]["alpha"]) == [0, 2]
    study = found.studies[0].study
    again = dilute.reproduce(study, scale="smoke", store=store, out=out, draw_only=True)
    assert again.data["own"].equals(found.data["own"])
    with pytest.raises(SpecError, match="two studies are called 'own'"):
        dilute.reproduce([study, Study(name="own", title="another")], store=store, out=out)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere.py", ["study 'nowhere.py' cannot be imported", "FileNotFoundError"]),
        ("no_such_module:STUDY", ["ModuleNotFoundError", "PYTHONPATH"]),
        ("json:loads", ["study 'json:loads' is of type function; it must be a dilute.Study"]),
        ("fig12", ["unknown study 'fig12'", "did you mean", "module:name"]),
    ],
)
def test_what_is_no_study_gets_one_line(tmp_path: Path, capsys, name: str, words: list[str]):
    assert main(["reproduce", name, "--store", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    for word in words:
        assert word in error


# dilute.compare


def test_methods_are_compared_on_a_set_in_hand(digits: Splits, tmp_path: Path):
    """Equal labels for both, evaluated on the test set; the store answers the second time."""
    noisy = dilute.DilutedSet(digits.train, 5.0, seed=3)
    shown: list[int] = []
    sweeping = Sweeping(threads=1, on_progress=lambda now: shown.append(now.done))
    options = {"model": "perceptron", "passes": 1.0, "seeds": 1, "store": tmp_path}
    found = dilute.compare(
        noisy, methods=["cross_entropy", "mae"], test=digits.test, sweeping=sweeping, **options
    )
    assert shown == [1, 2]
    assert {one.method for one in found.results} == {"cross_entropy", "mae"}
    assert all(one.accuracy is not None and one.amount == 5.0 for one in found.results)
    assert {record.labels_hash for record in found.records} == {noisy.content_hash()}
    assert {record.spec["seed"] for record in found.records} == {3}
    found.draw(str(tmp_path / "compare.png"))
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")
    before = {record.key: record.started for record in found.records}
    again = dilute.compare(noisy, methods=["cross_entropy", "mae"], test=digits.test, **options)
    assert {record.key: record.started for record in again.records} == before


def test_without_a_test_set_held_out_labels_rank(digits: Splits):
    noisy = dilute.DilutedSet(digits.train, 2.0)
    found = dilute.compare(
        noisy, methods=["mae", "cross_entropy"], model="perceptron", passes=1.0, seeds=1
    )
    likelihoods = [one.heldout_nll for one in found.results]
    assert all(one.accuracy is None for one in found.results)
    assert None not in likelihoods
    assert likelihoods == sorted(likelihoods)
    assert found.results[0].num_seeds == 1


def test_compare_takes_a_name_with_its_noise(tmp_path: Path):
    found = dilute.compare(
        "digits",
        ["cross_entropy"],
        model="perceptron",
        alpha=[1.0, 5.0],
        passes=1.0,
        seeds=1,
        store=tmp_path,
        sweeping=Sweeping(workers=1),
    )
    assert [one.amount for one in found.results] == [1.0, 5.0]
    assert len(found.outcomes()) == 2


def test_what_has_no_meaning_together_is_refused(digits: Splits):
    noisy = dilute.DilutedSet(digits.train, 2.0)
    for data, options, words in (
        (noisy, {"alpha": 5.0}, "alpha cannot be given beside a noisy set"),
        (noisy, {"sweeping": Sweeping(workers=2)}, "leave out workers"),
        ("digits", {"alpha": 5.0, "test": digits.test}, "a data set by name has its own"),
        ("digits", {}, "give exactly one"),
        ("digits", {"alpha": 1.0, "rate": 0.5}, "give exactly one"),
    ):
        with pytest.raises(SpecError, match=words):
            dilute.compare(data, ["cross_entropy"], **options)


# Tables in pages


def test_a_table_is_written_between_its_markers(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- x: written by `make y` -->\nold\nrows\n<!-- end of x -->\nb\n")
    write_table(str(page), "x", "new | \\1\n")
    assert page.read_text() == (
        "a\n<!-- x: written by `make y` -->\nnew | \\1\n<!-- end of x -->\nb\n"
    )
    with pytest.raises(dilute.DiluteError, match="lacks the markers <!-- z: written by"):
        write_table(page, "z", "rows")


def test_a_file_may_define_a_dataclass_and_leaves_no_module_behind(tmp_path: Path):
    """Dataclasses look for their module among those imported."""
    path = tmp_path / "with_dataclass.py"
    lines = "from dataclasses import dataclass\n@dataclass\nclass Point:\n    x: int = 0\n"
    path.write_text("from __future__ import annotations\n" + lines + OWN)
    assert find_study(str(path), {}).name == "own"
    assert "with_dataclass" not in sys.modules


def test_a_file_that_ends_the_program_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "ends_it.py").write_text("import sys\nsys.exit('no licence')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in (str(tmp_path / "ends_it.py"), "ends_it:STUDY"):
        with pytest.raises(SpecError, match=r"cannot be imported \(SystemExit: no licence\)"):
            find_study(name, {})


def test_a_study_on_data_of_the_users_own(tmp_path: Path):
    """Records name such data by content. One image does not decode; reading options hold."""
    pixels = np.random.default_rng(0).integers(0, 256, (16, 9, 12, 3), np.uint8)
    for number, image in enumerate(pixels):
        folder = tmp_path / "images" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number:02}.png")
    (tmp_path / "images" / "a" / "broken.png").write_bytes(b"no image")
    options = {"model": "perceptron", "batch_size": 8, "budget_steps": 2, "curve_points": 1}
    spec = dilute.RunSpec(data=f"folder:{tmp_path / 'images'}", alpha=1, **options)
    study = Study(name="own-data", title="own data", specs=lambda scale: [spec])
    reading = dilute.Reading(resize=8, stream=True, on_corrupt="skip")
    arguments = {"scale": "smoke", "store": tmp_path / "runs", "out": tmp_path / "out"}
    sweeping = Sweeping(workers=1, reading=reading)
    trained = dilute.reproduce(study, sweeping=sweeping, **arguments)
    (row,) = trained.data["own-data"].to_dict("records")
    assert row["status"] == "done"
    assert row["data"].startswith("streamed-folder@")
    assert trained.studies[0].parts == []
    drawn = dilute.reproduce(study, draw_only=True, sweeping=sweeping, **arguments)
    assert drawn.data["own-data"].equals(trained.data["own-data"])
    other = Sweeping(reading=dilute.Reading(resize=4, stream=True, on_corrupt="skip"))
    with pytest.raises(StoreError, match="lacks 1 of the 1 runs of own-data"):
        dilute.reproduce(study, draw_only=True, sweeping=other, **arguments)
