from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dilute.errors import StoreError
from dilute.gradients import GradientPoint, Interval
from dilute.runs import RunRecord, RunSpec, Store
from dilute.studies import ALL, STUDIES, advice_law, critical_batch, grouping, races
from dilute.studies.noise_scale import exponent, exponents, judge
from dilute.study import reproduce_studies
from dilute.sweeps import run_sweep
from dilute.training import CurvePoint

pytestmark = pytest.mark.numerical

SPEC = RunSpec(data="digits", model="perceptron", alpha=2)


def record_of(points: list[CurvePoint], **options) -> RunRecord:
    spec = RunSpec(**{**SPEC.canonical(), **options})
    return RunRecord(
        key=spec.key(), status="done", spec=spec.canonical(), seconds=1.0, code="", started="",
        images_per_second=50.0, curve=points,
    )  # fmt: skip


OWN = [study for name, study in STUDIES.items() if name not in {*ALL, "headline"}]


def test_every_study_has_runs_at_every_scale_each_once():
    for study in (*OWN, STUDIES["noise-scale"]):
        assert set(study.notes) == {"smoke", "laptop", "paper"}
        for scale in ("smoke", "laptop", "paper"):
            keys = [spec.key() for spec in study.runs(scale)]
            assert len(keys) == len(set(keys)), (study.name, scale)
            assert bool(keys) is (study.measure is None), (study.name, scale)


def test_every_study_goes_from_runs_to_a_picture(tmp_path: Path):
    def train(specs) -> None:
        assert not run_sweep(specs, tmp_path / "runs", keep_weights=False).failures

    chosen = [study for study in OWN if study.measure is None] + [STUDIES["noise-scale"]]
    store, out = Store(tmp_path / "runs"), tmp_path / "out"
    found = reproduce_studies(chosen, "smoke", store, out, train)
    for study in chosen:
        for ending in ("png", "svg", "csv") if study.draw else ("csv",):
            assert (out / f"{study.name}.{ending}").stat().st_size > 0
        assert found.summaries[study.name]


def test_what_a_study_measures_is_kept_and_measured_once(tmp_path: Path):
    """Estimates of planted noise, which are no runs of a store."""
    study, store = STUDIES["planted-noise"], Store(tmp_path / "runs")
    with pytest.raises(StoreError, match=r"planted-noise.json lacks what planted-noise measures"):
        reproduce_studies([study], "smoke", store, tmp_path)
    first = reproduce_studies([study], "smoke", store, tmp_path, train=lambda specs: None)
    assert "| digits | uniform | " in first.summaries["planted-noise"]
    again = reproduce_studies([study], "smoke", store, tmp_path)
    assert again.summaries == first.summaries
    with pytest.raises(StoreError, match="at laptop scale"):
        reproduce_studies([study], "laptop", store, tmp_path)


@pytest.mark.slow
def test_full_scale_is_counted_and_timed(tmp_path: Path):
    study = STUDIES["full-scale"]
    found = reproduce_studies([study], "smoke", Store(tmp_path), tmp_path, train=lambda specs: None)
    assert [row["figure"] for row in found.data["full-scale"]["figures"]] == ["fig1", "fig3"]
    assert "| fig3 | " in found.summaries["full-scale"]


# The noise scale


def looks(power: float, *, spread: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        {
            "model": "mlp1",
            "step": step,
            "alpha": alpha,
            "seed": seed,
            "label_noise_scale": 80 * (1 + alpha) ** power * math.exp(spread * rng.normal()),
        }
        for step in (0, 250)
        for alpha in (0, 5, 20, 50)
        for seed in range(3)
    ]
    return pd.DataFrame(rows)


def test_exponents_are_found_with_intervals_that_cover():
    assert exponents(looks(1.5), "label_noise_scale")["mlp1", 0].value == pytest.approx(1.5)
    rng = np.random.default_rng(1)
    sizes = np.array([3.0, 6.0, 11.0, 21.0, 51.0])
    covers = []
    for _ in range(400):
        found = exponent(sizes, sizes**1.3 * np.exp(0.3 * rng.normal(size=5)))
        covers.append(found.low <= 1.3 <= found.high)
    assert 0.92 < np.mean(covers) < 0.98
    assert exponent([2, 2, 2], [1, 2, 3]) is None


@pytest.mark.parametrize(
    ("power", "verdict"), [(2.0, "reproduced"), (0.0, "not reproduced"), (-1.0, "not reproduced")]
)
def test_the_claim_is_judged_by_growth(power: float, verdict: str):
    assert judge(looks(power, spread=0.1)).verdict == verdict


def test_looks_become_rows():
    look = GradientPoint(0.5, Interval(10.0, 8.0, None), Interval(100.0, 80.0, 120.0))
    record = record_of(
        [CurvePoint(0, 0, 0, gradient=look), CurvePoint(10, 80, 160, 1.0)], log_gradients=True
    )
    (row,) = STUDIES["noise-scale"].table([record]).to_dict("records")
    assert (row["step"], row["noise_scale"], row["label_noise_scale_high"]) == (0, 10.0, 120.0)
    assert row["noise_scale_high"] is None or math.isnan(row["noise_scale_high"])


