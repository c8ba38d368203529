"""Sweeps: files to runs, what is refused, what is there, claims, and two in one store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_cli import assert_one_line

import dilute
from dilute.cli import main
from dilute.dilution import Visits
from dilute.errors import DiluteError, SpecError
from dilute.runs import Material, RunSpec, Store
from dilute.sweeps import (
    Place,
    engine,
    estimate,
    expand,
    label,
    make_plan,
    places,
    run_sweep,
    share,
    standing,
    varied_fields,
)
from dilute.sweeps.crew import Member
from dilute.sweeps.plan import planned_steps
from dilute.sweeps.workers import Setting, Step, Stopped, Task

QUICK = {
    "data": "digits",
    "model": "perceptron",
    "batch_size": 32,
    "budget_steps": 5,
    "curve_points": 1,
}


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]):
    """Run a command in this process: exit code, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


def write(path: Path, document: object) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


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
            ({"alpha": 3}, "unknown key 'alpha'; known: base, grid, list, zip; fields of all runs go under base"),
            ({"base": [1]}, "base has [1]; it must be a mapping"),
            ({"base": {**QUICK, "alhpa": 1}}, "unknown field 'alhpa'; did you mean alpha"),
            ({"base": QUICK, "grid": {"noise.dleta": [1]}}, "unknown field of noise 'dleta'; did you mean delta"),
            ({"base": QUICK, "grid": {"alpha.x": [1]}}, "alpha.x cannot be"),
            ({"base": QUICK, "grid": {}}, "grid is empty"),
            ({"base": QUICK, "grid": {"alpha": []}}, "alpha is []; it must be a list of at least one"),
            ({"base": QUICK, "grid": {"alpha": 3}}, "alpha is 3; it must be a list"),
            ({"base": QUICK, "grid": {"alpha": [[1, 2]]}}, "alpha is [1, 2]; it must be a single value"),
            ({"base": {**QUICK, "optimizer": ["sgd"]}}, "optimizer is ['sgd']; it must be a single value; lists of values go under grid"),
            ({"base": {**QUICK, "alpha": True}}, "alpha is True; no field is true or false"),
            ({"base": QUICK, "grid": {"alpha": [1, "many"]}}, "run alpha = many: alpha = 'many': it should be a valid number"),
            ({"base": QUICK, "grid": {"alpha": [1, -1], "seed": [0, 3]}}, "run alpha = -1, seed = 0: alpha = -1: it should be greater"),
            ({"base": QUICK, "grid": {"budget_epochs": [1]}}, "run budget_epochs = 1: the budget is given as budget_steps and budget_epochs; give exactly one"),
            ({"base": {**QUICK, "rate": 0.5}, "grid": {"alpha": [1]}}, "noise is given as alpha = 1 and rate = 0.5"),
            ({"base": QUICK, "zip": {"alpha": [1, 2], "seed": [1]}}, "alpha has 2, seed has 1; give equal lengths"),
            ({"base": QUICK, "grid": {"seed": [1]}, "list": [{"seed": 2}]}, "seed is varied under grid and under list"),
            ({"base": QUICK, "list": {"seed": 2}}, "it must be a list of mappings"),
            ({"base": QUICK, "list": [3]}, "list has 3; it must be a mapping"),
            ({"base": {**QUICK, "noise": "unifrom", "alpha": 1}}, "did you mean uniform"),
            ({"base": {**QUICK, "noise": {"delta": 1}, "alpha": 1}}, "give a pattern's name"),
            ({"base": QUICK, "grid": {"noise": ["pair"], "noise.delta": [1]}}, "delta has no meaning for pair noise"),
            ({"base": {"model": "mlp1"}}, "Field required"),
            ({"base": QUICK, "grid": {"seed": list(range(400)), "alpha": list(range(251))}}, "100,400 runs (400 × 251); at most 100,000"),
            ({"base": QUICK, "grid": {n: list(range(2, 9000)) for n in ("seed", "alpha", "batch_size", "num_clean")}}, "runs (8,998 × 8,998 × 8,998 × 8,998)"),
        ],
    )  # fmt: skip
    def test_documents_that_cannot_be(self, document: object, says: str):
        with pytest.raises(SpecError) as caught:
            expand(document)
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)

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
            (b"&a [*a]", "it holds [[["),
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


