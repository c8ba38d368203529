"""Methods and noise patterns of a stranger's own, wherever one can be named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from plugins import Broken, Neighbouring, PolyLoss, Renamed
from pydantic import Field, TypeAdapter, ValidationError

import dilute
from dilute.cli import main
from dilute.data import Splits
from dilute.dilution import DilutedSet
from dilute.errors import NoiseError, SpecError, validation_line
from dilute.methods import GCE, Forward, Method, describe_method, make_method
from dilute.noise import NoisePattern, Uniform, as_pattern, make_pattern
from dilute.runs import Material, RunSpec, Store, run_one
from dilute.study import outcomes, ranking
from dilute.study.contest import Contest, Entries, entries_of
from dilute.sweeps import run_sweep
from dilute.training import Recipe

QUICK = {
    "data": "digits",
    "model": "perceptron",
    "num_clean": 100,
    "batch_size": 32,
    "budget_steps": 4,
    "curve_points": 1,
}
LOSS, PATTERN = "plugins:PolyLoss", "plugins:Neighbouring"


class TestOwnMethod:
    def test_by_name_and_by_instance_are_one_recipe(self):
        named = Recipe(method=LOSS, method_options={"epsilon": 2})
        assert Recipe(method=PolyLoss(epsilon=2.0)) == named
        assert (named.method, named.method_options) == (LOSS, {"epsilon": 2.0})
        assert named.make_method() == PolyLoss(epsilon=2.0)
        assert Recipe(method=PolyLoss(epsilon=1)) == Recipe(method=LOSS)
        assert "method_options" not in Recipe(method=LOSS).canonical()

    def test_the_packages_own_may_be_instances_too(self):
        assert Recipe(method=GCE(q=0.5)) == Recipe(method="gce", method_options={"q": 0.5})
        assert Recipe(method="dilute.methods:GCE") == Recipe(method="gce")
        assert Recipe(method=Forward(matrix="known")) == Recipe(method="forward_known")

    def test_the_key_comes_again(self):
        spec = RunSpec(**QUICK, method=PolyLoss(epsilon=2))
        again = RunSpec.model_validate(json.loads(json.dumps(spec.canonical())))
        assert again.key() == spec.key() != RunSpec(**QUICK, method=LOSS).key()

    def test_it_trains_and_may_log_gradients(self, digits: Splits):
        spec = RunSpec(**QUICK, alpha=2, method=LOSS, log_gradients=True)
        record = run_one(Material.of(spec, splits=digits)).record
        assert record.status == "done", record.message
        assert record.spec["method"] == LOSS

    def test_a_noisy_set_in_hand_is_fitted_with_instances(self, digits: Splits):
        noisy = DilutedSet(digits.train, 2.0, Neighbouring(width=0.5))
        quick = Recipe(batch_size=32, budget_steps=2, curve_points=1)
        fit = dilute.fit(noisy, model="perceptron", method=PolyLoss(epsilon=2), recipe=quick)
        spec = fit.record.spec
        assert (spec["method"], spec["method_options"]) == (LOSS, {"epsilon": 2.0})
        assert spec["noise"] == {"pattern": PATTERN, "width": 0.5}
        dilute.fit(noisy, model="perceptron", method=dilute.methods.GCE(q=0.5), recipe=quick)

    def test_its_title_is_its_own(self):
        assert describe_method(LOSS) == ("PolyLoss", "single labels")
        assert describe_method("plugins:Renamed").title == "Renamed"
        assert make_method("plugins:Renamed", q=0.5) == Renamed(q=0.5)
        assert describe_method("no_such_module:Loss") == ("no_such_module:Loss", "unknown")

    @pytest.mark.parametrize(
        ("name", "options", "says"),
        [
            ("no_such_module:Loss", {}, "cannot be imported (ModuleNotFoundError"),
            ("plugins:NoLoss", {}, "cannot be imported (AttributeError"),
            ("plugins:a_function", {}, "is of type function; it must be a subclass of"),
            ("plugins:Neighbouring", {}, "is Neighbouring; it must be a subclass of"),
            (LOSS, {"q": 1}, f"q has no meaning for method {LOSS}, which takes epsilon"),
            (LOSS, {"epsilon": -2}, "epsilon = -2: it should be greater than or equal to -1"),
            (":", {}, "cannot be imported"),
        ],
    )
    def test_what_cannot_be_is_said(self, name: str, options: dict, says: str):
        with pytest.raises(SpecError) as caught:
            make_method(name, **options)
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)
        with pytest.raises(ValidationError) as refused:
            Recipe(method=name, method_options=options)
        assert says in validation_line(refused.value)

    def test_a_class_that_no_record_can_name_is_refused(self):
        class Hidden(PolyLoss):
            pass

        with pytest.raises(ValidationError, match="cannot be named in a record"):
            Recipe(method=Hidden())
        with pytest.raises(ValidationError, match="give them to the method"):
            Recipe(method=PolyLoss(), method_options={"epsilon": 2})


class TestOwnPattern:
    def test_by_name_mapping_and_instance_are_one_spec(self):
        specs = [
            RunSpec(**QUICK, alpha=2, noise=noise)
            for noise in (PATTERN, {"pattern": PATTERN, "width": 1}, Neighbouring())
        ]
        assert specs[0] == specs[1] == specs[2]
        assert specs[0].canonical()["noise"] == {"pattern": PATTERN, "width": 1.0}
        again = RunSpec.model_validate(json.loads(json.dumps(specs[0].canonical())))
        assert again.key() == specs[0].key()
        assert specs[0].key() != RunSpec(**QUICK, alpha=2, noise=Neighbouring(width=2)).key()

    def test_a_type_adapter_takes_it(self):
        adapter = TypeAdapter(NoisePattern)
        text = adapter.dump_json(Neighbouring(width=2))
        assert adapter.validate_json(text) == Neighbouring(width=2)
        assert adapter.validate_python("uniform") == Uniform()

    def test_it_is_drawn_and_kept_in_a_labels_file(self, digits: Splits, tmp_path: Path):
        noisy = DilutedSet(digits.train, 3.0, Neighbouring(width=0.5), seed=1)
        path = tmp_path / "labels.parquet"
        dilute.write_labels(noisy, path)
        again = dilute.read_labels(path, digits.train)
        assert again.noise == Neighbouring(width=0.5)
        np.testing.assert_array_equal(again.counts(), noisy.counts())

    @pytest.mark.parametrize(
        ("name", "options", "says"),
        [
            ("no_such_module:Noise", {}, "cannot be imported (ModuleNotFoundError"),
            ("plugins:NoNoise", {}, "cannot be imported (AttributeError"),
            (LOSS, {}, "is PolyLoss; it must be a subclass of dilute.noise"),
            (PATTERN, {"delta": 1}, f"delta has no meaning for {PATTERN} noise, which takes width"),
            (PATTERN, {"width": 0}, "width = 0: it should be greater than 0"),
            ("plugins:Broken", {}, "plugins:Broken noise needs how"),
        ],
    )
    def test_what_cannot_be_is_said(self, name: str, options: dict, says: str):
        with pytest.raises(NoiseError) as caught:
            make_pattern(name, **options)
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)
        with pytest.raises(ValidationError) as refused:
            RunSpec(**QUICK, alpha=2, noise={"pattern": name, **options})
        assert says in validation_line(refused.value)

    @pytest.mark.parametrize(
        ("how", "says"),
        [
            ("raises", "gives no matrix (ZeroDivisionError: on purpose)"),
            ("shape", "of shape (11, 11); with 10 classes it must be 10×10"),
            ("negative", "row 0 has entries from -1 and sums to -10"),
            ("sum", "row 0 has entries from 1 and sums to 10"),
        ],
    )
    def test_what_is_no_matrix_is_said(self, digits: Splits, how: str, says: str):
        with pytest.raises(NoiseError) as caught:
            DilutedSet(digits.train, 2.0, Broken(how=how))
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_class_that_no_record_can_name_is_refused(self, digits: Splits):
        class Hidden(Neighbouring):
            strength: float = Field(1.0)

        DilutedSet(digits.train, 2.0, Hidden())  # to look at, it needs no name
        with pytest.raises(NoiseError, match="cannot be named in a record"):
            as_pattern(Hidden())


DOCUMENT = {
    "base": {**QUICK, "alpha": 2, "method": LOSS, "noise": PATTERN},
    "grid": {"method_options.epsilon": [0.5, 1.0], "noise.width": [0.5, 2.0]},
}


def test_a_sweep_file_reaches_their_options(tmp_path: Path):
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(DOCUMENT))
    specs = dilute.read_sweep(path)
    assert [(s.make_method(), s.noise) for s in specs] == [
        (PolyLoss(epsilon=epsilon), Neighbouring(width=width))
        for epsilon in (0.5, 1.0)
        for width in (0.5, 2.0)
    ]
    path.write_text(yaml.safe_dump({**DOCUMENT, "grid": {"noise.wdith": [1]}}))
    with pytest.raises(SpecError, match=r"^[^\n]*wdith has no meaning for plugins:Neighbouring"):
        dilute.read_sweep(path)


def test_workers_and_comparisons_take_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In processes of their own, which import the module anew."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")
    assert entries_of([LOSS, "gce"]) == (LOSS, "gce")
    noise = {"alpha": 2.0, "noise": {"pattern": PATTERN, "width": 2.0}}
    contest = Contest("digits", "perceptron", noise, Entries((LOSS, "gce"), seeds=(0,)), 400)
    store = Store(tmp_path)
    result = run_sweep(contest.specs(1437), store, workers=1)
    assert (result.done, result.failed) == (2, 0)
    standings = ranking(outcomes(store.records()))
    assert {(one.method, one.title) for one in standings} == {(LOSS, "PolyLoss"), ("gce", "GCE")}
    assert standings[0].setting.endswith(f"{PATTERN.replace('_', ' ')}, dilution")


def test_commands_take_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = ["run", "digits", "--model", "perceptron", "--alpha", "2", "--steps", "3", "--json"]
    run += ["--store", str(tmp_path), "--method", LOSS, "--method-option", "epsilon=2"]
    assert main([*run, "--noise", PATTERN]) == 0
    spec = json.loads(capsys.readouterr().out)["spec"]
    assert spec["method_options"] == {"epsilon": 2.0}
    assert spec["noise"] == {"pattern": PATTERN, "width": 1.0}
    assert main([*run, "--noise", "plugins:NoNoise"]) == 1
    assert "cannot be imported" in capsys.readouterr().err


def test_a_method_needs_a_matrix_word_or_rows():
    assert issubclass(Forward, Method)
    with pytest.raises(
        SpecError, match=r"matrix = 'knwon': it must be known, estimated, or K rows"
    ):
        make_method("forward", matrix="knwon")