# Races to a fixed accuracy


def curve(*accuracies: float) -> list[CurvePoint]:
    return [
        CurvePoint(k, 100 * k, 100 * k, 1.0, heldout_accuracy=a, test_accuracy=a - 0.1)
        for k, a in enumerate(accuracies, start=1)
    ]


def test_images_to_an_accuracy_are_read_between_points():
    record = record_of(curve(0.4, 0.6, 1.0, 0.7, 0.9))
    assert races.images_to(record, 0.8, "heldout_accuracy") == pytest.approx(250)
    assert races.images_to(record, 0.5, "test_accuracy") == pytest.approx(200)
    assert races.images_to(record, 0.2, "heldout_accuracy") == pytest.approx(50)
    assert races.images_to(record, 0.95, "test_accuracy") is None


def test_heldout_labels_choose_the_rate_and_the_test_set_reports():
    records = [
        record_of(curve(0.5, 1.0), learning_rate=1e-3, heldout_labels="clean"),
        record_of(curve(0.9, 1.0), learning_rate=3e-3, heldout_labels="clean"),
        record_of(curve(0.5, 0.6), learning_rate=1e-2, heldout_labels="clean"),
    ]
    chosen = races.fastest(races.race_table(records), ["alpha", "batch_size", "seed"])
    (row,) = chosen.to_dict("records")
    assert row["learning_rate"] == 3e-3
    assert row["is_inside"]
    assert row["images"] == pytest.approx(100.0)  # of the test set, which is 0.1 behind


def test_the_tradeoff_is_found_and_its_intervals_cover():
    rng = np.random.default_rng(0)
    sizes = np.repeat([32.0, 128.0, 512.0, 2048.0, 8192.0], 2)
    covers = []
    for _ in range(200):
        images = 20_000 * (1 + sizes / 1500) * np.exp(0.15 * rng.normal(size=len(sizes)))
        found = critical_batch.tradeoff(sizes, images)
        covers.append(
            [
                found.fewest_interval[0] <= 20_000 <= found.fewest_interval[1],
                found.critical_interval[0] <= 1500 <= found.critical_interval[1],
            ]
        )
    assert (np.mean(covers, axis=0) > 0.9).all()
    assert critical_batch.tradeoff([32, 32, 64, 64], [1, 2, 3, 4]) is None


def test_the_rate_law_is_found():
    rows = [
        {"alpha": alpha, "batch_size": size, "images": images * (1 + size / critical)}
        | {"learning_rate": 0.01 * (1 + critical / size) ** -0.5}
        for alpha, images, critical in ((0, 1e3, 200), (20, 1e5, 9000))
        for size in (32, 128, 512, 2048)
    ]
    data = pd.DataFrame(rows)
    law = critical_batch.rate_law(data, critical_batch.tradeoffs(data))
    assert law.power == pytest.approx(0.5, rel=1e-3)
    assert law.peak == pytest.approx(0.01, rel=1e-3)


def test_grouping_compares_with_the_single_labels_of_the_other_study():
    batch_runs = {spec.key() for spec in critical_batch.specs("laptop")}
    extras = grouping.extras("laptop")
    assert {spec.key() for spec in extras} <= batch_runs
    assert {spec.alpha for spec in extras} == {20, 50}
    assert {spec.copies for spec in extras} == {1}


# The law behind the advice


def test_the_advice_law_finds_what_was_planted():
    """Rates with a known best, and lengths after which 95 % is learned."""
    rows = []
    for data in ("mnist", "cifar10"):
        for alpha, scale in ((0, 100.0), (10, 1000.0), (40, 10_000.0)):
            known = {"data": data, "model": "mlp1", "alpha": alpha, "seed": 0}
            rows.append({**known, "scale": scale, "batch_size": 2048, "steps": 1, "gain": None})
            for size, steps in ((32, 1600), (128, 400), (512, 100)):
                best = 0.01 * (1 + scale / size) ** -0.5
                rows += [
                    {**known, "batch_size": size, "steps": steps, "learning_rate": rate}
                    | {"gain": 1 - 0.01 * math.log(rate / best) ** 2, "scale": None}
                    for rate in (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
                ]
    data = advice_law.select(pd.DataFrame(rows), "laptop")
    inside = data[(data["kind"] == "rate") & data["is_inside"]]
    assert len(inside) >= 12
    np.testing.assert_allclose(inside["y"], 0.01 * inside["x"] ** -0.5, rtol=1e-3)


def test_images_needed_are_read_between_lengths():
    lengths = [50, 100, 200, 400, 800]
    runs = pd.DataFrame(
        [
            {"steps": steps, "gain": gain, "batch_size": 128}
            for steps, gain in zip(lengths, [0.5, 0.8, 0.9, 1.0, 1.0], strict=True)
        ]
    )
    assert advice_law._images_needed(runs) == pytest.approx(128 * 200 * math.sqrt(2))
    assert advice_law._images_needed(runs[:2]) is None
