"""How the runs that a study lacks are done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dilute.data import AS_THEY_ARE, Reading
from dilute.errors import DataError
from dilute.interruption import Interrupted
from dilute.runs import RunSpec, Store
from dilute.sweeps import Cluster, Plan, SweepProgress, SweepResult, make_plan, run_sweep


@dataclass(frozen=True)
class Sweeping:
    """How runs are done, which changes no result.

    Arguments:
        workers, threads, device, loader_workers, hang_seconds, cluster, on_progress: as for
            `run_sweep`.
        retry_failed: do runs again that failed before.
        reading: how data are read, as for `dilute.load`.
    """

    workers: int | None = None
    threads: int | None = None
    device: str | None = None
    loader_workers: int = 0
    hang_seconds: float = 900.0
    cluster: Cluster | None = None
    on_progress: Callable[[SweepProgress], object] = lambda progress: None
    retry_failed: bool = False
    reading: Reading = AS_THEY_ARE

    def train(
        self, specs: Sequence[RunSpec], store: Store, *, allow_parts: bool = True
    ) -> SweepResult:
        """Do the runs that the store lacks, and return what came of all.

        Arguments:
            allow_parts: whether a part of a public data set may stand for the whole.

        Errors: `Interrupted` if asked to stop; `DataError` for a part that may not stand for the
            whole; those of `run_sweep`.
        """
        plan = make_plan(specs, reading=self.reading)
        if not allow_parts:
            _refuse_parts(specs, plan)
        result = run_sweep(
            plan,
            store,
            workers=self.workers,
            threads=self.threads,
            device=self.device,
            retry_failed=self.retry_failed,
            keep_weights=False,
            loader_workers=self.loader_workers,
            hang_seconds=self.hang_seconds,
            cluster=self.cluster,
            on_progress=self.on_progress,
        )
        if result.interrupted:
            raise Interrupted(
                f"{result.left:,} of {len(result.specs):,} runs are left; the same command goes "
                "on with them"
            )
        return result


def _refuse_parts(specs: Sequence[RunSpec], plan: Plan) -> None:
    """Refuse to train on a part of a public set, which is not what a study is about.

    Errors: `DataError`.
    """
    wanted = {spec.data for spec in specs}
    for name in sorted({spec.data for spec in plan.specs.values()} - wanted):
        if ":" in plan.sources[name].load_name:  # the user's own data, which have no whole
            continue
        raise DataError(
            f"what is here of {name.partition('@')[0].removeprefix('streamed-')} is a part of it "
            f"({name}), but the study is about the whole; complete it, or use dilute sweep for "
            "runs on the part"
        )
