"""What the README and the pages quote is what the stored results say."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from dilute.advice import read_law
from dilute.runs import RunSpec, Store
from dilute.studies import STUDIES, advice_law, full_scale
from dilute.studies.full_scale.costs import Assumed, figures
from dilute.studies.full_scale.step_costs import KIND, Unit
from dilute.study import Reproduction

pytestmark = pytest.mark.numerical

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "results"
FIGURES = RESULTS / "figures"
STORES = ("paper", "gradients", "laws", "recipe", "compare", "headline-rates")


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    """`docs/tables.py`, which writes the tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        spec = importlib.util.spec_from_file_location("tables", ROOT / "docs" / "tables.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("figures")


@pytest.fixture(scope="module")
def found(tables: ModuleType, out: Path) -> Reproduction:
    return tables.made("paper", out)


def missing(written: dict[tuple[Path, str], str]) -> list[str]:
    """Return which of the tables stand in their page otherwise, or not at all."""
    return [
        f"{page.name}: {name}"
        for (page, name), text in written.items()
        if f"\n{text.strip()}\n<!-- end of {name} -->" not in page.read_text()
    ]


@pytest.mark.parametrize("name", STORES)
def test_every_stored_record_is_readable(name: str):
    store = Store(RESULTS / name)
    records = list(store.records())
    assert {record.key for record in records} == store.keys()
    assert len(records) >= 9
    assert all(record.status == "done" for record in records)


def test_the_spec_of_every_stored_record_has_its_key():
    """Whatever was renamed since: runs that were paid for are never done again."""
    num_records = 0
    for name in STORES:
        for record in Store(RESULTS / name).records():
            spec = RunSpec.model_validate(record.spec)
            assert (spec.key(), spec.canonical()) == (record.key, record.spec)
            num_records += 1
    assert num_records >= 2344


def test_the_pages_quote_the_stored_runs_of_the_paper(tables, found):
    assert not missing(tables.paper_tables(found))


def test_the_readme_has_room_for_what_was_found(found):
    assert all(len(one.judgement.brief or one.judgement.finding) <= 140 for one in found.claims)


def test_the_stored_tables_are_those_of_the_stored_runs(found):
    """Each figure's CSV, and the claims with their numbers."""
    csvs = [path for path in found.files if path.suffix == ".csv"]
    assert len(csvs) >= 9
    for path in csvs:
        assert path.read_text() == (FIGURES / path.name).read_text(), path.name
    claims = json.loads((FIGURES / "claims.json").read_text())
    assert {row["id"]: row["verdict"] for row in claims} == {
        one.claim.id: one.judgement.verdict for one in found.claims
    }


def test_the_headline_is_the_documented_command():
    """`dilute run mnist --model conv4 --alpha 100 --copies all` is one of the stored runs."""
    spec = RunSpec(data="mnist", model="conv4", alpha=100, copies="all")
    record = Store(RESULTS / "paper").get(spec.key())
    assert record is not None
    assert record.accuracy.selected >= 0.90


def test_the_page_on_gradients_quotes_the_stored_results(tables, out: Path):
    found = tables.made("gradients", out)
    assert not missing(tables.gradient_tables(found))
    for path in found.files:
        stored = FIGURES / path.name
        if path.suffix == ".csv" and stored.exists():
            assert path.read_text() == stored.read_text(), path.name
    fitted, shipped = advice_law.fitted(found.data["advice-law"]), read_law()
    assert fitted is not None
    assert fitted.rate.factor == pytest.approx(shipped.rate.factor)
    assert fitted.rate.power == pytest.approx(shipped.rate.power)
    assert fitted.images.power == pytest.approx(shipped.images.power)
    assert fitted.rate.num_points == shipped.rate.num_points


def test_the_page_on_laws_quotes_the_stored_results(tables):
    page = (ROOT / "docs" / "laws.md").read_text()
    for name in tables.GROUPS["laws"][0]:
        data = pd.read_csv(FIGURES / f"{name}.csv")
        assert STUDIES[name].summary(data, "laptop") in page, name
    assert tables.recipe_markdown(Store(RESULTS / "recipe")) in page
    assert (RESULTS / "plan-example.txt").read_text().strip() in page


@pytest.mark.slow
def test_the_laws_are_those_of_the_stored_runs(tables, tmp_path: Path):
    tables.made("laws", tmp_path)
    for name in tables.GROUPS["laws"][0]:
        # Fits end in other last digits on other processors.
        pd.testing.assert_frame_equal(
            pd.read_csv(tmp_path / f"{name}.csv"),
            pd.read_csv(FIGURES / f"{name}.csv"),
            rtol=1e-3,
            obj=name,
        )


def test_the_readme_quotes_the_power_of_the_labels_needed():
    page = (ROOT / "docs" / "gradients.md").read_text()
    power = page.partition("| power of 1 + alpha | ")[2].partition(" ")[0]
    readme = (ROOT / "README.md").read_text()
    assert f"`1 + alpha` to the power {float(power):.1f}" in readme
    assert f"`1 + alpha` to the power {power} (" in page


def test_the_page_on_methods_quotes_the_stored_results(tables, tmp_path: Path):
    assert not missing(tables.comparison_tables(tables.made("compare", tmp_path)))


def test_the_pages_quote_what_was_measured(tables, tmp_path: Path):
    """Estimates against planted noise, full scale; and of benchmarks speed, loading and engines."""
    for name in tables.GROUPS["measured"][0]:
        (tmp_path / f"{name}.json").write_text((FIGURES / f"{name}.json").read_text())
    assert not missing(tables.measured_tables(tables.made("measured", tmp_path)))
    assert not missing(tables.benchmark_tables())


def test_the_page_on_full_scale_counts_the_runs_of_the_figures():
    """From the stored costs of a step: the rows are those of the runs that the figures have now."""
    measured = json.loads((FIGURES / "full-scale.json").read_text())["measured"]
    kinds = [tuple(row[name] for name in KIND) for row in measured["units"]]
    units = [Unit(**row["unit"]) for row in measured["units"]]
    again = figures(dict(zip(kinds, units, strict=True)), Assumed(**measured["assumed"]))
    assert again == [pytest.approx(row) for row in measured["figures"]]
    half = full_scale.with_assumed(
        measured, Assumed(**{**measured["assumed"], "dollars_per_gpu_hour": 1.0})
    )
    dollars = [2 * row["dollars"] for row in half["figures"]]
    assert dollars == pytest.approx([row["dollars"] for row in measured["figures"]])
    assert half["cores_per_gpu"] == pytest.approx(measured["cores_per_gpu"])
