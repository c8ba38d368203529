"""Sweep files to specs: what they expand to, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from sweeping import QUICK

import dilute
from dilute.errors import SpecError
from dilute.sweeps import (
    expand,
    label,
    part_of,
    varied_fields,
)


class TestGrid:
    def test_base_grid_zip_and_list_are_multiplied(self):
        specs = expand(
            {
                "base": QUICK,
                "grid": {"alpha": [1, 2], "seed": [0, 1]},
                "zip": {"model": ["perceptron", "mlp1"], "budget_steps": [5, 6]},
                "list": [{"copies": "all"}, {"copies": 1, "batch_size": 64}],
            }
        )
        assert len(specs) == 2 * 2 * 2 * 2
        assert len({spec.key() for spec in specs}) == 16
        assert {(s.model, s.budget_steps) for s in specs} == {("perceptron", 5), ("mlp1", 6)}
        assert {(s.copies, s.batch_size) for s in specs} == {("all", 32), (1, 64)}
        assert [s.alpha for s in specs[:9]] == [1.0] * 8 + [2.0]
        assert varied_fields(specs) == [
            *["alpha", "model", "seed", "copies", "batch_size", "budget_steps"]
        ]
        assert label(specs[0], ["alpha", "model"]) == "alpha = 1, model = perceptron"

    def test_several_parts_are_joined_and_equal_runs_kept_once(self):
        part = {"base": QUICK, "grid": {"alpha": [1, 1.0, 2]}}
        assert [s.alpha for s in expand([part, part, {"base": QUICK}])] == [1, 2, 0]

    def test_dotted_names_reach_into_the_noise(self):
        noise = {"pattern": "structured", "order": "random"}
        specs = expand(
            {"base": {**QUICK, "alpha": 20, "noise": noise}, "grid": {"noise.delta": [0.1, 0.5]}}
        )
        assert [spec.noise.delta for spec in specs] == [0.1, 0.5]
        assert varied_fields(specs) == ["noise.delta"]
        assert label(specs[1], ["noise.delta"]) == "noise.delta = 0.5"

    def test_noise_by_its_name(self):
        specs = expand(
            {"base": {**QUICK, "alpha": 2}, "grid": {"noise": ["uniform", "pair", "uniform_other"]}}
        )
        assert [spec.noise.pattern for spec in specs] == ["uniform", "pair", "uniform_other"]
        assert varied_fields(specs) == ["noise.pattern"]

    def test_what_is_varied_stands_above_base(self):
        assert [s.batch_size for s in expand({"base": QUICK, "grid": {"batch_size": [8]}})] == [8]

    @pytest.mark.parametrize(
        ("document", "says"),
        [
            (None, "it is empty"),
            ([], "it is empty"),
            ({}, "it is empty"),
            ("text", "it holds 'text'; it must be a mapping"),
            ({"bsae": QUICK}, "unknown key 'bsae'; did you mean base"),
            ({"alpha": 3},
             "unknown key 'alpha'; known: base, grid, list, zip; fields of all runs go under base"),
            ({"base": [1]}, "base has [1]; it must be a mapping"),
            ({"base": {**QUICK, "alhpa": 1}}, "unknown field 'alhpa'; did you mean alpha"),
            ({"base": QUICK, "grid": {"noise.dleta": [1]}},
             "unknown field of noise 'dleta'; did you mean delta"),
            ({"base": QUICK, "grid": {"alpha.x": [1]}}, "alpha.x cannot be"),
            ({"base": QUICK, "grid": {}}, "grid is empty"),
            ({"base": QUICK, "grid": {"alpha": []}},
             "alpha is []; it must be a list of at least one"),
            ({"base": QUICK, "grid": {"alpha": 3}}, "alpha is 3; it must be a list"),
            ({"base": QUICK, "grid": {"alpha": [[1, 2]]}},
             "alpha is [1, 2]; it must be a single value"),
            ({"base": {**QUICK, "optimizer": ["sgd"]}},
             "optimizer is ['sgd']; it must be a single value; lists of values go under grid"),
            ({"base": {**QUICK, "alpha": True}},
             "alpha is True; no field is true or false but nesterov"),
            ({"base": QUICK, "grid": {"alpha": [1, "many"]}},
             "run alpha = many: alpha = 'many': it should be a valid number"),
            ({"base": QUICK, "grid": {"alpha": [1, -1], "seed": [0, 3]}},
             "run alpha = -1, seed = 0: alpha = -1: it should be greater"),
            ({"base": QUICK, "grid": {"budget_epochs": [1]}},
             "run budget_epochs = 1: the budget is given as budget_steps and budget_epochs; "
             "give exactly one"),
            ({"base": {**QUICK, "rate": 0.5}, "grid": {"alpha": [1]}},
             "noise is given as alpha = 1 and rate = 0.5"),
            ({"base": QUICK, "zip": {"alpha": [1, 2], "seed": [1]}},
             "alpha has 2, seed has 1; give equal lengths"),
            ({"base": QUICK, "grid": {"seed": [1]}, "list": [{"seed": 2}]},
             "seed is varied under grid and under list"),
            ({"base": QUICK, "list": {"seed": 2}}, "it must be a list of mappings"),
            ({"base": QUICK, "list": [3]}, "list has 3; it must be a mapping"),
            ({"base": {**QUICK, "noise": "unifrom", "alpha": 1}}, "did you mean uniform"),
            ({"base": {**QUICK, "noise": {"delta": 1}, "alpha": 1}}, "give a pattern's name"),
            ({"base": QUICK, "grid": {"noise": ["pair"], "noise.delta": [1]}},
             "delta has no meaning for pair noise"),
            ({"base": {"model": "mlp1"}}, "Field required"),
            ({"base": QUICK, "grid": {"seed": list(range(400)), "alpha": list(range(251))}},
             "100,400 runs (400 × 251); at most 100,000"),
            ({"base": QUICK,
              "grid": {
                  n: list(range(2, 9000)) for n in ("seed", "alpha", "batch_size", "num_clean")}},
             "runs (8,998 × 8,998 × 8,998 × 8,998)"),
        ],
    )  # fmt: skip
    def test_documents_that_cannot_be(self, document: object, says: str):
        with pytest.raises(SpecError) as caught:
            expand(document)
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_parts_of_a_sweep_make_the_whole(self):
        specs = expand({"base": QUICK, "grid": {"seed": list(range(7))}})
        parts = [part_of(specs, f"{number}/3") for number in (1, 2, 3)]
        assert [spec.seed for spec in parts[0]] == [0, 3, 6]
        assert sorted(spec.seed for part in parts for spec in part) == list(range(7))
        for part, says in (
            ("8/8", "part 8/8 of 7 runs has none; take N ≤ 7"),
            ("0/3", "part 0/3 cannot be; I must be 1 to N"),
            ("a/3", "part 'a/3' cannot be read; give I/N as in 1/8"),
        ):
            with pytest.raises(SpecError) as caught:
                part_of(specs, part)
            assert str(caught.value) == says

    def test_methods_by_their_names_of_before_and_of_now(self):
        old = {"method": ["forward_known", "forward_estimated"]}
        new = {"method": ["forward"], "method_options.matrix": ["known", "estimated"]}
        assert expand({"base": QUICK, "grid": old}) == expand({"base": QUICK, "grid": new})

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"", "it is empty"),
            (b"base: {data: digits", "line 1 is no YAML that can be read"),
            (b"base:\n  data: digits\n data: x\n", "line 3 is no YAML"),
            (b"grid: {seed: [1], seed: [2]}", "'seed' is given twice"),
            (b"\xff\xfe\x00", "no text in UTF-8"),
            (b"a: \x07", "no YAML that can be read"),
            (b"!!python/object/apply:os.getcwd []", "could not determine a constructor"),
            (b"&a [*a]", "line 1 is no YAML that can be read: it names itself"),
            (b"[" * 500, "nested too deeply"),
            (b"? [1]\n: 2", "no YAML that can be read"),
        ],
    )
    def test_files_that_cannot_be_read(self, tmp_path: Path, content: bytes, says: str):
        path = tmp_path / "sweep.yaml"
        path.write_bytes(content)
        with pytest.raises(SpecError, match=r"^sweep file [^\n]*$") as caught:
            dilute.read_sweep(path)
        assert says in str(caught.value)

    def test_files_that_are_none(self, tmp_path: Path):
        for path, says in (
            (tmp_path / "no.yaml", "does not exist"),
            (tmp_path, "cannot be read: Is a directory"),
            (Path("x" * 300), "cannot be read: File name too long"),
            (Path("a\0b"), "cannot be read"),
        ):
            with pytest.raises(SpecError, match=says):
                dilute.read_sweep(path)
