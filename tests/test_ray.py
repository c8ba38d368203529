"""Sweeps as tasks on a Ray cluster: two real nodes on this machine, killed as their workers are."""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
from sweeping import HERE, QUICK, SWEEP, faulty, results, start, wait_for

from dilute.data import Reading
from dilute.errors import SpecError
from dilute.runs import RunSpec, Store
from dilute.sweeps import Cluster, expand, ray_crew, run_sweep
from dilute.sweeps import cluster as cluster_module
from dilute.sweeps.planned import Source
from dilute.sweeps.ray_crew import NodeRequirements
from dilute.sweeps.workers import HeldData, Step, Task, WorkerSetting

GOOD = [RunSpec(**QUICK, seed=seed) for seed in range(3)]


def add_node(cluster: Any) -> Any:
    return cluster.add_node(num_cpus=1, include_dashboard=False)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Any]:
    """A head that does no runs, and two nodes of one CPU each."""
    from ray.cluster_utils import Cluster as LocalCluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE))
        (tmp_path / "marks").mkdir()
        patch.setenv("FAULTY_MARKS", str(tmp_path / "marks"))
        for name, value in cluster_module._QUIET.items():
            patch.setenv(name, value)
        found = LocalCluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
        )
        try:
            add_node(found), add_node(found)
            yield found
        finally:
            found.shutdown()


def nodes_with_runs(cluster: Any, marks: Path) -> dict[int, Any]:
    """Return by process the node on which it trains, for those that have said so and live."""
    raylets = {
        one.process.pid: node
        for node in cluster.worker_nodes
        for one in node.all_processes["raylet"]
    }
    found = {}
    for mark in marks.iterdir():
        if psutil.pid_exists(int(mark.name)):
            parent = psutil.Process(int(mark.name)).ppid()
            if parent in raylets:
                found[int(mark.name)] = raylets[parent]
    return found


@pytest.mark.slow
def test_a_killed_worker_and_a_killed_node_lose_nothing(cluster: Any, tmp_path: Path):
    marks, store = tmp_path / "marks", tmp_path / "runs"
    killed: list[str] = []

    def disturb(progress: Any) -> None:
        there = nodes_with_runs(cluster, marks)
        if not killed and there:
            os.kill(next(iter(there)), signal.SIGKILL)
            killed.append("worker")
        elif killed == ["worker"] and progress.done >= 2 and len(set(there.values())) == 2:
            cluster.remove_node(next(iter(there.values())), allow_graceful=False)
            killed.append("node")

    specs = expand(SWEEP)
    where = Cluster(cluster.address)
    found = run_sweep(specs, store, threads=1, cluster=where, on_progress=disturb)
    assert killed == ["worker", "node"]
    # A run whose node died between its record and its answer is repeated, and then known.
    assert (found.done + found.known, found.failed, found.left) == (8, 0, 0), found.failures
    assert found.known <= 2, "at most the runs of the worker and of the node that were killed"
    assert run_sweep(specs, store, threads=1, cluster=where).known == 8
    alone = tmp_path / "alone"
    assert run_sweep(specs, alone, workers=2, threads=1).done == 8
    assert results(store) == results(alone)
    assert sorted(p.name for p in store.iterdir()) == sorted(p.name for p in alone.iterdir())


@pytest.mark.slow
def test_sigterm_checkpoints_and_the_run_goes_on_elsewhere(cluster: Any, tmp_path: Path):
    """As spot machines send it to every process before they go."""
    marks, store = tmp_path / "marks", tmp_path / "runs"
    checkpoints: list[Path] = []

    def disturb(progress: Any) -> None:
        there = nodes_with_runs(cluster, marks)
        if there and not checkpoints:
            process, node = next(iter(there.items()))
            os.kill(process, signal.SIGTERM)
            wait_for(lambda: list(store.glob("*.checkpoint.safetensors")), "its checkpoint")
            checkpoints.extend(store.glob("*.checkpoint.safetensors"))
            cluster.remove_node(node, allow_graceful=False)

    specs = expand(SWEEP)
    found = run_sweep(
        specs, store, threads=1, cluster=Cluster(cluster.address), on_progress=disturb
    )
    assert len(checkpoints) == 1
    assert (found.done + found.known, found.failed, found.left) == (8, 0, 0), found.failures
    alone = tmp_path / "alone"
    assert run_sweep(specs, alone, workers=2, threads=1).done == 8
    assert results(store) == results(alone)


@pytest.mark.slow
def test_relative_paths_mean_the_same_on_nodes(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (60, 1, 8, 8), dtype=np.uint8)
    np.savez("own.npz", x_train=images, y_train=np.arange(60) % 3)
    spec = RunSpec(**{**QUICK, "data": "npz:own.npz"})
    found = run_sweep([spec], "runs", threads=1, cluster=Cluster(cluster.address))
    assert (found.done, found.left) == (1, 0), found.failures
    assert len(list((tmp_path / "runs").glob("*.json"))) == 1


