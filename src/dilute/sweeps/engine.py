"""A sweep: every run that the store lacks, by processes here or tasks on a cluster."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from dilute.data import AS_THEY_ARE, Reading
from dilute.errors import SpecError
from dilute.files import is_local, write_file
from dilute.runs import RunSpec, Store
from dilute.sweeps.at_work import Sweep
from dilute.sweeps.cluster import Cluster, connected, num_places
from dilute.sweeps.local_crew import LocalCrew
from dilute.sweeps.places import share
from dilute.sweeps.planned import Plan, make_plan, stored_runs
from dilute.sweeps.progress import SweepProgress, SweepResult
from dilute.sweeps.ray_crew import RayCrew
from dilute.sweeps.workers import WorkerSetting


def run_sweep(
    specs: Iterable[RunSpec] | Plan,
    store: Store | Path | str,
    *,
    workers: int | None = None,
    threads: int | None = None,
    device: str | None = None,
    reading: Reading = AS_THEY_ARE,
    sources: Mapping[str, str] | None = None,
    retry_failed: bool = False,
    keep_weights: bool = True,
    loader_workers: int = 0,
    hang_seconds: float = 900.0,
    cluster: Cluster | None = None,
    on_progress: Callable[[SweepProgress], object] = lambda progress: None,
) -> SweepResult:
    """Do every run that the store lacks, and return what came of all.

    A worker that crashes, is killed or falls silent costs the run that it had in hand, which is
    recorded as failed with the reason. Ctrl-C and SIGTERM let the workers write their checkpoints
    first. The same call again goes on with what is left. Call it under `if __name__ == "__main__":`
    in a script, which the worker processes import.

    Arguments:
        specs: the runs, as of `read_sweep`; or a `Plan` of them, which has reading and sources.
        store: the store, or its folder.
        workers: runs at the same time; if not given, as many as there are cores (or GPUs) for.
        threads: CPU threads of each worker; its share of the cores if workers are given, else 1.
        device: `cpu`, `cuda:1`, …; if not given, the GPUs in turn if there are some.
        reading, sources: as for `make_plan`.
        retry_failed: do runs again that the store has as failed.
        keep_weights: also keep the weights of the last and the selected models.
        loader_workers: processes of each run that load images ahead, beside its threads.
        hang_seconds: kill a worker that is silent for so long; its run has failed. It must be
            longer than reading the data, or an evaluation: a worker speaks with every step.
        cluster: where Ray does the runs; None for processes on this machine.
        on_progress: called whenever a run ends, and about once a second.

    Errors: `DiluteError`s for what the user can fix, before anything is run; `StoreError` if the
        store cannot be written, after the other workers have stopped.
    """
    if not hang_seconds > 0:
        raise SpecError(f"hang_seconds = {hang_seconds:g} cannot be; it must be above 0")
    places = share(workers, threads, device, loader_workers)
    if not isinstance(specs, Plan):
        specs = make_plan(specs, reading=reading, sources=sources)
    store = store if isinstance(store, Store) else Store(store)
    found = stored_runs(specs, store)
    sweep = Sweep(specs, store, found, retry_failed, on_progress)
    if sweep.is_complete:
        return sweep.result()
    check_space(store)
    # From the root on, since nodes of a cluster work in folders of their own.
    folder = store.folder.absolute() if is_local(store.folder) else store.folder
    common = (specs.sources, keep_weights, loader_workers)
    if cluster is None:
        settings = [WorkerSetting(folder, p.threads, p.device, *common) for p in places]
        sweep.work(lambda chosen: LocalCrew(chosen, hang_seconds), settings)
    else:
        device = device or ("cuda" if cluster.gpus_per_run else "cpu")
        one = WorkerSetting(folder, threads or 1, device, *common)
        _work_on_cluster(sweep, cluster, one, workers, hang_seconds)
    return sweep.result()


def _work_on_cluster(
    sweep: Sweep, cluster: Cluster, setting: WorkerSetting, workers: int | None, hang_seconds: float
) -> None:
    gpus = cluster.gpus_per_run
    token = f".{uuid.uuid4().hex[:12]}.seen"
    with connected(cluster) as ray:
        places = num_places(ray, setting.cores, gpus)
        if not places and workers is None:
            raise SpecError(
                f"no node of the cluster has the {setting.cores} CPUs and {gpus:g} GPUs of a run; "
                "take fewer, or say with workers how many runs to queue for nodes that are yet "
                "to come"
            )
        write_file(setting.store / token, b"\0")
        try:
            sweep.work(
                lambda settings: RayCrew(
                    ray,
                    settings,
                    hang_seconds,
                    gpus_per_run=gpus,
                    token=token,
                    grows=workers is None,
                ),
                [setting] * (workers or places),
            )
        finally:
            (setting.store / token).unlink(missing_ok=True)


def check_space(store: Store) -> None:
    """Write and remove a small file, so that a full disk is found before a run is done in vain.

    Errors: `StoreError` if it cannot be written.
    """
    path = store.folder / f".{os.getpid()}.probe"
    write_file(path, b"\0" * 2**16)
    path.unlink(missing_ok=True)