class TestPlan:
    @pytest.mark.parametrize(
        ("varied", "says"),
        [
            ({"data": ["digits", "digist"]}, "did you mean digits"),
            ({"num_clean": [10, 5000]}, "run num_clean = 5000: num_clean = 5,000 and a held-out share"),
            ({"model": ["mlp1", "conv44"]}, "did you mean conv4"),
            ({"model": ["mlp1", "json:loads"]}, "run model = json:loads: model 'json:loads' cannot be built"),
            ({"alpha": [1, 1e15]}, "take alpha ≤"),
            ({"noise": [{"pattern": "structured", "order": "random", "delta": 1}], "alpha": [20, 3]}, "run alpha = 3: structured noise with delta = 1"),
            ({"noise": [{"pattern": "asymmetric", "class_map": {1: 99}}], "alpha": [1]}, "class map 1→99"),
            ({"noisy_images": ["mnist5k"], "alpha": [1]}, "images of mnist5k have shape (1, 28, 28)"),
            ({"labels_hash": ["abc"]}, "were read from a file"),
            ({"heldout_fraction": [0.9999]}, "leaves none to train on"),
            ({"heldout_hash": ["abc"], "heldout_fraction": [0], "heldout_labels": ["clean"]}, "run it with --heldout"),
        ],
    )  # fmt: skip
    def test_runs_that_their_data_make_impossible(self, varied: dict, says: str):
        with pytest.raises(DiluteError) as caught:
            make_plan(expand({"base": QUICK, "grid": varied}))
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_models_are_built_once(self, monkeypatch: pytest.MonkeyPatch):
        built = []
        from dilute.runs import sets

        real = sets.build
        monkeypatch.setattr(sets, "build", lambda *model: built.append(model) or real(*model))
        make_plan(
            expand({"base": QUICK, "grid": {"seed": [0, 1, 2], "model": ["mlp1", "perceptron"]}})
        )
        assert sorted(name for name, *_ in built) == ["mlp1", "perceptron"]

    def test_own_data_get_their_own_name(self, tmp_path: Path):
        rng = np.random.default_rng(0)
        np.savez(tmp_path / "f.npz", x=rng.normal(size=(40, 3)), y=np.arange(40) % 2)
        name = f"npz:{tmp_path / 'f.npz'}"
        document = {"base": {**QUICK, "data": name}, "grid": {"alpha": [1, 2]}}
        plan = make_plan(expand(document))
        (own,) = {spec.data for spec in plan.specs.values()}
        assert own.startswith("npz@")
        assert plan.sources[own].load_name == name
        again = make_plan(plan.specs.values(), sources={own: name})
        assert again.specs == plan.specs

    @pytest.mark.parametrize(
        "fields",
        [
            {"alpha": 3},
            {"alpha": 3, "copies": 1},
            {"alpha": 4, "copies": 2},
            {"alpha": 2.5, "copies": 3},
            {"alpha": 2.5, "copies": 2, "num_clean": 300},
            {"rate": 0.5},
            {},
            {"alpha": 2, "noisy_images": "white_noise"},
            {"alpha": 2, "noisy_images": "white_noise:719", "copies": 3},
            {"alpha": 4, "noisy_images": "digits", "copies": 2},
            {"alpha": 0.5, "noisy_images": "digits", "copies": "expected"},
        ],
    )
    @pytest.mark.parametrize("budget", [{"budget_epochs": 2.5}, {"budget_examples": 20_000}])
    def test_steps_are_known_without_a_table(self, fields: dict, budget: dict, digits):
        quick = {name: value for name, value in QUICK.items() if name != "budget_steps"}
        spec = RunSpec(**quick, **fields, **budget)
        train_set = Material.of(spec, splits=digits).train_set
        exact = spec.num_steps(Visits(train_set, spec.copies, spec.seed))
        sources = make_plan([spec]).sources
        assert abs(planned_steps(spec, sources) - exact) <= 1 + 0.01 * exact

    def test_an_estimate_grows_with_steps(self):
        specs = expand({"base": {**QUICK, "model": "mlp1"}, "grid": {"budget_steps": [100, 1000]}})
        found = estimate(make_plan(specs), specs, workers=2)
        short, long = (found.run_seconds[spec.key()] for spec in specs)
        assert long == pytest.approx(10 * short, rel=0.2)
        assert found.seconds == pytest.approx(long)


