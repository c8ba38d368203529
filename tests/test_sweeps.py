"""Sweeps: plans, what is refused, what is there, claims, and two in one store."""

from __future__ import annotations

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

import dilute
from dilute.dilution import Visits
from dilute.errors import DiluteError, SpecError
from dilute.runs import Material, RunSpec, Store
from dilute.sweeps import (
    Place,
    at_work,
    engine,
    estimate_seconds,
    expand,
    make_plan,
    places,
    run_sweep,
    share,
    stored_runs,
)
from dilute.sweeps.crew import Member
from dilute.sweeps.planned import planned_steps
from dilute.sweeps.workers import Step, Stopped, Task, WorkerSetting

QUICK = {
    "data": "digits",
    "model": "perceptron",
    "batch_size": 32,
    "budget_steps": 5,
    "curve_points": 1,
}


class TestPlan:
    @pytest.mark.parametrize(
        ("varied", "says"),
        [
            ({"data": ["digits", "digist"]}, "did you mean digits"),
            ({"num_clean": [10, 5000]},
             "run num_clean = 5000: num_clean = 5,000 and a held-out share"),
            ({"model": ["mlp1", "conv44"]}, "did you mean conv4"),
            ({"model": ["mlp1", "json:loads"]},
             "run model = json:loads: model 'json:loads' cannot be built"),
            ({"alpha": [1, 1e15]}, "take alpha ≤"),
            ({"noise": [{"pattern": "structured", "order": "random", "delta": 1}],
              "alpha": [20, 3]},
             "run alpha = 3: structured noise with delta = 1"),
            ({"noise": [{"pattern": "asymmetric", "class_map": {1: 99}}], "alpha": [1]},
             "class map 1→99"),
            ({"noisy_images": ["mnist5k"], "alpha": [1]},
             "images of mnist5k have shape (1, 28, 28)"),
            ({"labels_hash": ["abc"]}, "were read from a file"),
            ({"heldout_fraction": [0.9999]}, "leaves none to train on"),
            ({"heldout_hash": ["abc"], "heldout_fraction": [0], "heldout_labels": ["clean"]},
             "run it with --heldout"),
        ],
    )  # fmt: skip
    def test_runs_that_their_data_make_impossible(self, varied: dict, says: str):
        with pytest.raises(DiluteError) as caught:
            make_plan(expand({"base": QUICK, "grid": varied}))
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_models_are_built_once(self, monkeypatch: pytest.MonkeyPatch):
        built = []
        from dilute.runs import network

        real = network.build
        monkeypatch.setattr(network, "build", lambda *model: built.append(model) or real(*model))
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
        found = estimate_seconds(make_plan(specs), specs, workers=2)
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
    """One worker, told to stop (SIGTERM) whenever it has come to the next of some steps."""

    def __init__(self, steps: list[int], settings: Sequence[WorkerSetting]) -> None:
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

    def crew(settings: Sequence[WorkerSetting], hang_seconds: float) -> PreemptedCrew:
        crews.append(PreemptedCrew(steps, settings))
        return crews[0]

    @contextmanager
    def until_all_are_told() -> Iterator[Callable[[], bool]]:
        yield lambda: bool(crews) and crews[0].given > len(steps)

    monkeypatch.setattr(engine, "LocalCrew", crew)
    monkeypatch.setattr(at_work, "stop_requests", until_all_are_told)
    found = run_sweep([RunSpec(data="digits", model="perceptron")], tmp_path, workers=1)
    assert (found.failed, found.left) == (failed, 1 - failed)
    for message in found.failures.values():
        assert message == "the worker was asked to stop (SIGTERM) 3 times in one place"


def hold_claim(store: Path, key: str) -> subprocess.Popen:
    """Start a process that holds a claim, and wait until it does."""
    code = (
        "import sys, time; from dilute.runs import Store\n"
        "with Store(sys.argv[1]).claim(sys.argv[2]) as ours: "
        "print(ours, flush=True); time.sleep(600)"
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


def test_a_damaged_record_is_named(tmp_path: Path):
    spec = RunSpec(**QUICK)
    (tmp_path / f"{spec.key()}.json").write_text("{")
    with pytest.raises(DiluteError, match="delete it to run again"):
        stored_runs(make_plan([spec]), Store(tmp_path))


def test_the_example_can_be_run():
    file = Path(__file__).parent.parent / "examples" / "sweep.yaml"
    assert len(make_plan(dilute.read_sweep(file)).specs) == 12
