"""What the README quotes is what the stored results say."""

from __future__ import annotations

from pathlib import Path

import pytest

from dilute.runs import RunSpec
from dilute.store import Store

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def headline():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        import headline

        return headline


def test_the_readme_quotes_the_stored_results(headline):
    store = Store(ROOT / "results" / "headline")
    records = [store.get(spec.key()) for spec in headline.specs()]
    assert all(record is not None and record.status == "done" for record in records)
    assert headline.table(records) in (ROOT / "README.md").read_text()


def test_the_readme_quotes_the_stored_benchmarks():
    assert (ROOT / "results" / "benchmarks.md").read_text().strip() in (
        ROOT / "README.md"
    ).read_text()


def test_the_headline_is_the_documented_command(headline):
    """`dilute run mnist --model conv4 --alpha 100 --copies all` is one of the stored runs."""
    assert RunSpec(data="mnist", model="conv4", alpha=100, copies="all").key() in {
        s.key() for s in headline.specs()
    }


def test_the_papers_headline_holds_in_the_stored_results(headline):
    """Claim `mnist-alpha100`: test accuracy ≥ 0.90 at alpha = 100, here with grouped copies."""
    store = Store(ROOT / "results" / "headline")
    for spec in headline.specs():
        record = store.get(spec.key())
        assert record.accuracy.selected >= 0.90
