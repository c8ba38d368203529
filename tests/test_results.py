"""What the README and the page on the paper quote is what the stored results say."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from dilute.advice import read_law
from dilute.paper import FIGURES, Reproduction, chosen_figures, reproduce
from dilute.runs import RunSpec, Store
from dilute.studies import STUDIES

ROOT = Path(__file__).parent.parent
STORE = ROOT / "results" / "paper"
GRADIENTS = ROOT / "results" / "gradients"
LAWS = ROOT / "results" / "laws"
RECIPE = ROOT / "results" / "recipe"
COMPARE = ROOT / "results" / "compare"
RATES = ROOT / "results" / "headline-rates"


@pytest.fixture(scope="module")
def tables():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        import paper

        return paper


@pytest.fixture(scope="module")
def studies():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        import advice
        import studies

        return studies, advice


@pytest.fixture(scope="module")
def estimates():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        import estimate

        return estimate


@pytest.fixture(scope="module")
def measured():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        import engines
        import full_scale
        import loader

        return loader, engines, full_scale


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Reproduction:
    out = tmp_path_factory.mktemp("figures")
    return reproduce(chosen_figures(["all", "headline"], FIGURES), "laptop", Store(STORE), out)


def test_every_stored_record_is_readable():
    records = list(Store(STORE).records())
    assert len(records) == len(Store(STORE).keys()) >= 250
    assert all(record.status == "done" for record in records)


def test_the_spec_of_every_stored_record_has_its_key():
    """Whatever was renamed since: runs that were paid for are never done again."""
    num_records = 0
    for folder in (STORE, GRADIENTS, LAWS, RECIPE, COMPARE, RATES):
        for record in Store(folder).records():
            spec = RunSpec.model_validate(record.spec)
            assert (spec.key(), spec.canonical()) == (record.key, record.spec)
            num_records += 1
    assert num_records >= 2344


def test_the_readme_quotes_the_stored_results(tables, found):
    assert tables.figures_table(found) in (ROOT / "README.md").read_text()


def test_the_readme_has_room_for_what_was_found(found):
    assert all(len(one.judgement.brief or one.judgement.finding) <= 140 for one in found.claims)


def test_the_page_quotes_the_stored_results(tables, found):
    page = (ROOT / "docs" / "paper.md").read_text()
    assert tables.claims_tables(found) in page
    assert found.summaries["headline"] in page


def test_the_stored_tables_are_those_of_the_stored_runs(found):
    """Each figure's CSV, and the claims with their numbers."""
    stored = ROOT / "results" / "figures"
    csvs = [path for path in found.files if path.suffix == ".csv"]
    assert len(csvs) >= 9
    for path in csvs:
        assert path.read_text() == (stored / path.name).read_text(), path.name
    claims = json.loads((stored / "claims.json").read_text())
    assert {row["id"]: row["verdict"] for row in claims} == {
        one.claim.id: one.judgement.verdict for one in found.claims
    }


def test_the_readme_quotes_the_stored_benchmarks():
    assert (ROOT / "results" / "benchmarks.md").read_text().strip() in (
        ROOT / "README.md"
    ).read_text()


def test_the_headline_is_the_documented_command(found):
    """`dilute run mnist --model conv4 --alpha 100 --copies all` is one of the stored runs."""
    spec = RunSpec(data="mnist", model="conv4", alpha=100, copies="all")
    assert Store(STORE).get(spec.key()).accuracy.selected >= 0.90


def test_every_stored_record_of_the_studies_is_readable():
    for folder in (GRADIENTS, LAWS, RECIPE, COMPARE, RATES):
        records = list(Store(folder).records())
        assert len(records) == len(Store(folder).keys()) >= 9, folder
        assert all(record.status == "done" for record in records)