@pytest.mark.slow
def test_a_fault_costs_the_run_that_has_it(cluster: Any, tmp_path: Path):
    faults = {
        "hangs": "no sign of life for 8 s, twice; the run was ended (see --hang-seconds)",
        "crashes": "the worker was lost 4 times (WorkerCrashedError: ",
        "fails": "RuntimeError: no luck",
        "cannot_be": "this cannot be; take another",
    }
    specs = [GOOD[0], *map(faulty, faults), *GOOD[1:]]
    where = Cluster(cluster.address)
    found = run_sweep(specs, tmp_path / "runs", threads=1, cluster=where, hang_seconds=8)
    assert (found.done, found.failed, found.left) == (3, 4, 0), found.failures
    for name, reason in faults.items():
        assert found.failures[faulty(name).key()].startswith(reason)


@pytest.mark.slow
def test_ctrl_c_checkpoints_and_the_same_command_goes_on(cluster: Any, tmp_path: Path):
    store, marks = tmp_path / "runs", tmp_path / "marks"
    on_cluster = ("--engine", "ray", "--address", cluster.address)
    parent = start(SWEEP, store, *on_cluster, marks=marks)
    wait_for(lambda: list(marks.iterdir()), "a run that trains")
    time.sleep(1.0)
    os.killpg(parent.pid, signal.SIGINT)
    out, err = parent.communicate(timeout=90)
    assert parent.returncode == 130, err
    left = json.loads(out)["left"]
    assert 0 < left <= 8
    assert "the same command goes on with them" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert list(store.glob("*.checkpoint.safetensors"))
    out, err = start(SWEEP, store, *on_cluster, marks=marks).communicate(timeout=120)
    assert json.loads(out)["done"] == left, err
    alone = tmp_path / "alone"
    assert run_sweep(expand(SWEEP), alone, workers=2, threads=1).done == 8
    assert results(store) == results(alone)


