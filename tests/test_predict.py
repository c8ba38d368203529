"""`dilute fit` and `dilute predict` on a folder of pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import assert_one_line
from PIL import Image

import dilute


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, digits: dilute.Splits) -> Path:
    """A folder of digits: `mine` to train on, `new` without and `right` with classes."""
    folder = tmp_path_factory.mktemp("pictures")
    assert digits.test is not None
    sets = (("mine", digits.train, 300), ("new", digits.test, 40), ("right", digits.test, 40))
    for name, found, number in sets:
        for row in range(number):
            below = "" if name == "new" else f"digit {found.labels[row]}"
            path = folder / name / below / f"{row}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(found.inputs[row, 0]).save(path)
    return folder


@pytest.fixture(scope="module")
def model(place: Path) -> str:
    """A model that was trained on `mine`."""
    fit = dilute.fit(
        dilute.load(f"folder:{place / 'mine'}").whole(),
        model="mlp1",
        recipe=dilute.Recipe(budget_steps=150, batch_size=64),
    )
    return str(fit.save(place / "model"))


def test_from_a_folder_to_predictions(command, tmp_path: Path, place: Path):
    mine, right = f"folder:{place / 'mine'}", f"folder:{place / 'right'}"
    options = ["--model", "mlp1", "--steps", "60", "--store", tmp_path / "runs"]
    code, out, err = command("fit", mine, "--out", tmp_path / "m", *options, "--test", right)
    assert code == 0, err
    assert "how many are wrong is not known" in out
    assert "agreement with given labels" in out
    assert "test accuracy" in out
    code, out, err = command("fit", mine, "--out", tmp_path / "m", *options, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["record"]["wrong_rate"] is None
    assert set(found["reasons"]) == {"labels", "method", "budget"}
    assert found["record"]["spec"]["data"].endswith(":whole")
    new, table = f"folder:{place / 'new'}", tmp_path / "p.csv"
    code, out, err = command("predict", tmp_path / "m", new, "--out", table)
    assert code == 0, err
    assert out.startswith("40 predicted")
    rows = pd.read_csv(table)
    assert list(rows) == ["name", "class", "probability"]
    assert rows["name"].tolist() == sorted(f"{row}.png" for row in range(40))


def test_tables_classes_and_pictures(command, tmp_path: Path, place: Path, model: str):
    right = f"folder:{place / 'right'}"
    for end, read in (
        ("csv", pd.read_csv),
        ("parquet", pd.read_parquet),
        ("jsonl", lambda path: pd.read_json(path, lines=True)),
    ):
        out = tmp_path / f"p.{end}"
        code, text, err = command("predict", model, right, "--out", out, "--top", "3", "--json")
        assert code == 0, err
        summary = json.loads(text)
        assert summary["measure"] == "agreement with given labels"
        rows = read(out)
        assert list(rows)[:3] == ["name", "label", "class"]
        assert (rows["probability"] >= rows["probability_2"]).all()
        assert summary["value"] == pytest.approx((rows["label"] == rows["class"]).mean())
    picture = tmp_path / "c.png"
    code, text, err = command(
        "predict", model, right, "--out", tmp_path / "p.csv", "--clean", "--picture", picture
    )
    assert code == 0, err
    assert "accuracy " in text
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert command("predict", model, place / "new" / "3.png", "--out", tmp_path / "1.csv")[0] == 0
    assert len(pd.read_csv(tmp_path / "1.csv")) == 1


def test_arrays_with_and_without_labels(command, tmp_path: Path, digits: dilute.Splits, model: str):
    assert digits.test is not None
    images = digits.test.inputs[:20, 0]
    np.savez(tmp_path / "x.npz", x=images)
    np.savez(tmp_path / "xy.npz", x=images, y=[f"digit {k}" for k in digits.test.labels[:20]])
    np.savez(tmp_path / "other.npz", x=images, y=np.arange(20) % 10)
    code, out, err = command(
        "predict", model, f"npz:{tmp_path / 'x.npz'}", "--out", tmp_path / "p.csv"
    )
    assert (code, "agreement" in out) == (0, False), err
    code, out, _ = command(
        "predict", model, f"npz:{tmp_path / 'xy.npz'}", "--out", tmp_path / "p.csv"
    )
    assert (code, "agreement" in out) == (0, True)
    said = command("predict", model, f"npz:{tmp_path / 'other.npz'}", "--out", tmp_path / "q.csv")
    assert_one_line(said, "labels that are no classes of the model: 0, 1")
    assert not (tmp_path / "q.csv").exists()


def test_what_cannot_be_predicted(command, tmp_path: Path, place: Path, model: str):
    new, out = f"folder:{place / 'new'}", tmp_path / "p.csv"
    (tmp_path / "some" / "digit 1").mkdir(parents=True)
    (tmp_path / "some" / "letter a").mkdir()
    for folder in ("digit 1", "letter a"):
        Image.new("L", (8, 8)).save(tmp_path / "some" / folder / "1.png")
    Image.new("L", (9, 9)).save(tmp_path / "large.png")
    some = f"folder:{tmp_path / 'some'}"
    assert_one_line(
        command("predict", model, some, "--out", out), "no classes of the model", "letter a"
    )
    assert_one_line(command("predict", model, tmp_path / "large.png", "--out", out), "9×9 pixels")
    assert_one_line(command("predict", model, new, "--out", "p.txt"), ".csv, .parquet, .jsonl")
    assert_one_line(command("predict", model, new, "--out", out, "--top", "11"), "1 to 10")
    assert_one_line(command("predict", place / "new", new, "--out", out), "has no model.json")
    picture = ["--picture", tmp_path / "c.png"]
    assert_one_line(
        command("predict", model, new, "--out", out, *picture), "needs data with labels"
    )
    assert not out.exists()


def test_fit_refuses_before_it_trains(command, tmp_path: Path, place: Path):
    mine = ["fit", f"folder:{place / 'mine'}", "--store", tmp_path / "runs"]
    assert_one_line(command(*mine, "--out", place / "new"), "something else than a model")
    assert_one_line(command(*mine, "--out", tmp_path / "m", "--cleaned"), "--estimate")
    said = command(*mine, "--out", tmp_path / "m", "--estimate", tmp_path / "none")
    assert_one_line(said, "has no estimate.json")
    assert not list(tmp_path.glob("runs/*.json"))


def test_fit_takes_an_estimate(command, tmp_path: Path, place: Path):
    mine, folder = f"folder:{place / 'mine'}", tmp_path / "estimate"
    code, out, err = command("estimate", mine, "--out", folder)
    assert code == 0, err
    assert f"dilute fit {mine}" in out
    steps = ["--model", "mlp1", "--steps", "20", "--store", tmp_path / "runs", "--json"]
    for more, method in (([], "patches_known"), (["--cleaned"], "patches_estimated")):
        code, out, err = command(
            "fit", mine, "--out", tmp_path / "m", "--estimate", folder, *more, *steps
        )
        assert code == 0, err
        found = json.loads(out)
        assert found["record"]["spec"]["method"] == method
        assert "by the estimate in" in found["reasons"]["labels"]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_tables_need_no_labels(command, tmp_path: Path, place: Path, model: str, form: str):
    names = sorted(path.name for path in (place / "new").iterdir())
    file = place / "new" / f"table.{form}"
    out = tmp_path / "p.csv"

    def predicted(**columns: list[str]) -> tuple[pd.DataFrame, str]:
        table = pd.DataFrame({"path": names, **columns})
        table.to_csv(file, index=False) if form == "csv" else table.to_parquet(file)
        code, text, err = command("predict", model, f"{form}:{file}", "--out", out)
        file.unlink()
        assert code == 0, err
        return pd.read_csv(out), text

    rows, text = predicted()
    assert rows["name"].tolist() == names
    assert list(rows) == ["name", "class", "probability"]
    assert "agreement" not in text
    labelled, text = predicted(label=rows["class"].tolist())
    assert labelled["class"].tolist() == rows["class"].tolist()
    assert "agreement with given labels 100.0% (n = 40)" in text
