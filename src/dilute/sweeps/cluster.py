"""The cluster that Ray does the runs of a sweep on: its address, the connection, and its places."""

from __future__ import annotations

import logging
import math
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dilute.errors import SpecError, one_line

_QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}
_HTTP2_SETTINGS = b"\x04"
# RFC 9113, section 3.4: a preface and an empty frame of settings; the server answers with its own.
_HTTP2_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + _HTTP2_SETTINGS + bytes(5)
_SMALLEST_SHARE = 0.0001  # of a GPU, that Ray counts
_ANSWER_SECONDS = 10.0


@dataclass(frozen=True)
class Cluster:
    """Where and with what Ray does the runs of a sweep.

    Arguments:
        address: the cluster's head (`host:6379`), or `auto` for the one that this machine belongs
            to; else `$RAY_ADDRESS`. Without any, a cluster of this machine for the sweep alone.
        gpus_per_run: GPUs of a run, 0 for CPUs; a fraction lets runs share one.

    Errors: `SpecError` for a number of GPUs that Ray cannot give.
    """

    address: str | None = None
    gpus_per_run: float = 0.0

    def __post_init__(self) -> None:
        gpus = self.gpus_per_run
        is_share = gpus == 0 or _SMALLEST_SHARE <= gpus <= 1
        if not (is_share or (1 < gpus < math.inf and gpus == int(gpus))):
            raise SpecError(
                f"gpus_per_run = {gpus:g} cannot be; it must be 0, a share of a GPU "
                f"({_SMALLEST_SHARE:g} to 1), or a whole number of them"
            )


@contextmanager
def connected(cluster: Cluster) -> Iterator[Any]:
    """Yield the module `ray`, connected to the cluster, and disconnect at the end.

    A connection that the process had before stays.

    Errors: `SpecError` if Ray is not installed, or the cluster does not answer or runs another
        version.
    """
    try:
        for name, value in _QUIET.items():  # read when it is imported
            os.environ.setdefault(name, value)
        import ray
    except ImportError:
        raise SpecError("the engine ray is not installed; pip install 'dilute[ray]'") from None
    if ray.is_initialized():
        yield ray
        return
    where = cluster.address or os.environ.get("RAY_ADDRESS")
    if where:
        _check_answers(where)
    own: dict[str, Any] = {} if where else {"include_dashboard": False}
    try:
        ray.init(cluster.address, logging_level=logging.ERROR, log_to_driver=False, **own)
    except Exception as error:  # of many kinds: no answer, another version, no memory
        raise SpecError(
            f"Ray at {where or 'this machine'} cannot be used: {one_line(error)[:300]}"
        ) from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Refuse an address at which nothing speaks HTTP/2, as Ray does; Ray itself may try for ever.

    Of a cluster that speaks TLS ($RAY_USE_TLS) it is enough that something listens.
    """
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if not separator or not port.isdigit():
        if address in ("auto", "local"):
            return
        raise SpecError(f"address '{address}' cannot be read; give host:port, or auto")
    uses_tls = os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")
    end = time.monotonic() + _ANSWER_SECONDS
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS) as peer:
            is_ray = uses_tls
            if not uses_tls:
                peer.settimeout(max(0.1, end - time.monotonic()))
                peer.sendall(_HTTP2_GREETING)
                is_ray = peer.recv(4)[3:] == _HTTP2_SETTINGS
        problem = None if is_ray else "something else listens there"
    except OSError as error:
        problem = error.strerror or str(error)
    if problem:
        raise SpecError(
            f"no Ray cluster answers at {address} ({problem}); "
            "start one with ray start --head, or leave the address out"
        )


def num_places(ray: Any, cores: int, gpus: float) -> int:
    """Return how many runs of so many CPUs and GPUs the cluster's nodes can do at once."""
    places = 0
    for node in ray.nodes():
        if node["Alive"]:
            has = node["Resources"]
            by_gpu = math.floor(has.get("GPU", 0.0) / gpus) if gpus else math.inf
            places += int(min(has.get("CPU", 0.0) // cores, by_gpu))
    return places