def test_the_page_on_gradients_quotes_the_stored_results(studies, tmp_path: Path):
    tables, advice = studies
    page = (ROOT / "docs" / "gradients.md").read_text()
    for name, table in tables.summaries(tmp_path).items():
        assert table in page, name
        stored = ROOT / "results" / "figures" / f"{name}.csv"
        assert (tmp_path / f"{name}.csv").read_text() == stored.read_text(), name
    assert tables.cost_table() in page
    assert tables.EXAMPLE.read_text().strip() in page
    assert advice.table(Store(GRADIENTS)) in page


def test_the_page_on_laws_quotes_the_stored_results(studies):
    tables, _ = studies
    page = (ROOT / "docs" / "laws.md").read_text()
    for name in tables.OF_LAWS:
        data = pd.read_csv(ROOT / "results" / "figures" / f"{name}.csv")
        assert STUDIES[name].summary(data, "laptop") in page, name
    assert tables.recipe_table() in page
    assert tables.PLAN_EXAMPLE.read_text().strip() in page


def test_the_page_on_estimates_quotes_the_stored_results(estimates):
    entries = json.loads((ROOT / "results" / "estimate.json").read_text())
    assert estimates.table(entries) in (ROOT / "docs" / "estimate.md").read_text()


@pytest.mark.slow
def test_the_laws_are_those_of_the_stored_runs(studies, tmp_path: Path):
    tables, _ = studies
    tables.law_tables(tmp_path)
    for name in tables.OF_LAWS:
        stored = ROOT / "results" / "figures" / f"{name}.csv"
        # Fits end in other last digits on other processors.
        pd.testing.assert_frame_equal(
            pd.read_csv(tmp_path / f"{name}.csv"), pd.read_csv(stored), rtol=1e-3, obj=name
        )


def test_the_law_of_the_advice_is_that_of_the_stored_runs(studies):
    tables, _ = studies
    fitted, shipped = tables.fitted_law(Store(GRADIENTS)), read_law()
    assert fitted.rate.factor == pytest.approx(shipped.rate.factor)
    assert fitted.rate.power == pytest.approx(shipped.rate.power)
    assert fitted.images.power == pytest.approx(shipped.images.power)
    assert fitted.rate.num_points == shipped.rate.num_points


def test_the_readme_quotes_the_power_of_the_labels_needed():
    page = (ROOT / "docs" / "gradients.md").read_text()
    power = page.partition("| power of 1 + alpha | ")[2].partition(" ")[0]
    readme = (ROOT / "README.md").read_text()
    assert f"`1 + alpha` to the power {float(power):.1f}" in readme
    assert f"`1 + alpha` to the power {power} (" in page


def test_the_page_on_methods_quotes_the_stored_results():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        import compare

        page = (ROOT / "docs" / "methods.md").read_text()
        for part in compare.PARTS:
            assert compare.text_of(part, Store(COMPARE)) in page, part.name
        assert compare.text_of_goals(Store(COMPARE)) in page


def test_the_pages_quote_what_was_measured_of_loading_and_engines(measured):
    for module, name in zip(measured[:2], ("large-data", "cluster"), strict=True):
        results = json.loads((ROOT / "results" / f"{module.__name__}.json").read_text())
        assert module.table(results) in (ROOT / "docs" / f"{name}.md").read_text()


def test_the_page_on_full_scale_counts_the_runs_of_the_figures(measured):
    """From the stored costs of a step: the rows are those of the runs that `reproduce --scale paper` has now."""
    module = measured[2]
    results = json.loads((ROOT / "results" / "full-scale.json").read_text())
    page = (ROOT / "docs" / "full-scale.md").read_text()
    for table in (module.figure_table, module.unit_table, module.billion_table):
        assert table(results) in page
    kinds = [tuple(row[name] for name in module.KIND) for row in results["units"]]
    units = [module.Unit(**row["unit"]) for row in results["units"]]
    again = module.figures(
        dict(zip(kinds, units, strict=True)), module.Assumed(**results["assumed"])
    )
    assert again == [pytest.approx(row) for row in results["figures"]]