def test_shares_of_the_machine(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert share(None, None, "cpu") == [Place("cpu", 1)] * 8
    assert share(2, None, "cpu") == [Place("cpu", 4)] * 2
    assert share(None, 3, "cpu") == [Place("cpu", 3)] * 2
    assert share(20, None, "cpu") == [Place("cpu", 1)] * 20
    assert share(None, None, "cpu", 3) == [Place("cpu", 1)] * 2, "a core for each loader worker"
    assert share(2, None, "cpu", 2) == [Place("cpu", 2)] * 2
    assert share(None, 4, "cpu", 4) == [Place("cpu", 4)]
    monkeypatch.setattr(places, "choose_device", lambda name: torch.device(name or "cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert share(None, None, None) == [Place("cuda:0", 4), Place("cuda:1", 4)]
    assert [place.device for place in share(3, 1, None)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert share(None, None, "cuda:1") == [Place("cuda:1", 8)]
    with pytest.raises(SpecError, match="workers = 0 cannot be"):
        share(0, None, "cpu")
    with pytest.raises(SpecError, match="loader_workers = -1 cannot be"):
        share(None, None, "cpu", -1)


class PreemptedCrew:
    """One worker, told to stop (SIGTERM) each time after it came to the next of some steps, if there is one."""

    def __init__(self, steps: list[int], settings: Sequence[Setting]) -> None:
        self.steps = iter(steps)
        self.given = 0
        self.members = [_OneAtATime(settings[0])]

    def give(self, member: Any, task: Task) -> None:
        self.given += 1
        member.take(task)

    def events(self, _: float) -> Iterator[tuple[Any, Any]]:
        (member,) = self.members
        step = next(self.steps, None)
        if step is not None:
            member.step = Step(step, 100, 1.0, None)
            yield member, Stopped()

    def stop(self, _: float) -> Iterator[tuple[Any, Any]]:
        return iter(())

    def kill(self) -> None:
        pass


class _OneAtATime(Member):
    is_running = True

    @property
    def is_idle(self) -> bool:
        return self.task is None


@pytest.mark.parametrize(
    ("steps", "failed"),
    [([10, 20, 30, 40, 50, 60, 60, 60], 1), ([7, 7, 7], 1), ([7, 7, 9, 9, 12], 0)],
)
def test_stops_count_only_while_a_run_comes_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: list[int], failed: int
):
    """As spot machines stop it, run by run a little further."""
    crews: list[PreemptedCrew] = []

    def crew(settings: Sequence[Setting], hang_seconds: float) -> PreemptedCrew:
        crews.append(PreemptedCrew(steps, settings))
        return crews[0]

    @contextmanager
    def until_all_are_told() -> Iterator[Callable[[], bool]]:
        yield lambda: bool(crews) and crews[0].given > len(steps)

    monkeypatch.setattr(engine, "LocalCrew", crew)
    monkeypatch.setattr(engine, "stop_requests", until_all_are_told)
    found = run_sweep([RunSpec(data="digits", model="perceptron")], tmp_path, workers=1)
    assert (found.failed, found.left) == (failed, 1 - failed)
    for message in found.failures.values():
        assert message == "the worker was told to stop (SIGTERM) 3 times in one place"


def hold_claim(store: Path, key: str) -> subprocess.Popen:
    """Start a process that holds a claim, and wait until it does."""
    code = (
        "import sys, time; from dilute.runs import Store\n"
        "with Store(sys.argv[1]).claim(sys.argv[2]) as ours: print(ours, flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(store), key], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "True\n"
    return holder


def test_claims(tmp_path: Path):
    store = Store(tmp_path)
    with store.claim("a") as first, store.claim("a") as second, store.claim("b") as other:
        assert (first, second, other) == (True, False, True)
        assert store.keys() == set()
        assert list(store.records()) == []
    assert list(tmp_path.iterdir()) == []
    holder = hold_claim(tmp_path, "a")
    with store.claim("a") as ours:
        assert not ours
    holder.kill()
    holder.communicate()
    assert [path.name for path in tmp_path.iterdir()] == [".a.claim"]
    with store.claim("a") as ours:
        assert ours, "the system has released what the dead process held"
    assert list(tmp_path.iterdir()) == []


class TestCommand:
    def test_dry_run_lists_and_estimates_and_runs_nothing(self, command, tmp_path: Path):
        file = write(tmp_path / "s.yaml", {"base": QUICK, "grid": {"alpha": [1, 2, 3]}})
        store = Store(tmp_path / "runs")
        store.run(RunSpec(**QUICK, alpha=2))
        there = store.keys()
        code, out, err = command("sweep", file, "--store", store.folder, "--dry-run")
        assert code == 0, err
        assert "3 runs: 1 there, 2 to do; about " in out
        assert [line.split()[1] for line in out.splitlines()[1:4]] == ["missing", "done", "missing"]
        assert store.keys() == there
        code, out, _ = command("sweep", file, "--store", store.folder, "--dry-run", "--json")
        document = json.loads(out)
        assert (document["total"], document["there"], document["to_do"]) == (3, 1, 2)
        assert document["estimated_seconds"] > 0
        assert document["runs"][1]["estimated_seconds"] is None

    def test_a_sweep_does_what_is_missing_and_only_that(self, command, tmp_path: Path):
        rng = np.random.default_rng(0)
        np.savez(tmp_path / "f.npz", x=rng.normal(size=(40, 3)), y=np.arange(40) % 2)
        document = [
            {"base": {**QUICK, "num_clean": 200}, "grid": {"alpha": [1, 2]}},
            {"base": {**QUICK, "data": f"npz:{tmp_path / 'f.npz'}"}},
            {"base": {**QUICK, "model": "faulty:fails"}},
            {"base": {**QUICK, "optimizer": "sgd", "learning_rate": 1e30, "model": "mlp2"}},
        ]
        file = write(tmp_path / "s.yaml", document)
        store = tmp_path / "runs"
        code, out, err = command("sweep", file, "--store", store, "--json", "--workers", 1)
        assert code == 1, err
        found = json.loads(out)
        assert [found[name] for name in ("done", "known", "failed", "diverged", "left")] == [3, 0, 1, 1, 0]  # fmt: skip
        assert [run["status"] for run in found["runs"]] == ["done"] * 3 + ["failed", "diverged"]
        assert found["runs"][3]["message"] == "RuntimeError: no luck"
        assert str(tmp_path) not in out
        assert "RuntimeError: no luck" in err
        started = {record.key: record.started for record in Store(store).records()}
        code, out, err = command("sweep", file, "--store", store)
        assert code == 1
        assert "5 runs: 3 known before, 1 failed, 1 diverged" in out
        assert "RuntimeError: no luck" in out
        assert {r.key: r.started for r in Store(store).records()} == started
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FAULTY_IS_WELL", "1")
            code, out, err = command("sweep", file, "--store", store, "--retry-failed")
        assert code == 0, err
        assert "5 runs: 1 done, 3 known before, 1 diverged" in out
        assert "test accuracy" in err
        assert not list(store.glob(".*"))

    def test_what_cannot_be_is_one_line(self, command, tmp_path: Path):
        good = write(tmp_path / "s.yaml", {"base": QUICK})
        bad = write(tmp_path / "bad.yaml", {"base": QUICK, "grid": {"alpha": ["x"]}})
        (tmp_path / "file").write_text("")
        store = ["--store", tmp_path / "runs"]
        assert_one_line(command("sweep", bad, *store), "run alpha = x: alpha = 'x'")
        assert_one_line(command("sweep", tmp_path / "no.yaml", *store), "does not exist")
        assert_one_line(command("sweep", good, "--store", tmp_path / "file" / "runs"), "cannot write")  # fmt: skip
        assert_one_line(command("sweep", good, *store, "--workers", 0), "received 0")
        assert_one_line(command("sweep", good, *store, "--hang-seconds", -1), "hang_seconds = -1")
        assert_one_line(command("sweep", good, *store, "--device", "quantum"), "device 'quantum'")
        assert_one_line(command("sweep", good, *store, "--resize", 8), "resize is not for digits")
        assert not (tmp_path / "runs").exists()

    def test_a_disk_that_is_full_from_the_start(
        self,
        command,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ):
        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        file = write(tmp_path / "s.yaml", {"base": QUICK})
        assert_one_line(command("sweep", file, "--store", tmp_path / "runs"), "the disk is full")
        assert not list((tmp_path / "runs").iterdir())

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
    def test_a_store_that_is_read_only(self, command, tmp_path: Path):
        file = write(tmp_path / "s.yaml", {"base": QUICK})
        (tmp_path / "runs").mkdir(mode=0o500)
        assert_one_line(command("sweep", file, "--store", tmp_path / "runs"), "permission denied")


def test_a_damaged_record_is_named(tmp_path: Path):
    spec = RunSpec(**QUICK)
    (tmp_path / f"{spec.key()}.json").write_text("{")
    with pytest.raises(DiluteError, match="delete it to run again"):
        standing(make_plan([spec]), Store(tmp_path))


def test_the_example_can_be_run():
    file = Path(__file__).parent.parent / "examples" / "sweep.yaml"
    assert len(make_plan(dilute.read_sweep(file)).specs) == 12