def test_nodes_of_other_versions_are_refused(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The sender pretends to be of other code; with the same, one node's answer is a record."""
    ours = NodeRequirements.of_this_process
    monkeypatch.setattr(
        NodeRequirements,
        "of_this_process",
        staticmethod(lambda token: replace(ours(token), versions={"torch": "1.13.1"})),
    )
    where = Cluster(cluster.address)
    with pytest.raises(
        SpecError,
        match=r"^node \S+ has torch \S+, but the sweep was sent with 1\.13\.1; [^\n]*$",
    ):
        run_sweep(GOOD, tmp_path / "runs", threads=1, cluster=where)
    monkeypatch.undo()
    with pytest.raises(SpecError, match=r"^no node of the cluster has the 2 CPUs and 0 GPUs of a"):
        run_sweep(GOOD, tmp_path / "runs", threads=2, cluster=where)
    assert run_sweep(GOOD[:1], tmp_path / "runs", threads=1, cluster=where).done == 1
    assert {path.name for path in (tmp_path / "runs").iterdir() if path.name[0] == "."} == set()


def test_what_a_node_lacks(tmp_path: Path):
    source = Source("digits", Reading(), 1437, 360)
    setting = WorkerSetting(tmp_path, 1, "cpu", {"digits": source}, True)
    task = Task(GOOD[0].key(), GOOD[0], False)
    requirements = NodeRequirements.of_this_process(".token")
    found = ray_crew._unfitness(task, setting, requirements, HeldData(setting))
    assert found == (
        f"does not see the store {tmp_path}; give a folder that all nodes share, or an address "
        "in object storage (s3://…, gs://…)"
    )
    (tmp_path / ".token").touch()
    assert ray_crew._unfitness(task, setting, requirements, HeldData(setting)) is None
    absent = replace(setting, sources={"digits": replace(source, load_name="folder:/nowhere")})
    found = ray_crew._unfitness(task, absent, requirements, HeldData(absent))
    assert found
    assert found.startswith("cannot do the run: cannot read the folder /nowhere")


def test_a_process_of_a_node_keeps_the_data_of_its_last_sweep(tmp_path: Path):
    """A setting comes anew with every run, pickled; an equal one finds the data that are there."""
    source = Source("digits", Reading(resize=None), 1437, 360)
    setting = WorkerSetting(tmp_path, 1, "cpu", {"digits": source}, True)
    ray_crew._held_data.cache_clear()
    held = ray_crew._held_data(setting)
    assert ray_crew._held_data(pickle.loads(pickle.dumps(setting))) is held
    assert held.splits("digits") is held.splits("digits")
    other = replace(setting, sources={"digits": replace(source, reading=Reading(stream=False))})
    assert ray_crew._held_data(other) is not held
    assert ray_crew._held_data.cache_info().currsize == 1
    ray_crew._held_data.cache_clear()


def test_without_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SpecError, match=r"not installed; pip install 'dilute\[ray\]'$"):
        run_sweep(GOOD, tmp_path, cluster=Cluster())


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1 (Connection refused)"),
        ("head", "address 'head' cannot be read; give host:port, or auto"),
    ],
)
def test_addresses_that_cannot_be(tmp_path: Path, address: str, problem: str):
    with pytest.raises(SpecError) as caught:
        run_sweep(GOOD, tmp_path, cluster=Cluster(address))
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [(b"", "timed out"), (b"HTTP/1.1 400 Bad Request\r\n\r\n", "something else listens there")],
)
def test_an_address_where_something_else_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, problem: str
):
    monkeypatch.setattr(cluster_module, "_ANSWER_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"

        def serve() -> None:
            peer, _ = server.accept()
            with peer:
                peer.sendall(answer)
                peer.recv(2**10)
                time.sleep(2)

        serving = threading.Thread(target=serve)
        serving.start()
        with pytest.raises(
            SpecError, match=rf"^no Ray cluster answers at {address} \({problem}\); "
        ):
            run_sweep(GOOD, tmp_path, cluster=Cluster(address))
        serving.join()


@pytest.mark.parametrize("gpus", [-1, 1.5, 1e-5, float("inf")])
def test_gpus_that_ray_cannot_give(gpus: float):
    with pytest.raises(SpecError, match=r"^gpus_per_run = \S+ cannot be; it must be 0, a share of"):
        Cluster(gpus_per_run=gpus)


@pytest.mark.parametrize("gpus", [0, 0.25, 1, 2.0])
def test_gpus_that_it_can_give(gpus: float):
    assert Cluster(gpus_per_run=gpus).gpus_per_run == gpus


class QuietRay:
    """What a crew asks of Ray, with no cluster: tasks never end; the board says what it is told."""

    exceptions = SimpleNamespace(RayError=RuntimeError)

    def __init__(self) -> None:
        self.submitted: list[Task] = []
        self.cancelled: list[int] = []
        self.told: dict[str, Step | None] = {}
        self.options = self.remote = lambda *arguments, **options: self

    def remote_task(self, task: Task, *_: object) -> int:
        self.submitted.append(task)
        return len(self.submitted) - 1

    def put(self, value: object) -> object:
        return value

    def get(self, *_: object, **__: object) -> dict[str, Step | None]:
        told, self.told = self.told, {}
        return told

    def cancel(self, reference: int, *, force: bool) -> None:
        assert force
        self.cancelled.append(reference)


def quiet_crew(ray: QuietRay, workers: int, *, grows: bool) -> Any:
    setting = WorkerSetting(Path("runs"), 1, "cpu", {}, keep_weights=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_crew, "_beside_the_sender", lambda ray: {})
        settings = [setting] * workers
        return ray_crew.RayCrew(ray, settings, 10, gpus_per_run=0, token="", grows=grows)


@pytest.fixture
def quiet() -> tuple[QuietRay, Any]:
    """A crew of one place on such a Ray, its run begun; runs may be silent for ten seconds."""
    ray = QuietRay()
    crew = quiet_crew(ray, 1, grows=False)
    crew._remote = SimpleNamespace(remote=ray.remote_task)
    crew._board = SimpleNamespace(read=SimpleNamespace(remote=lambda: None))
    (member,) = crew.members
    crew.give(member, Task("a", GOOD[0], may_repeat=False))
    crew._listen(1000)
    ray.told = {"a": None}
    crew._listen(1001)
    return ray, crew


def test_a_silent_run_is_queued_again_before_it_is_given_up(quiet: tuple[QuietRay, Any]):
    """It may have lost its node, and wait for another for as long as that takes."""
    ray, crew = quiet
    (member,) = crew.members
    crew._listen(1010)
    assert not ray.cancelled
    crew._listen(1012)
    assert (ray.cancelled, len(ray.submitted), member.is_hung) == ([0], 2, False)
    crew._listen(9000)
    assert ray.cancelled == [0], "it has not begun again"
    ray.told = {"a": None}
    crew._listen(9001)
    crew._listen(9012)
    assert (ray.cancelled, len(ray.submitted), member.is_hung) == ([0, 1], 2, True)


def test_a_run_that_came_further_may_be_silent_again(quiet: tuple[QuietRay, Any]):
    ray, crew = quiet
    crew._listen(1012)
    ray.told = {"a": Step(5, 10, 1.0, None)}
    crew._listen(1013)
    crew._listen(1024)
    assert (ray.cancelled, len(ray.submitted)) == ([0, 1], 3)
    assert not crew.members[0].is_hung


def test_a_number_of_workers_is_what_is_queued():
    assert len(quiet_crew(QuietRay(), 4, grows=False).members) == 4
    assert len(quiet_crew(QuietRay(), 4, grows=True).members) == 8, "so that no place waits"


def test_the_store_is_left_as_it_was_found(tmp_path: Path):
    """A sweep that cannot begin writes nothing."""
    with pytest.raises(SpecError):
        run_sweep(GOOD, tmp_path / "runs", cluster=Cluster("127.0.0.1:1"))
    assert Store(tmp_path / "runs").keys() == set()
