"""Jobs on a Ray cluster, with the same events as the local `workers.Pool`.

Every job is a Ray task, which Ray gives to another worker, a bounded number of times, when its
process or its node dies.
"""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autowarmup.lab.bench.records import Record
from autowarmup.lab.bench.workers import Event, Job, attempt

LOST = "the Ray worker that ran it was lost, with its process or its node"
_LOG_BYTES = 65536  # of what a failed job printed: the end says why


@dataclass(frozen=True)
class RayOptions:
    """Where jobs go and what each may use.

    Attributes:
        address: "local" for a cluster on this machine, "auto" for the one that this machine belongs
            to, or "ray://HOST:PORT".
        cpus: CPU cores of each job, which are also its threads.
        gpus: GPUs of each job; a fraction shares one.
        memory: bytes of memory that Ray sets aside for each job; 0 leaves it out.
        retries: how often a job is tried again after its process or its node died.

    Raises:
        ValueError: a number out of range.
    """

    address: str = "local"
    cpus: int = 1
    gpus: float = 0.0
    memory: int = 0
    retries: int = 2

    def __post_init__(self) -> None:
        if self.cpus < 1:
            raise ValueError(f"cpus: expected at least 1 per run, got {self.cpus}")
        for name in ("gpus", "memory", "retries"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}: expected 0 or more, got {getattr(self, name)}")


def import_ray() -> Any:
    """Return the `ray` module, silent and without usage statistics.

    Raises:
        ModuleNotFoundError: it is not installed; the sentence says how to.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "engine ray needs Ray: expected `pip install 'autowarmup[ray]'`, got no module "
            f"{error.name!r}"
        ) from error
    return ray


def _task(job: Job) -> tuple[list[Record] | str, bytes]:
    """Return, on some node, what came of a job and what it printed."""
    with tempfile.TemporaryDirectory(prefix="autowarmup-") as place:
        here = replace(job, scratch=Path(place) / "scratch", log=Path(place) / "log")
        return attempt(here), here.log.read_bytes()[-_LOG_BYTES:]


class RayPool:
    """Gives jobs to Ray, as many at a time as the cluster has room for, or at most `workers`.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        ValueError: there is no cluster at the address, or it is too small for one job.
    """

    def __init__(self, options: RayOptions, *, workers: int | None = None) -> None:
        self.ray, self.options = import_ray(), options
        self._running: dict[Any, Job] = {}
        self._ours = not self.ray.is_initialized()
        if self._ours:
            self._connect()
        try:
            room = self._room()
        except ValueError:
            self.close()
            raise
        self.size = room if workers is None else min(workers, room)
        memory = {"memory": options.memory} if options.memory else {}
        self._task = self.ray.remote(
            num_cpus=options.cpus, num_gpus=options.gpus, max_retries=options.retries, **memory
        )(_task)

    def _connect(self) -> None:
        address = self.options.address
        own: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
        try:
            self.ray.init(address=address, logging_level="ERROR", log_to_driver=False, **own)
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise ValueError(
                f"ray address: expected a running cluster at {address!r}, got: {reason}"
            ) from error

    def _room(self) -> int:
        """Return how many jobs the whole cluster can take at a time."""
        options = self.options
        needs = {"CPU": options.cpus, "GPU": options.gpus, "memory": options.memory}
        needs = {name: value for name, value in needs.items() if value}
        has = {name: self.ray.cluster_resources().get(name, 0.0) for name in needs}
        room = min(int(has[name] / needs[name]) for name in needs)
        if room < 1:
            wanted = ", ".join(f"{value:g} {name}" for name, value in needs.items())
            got = ", ".join(f"{value:g} {name}" for name, value in has.items())
            raise ValueError(f"ray: expected a cluster with {wanted} for each run, got {got}")
        return room

    def run(self, jobs: Sequence[Job]) -> Iterator[Event]:
        """Yield an event as each job starts and ends, in the order in which that happens."""
        queue = deque(jobs)
        while queue or self._running:
            while queue and len(self._running) < self.size:
                job = queue.popleft()
                self._running[self._task.remote(job)] = job
                yield Event(job)
            ready, _ = self.ray.wait(list(self._running), num_returns=1)
            for answer in ready:
                job = self._running.pop(answer)
                yield Event(job, self._collect(job, answer))

    def _collect(self, job: Job, answer: Any) -> list[Record] | str:
        try:
            outcome, printed = self.ray.get(answer)
        except (self.ray.exceptions.WorkerCrashedError, self.ray.exceptions.NodeDiedError):
            return f"{LOST} (tried {self.options.retries + 1} times)"
        except self.ray.exceptions.RayError as error:
            reason = str(error).strip().rpartition("\n")[2]
            return f"the Ray worker that ran it failed: {reason}"
        job.log.parent.mkdir(parents=True, exist_ok=True)
        job.log.write_bytes(printed)
        return outcome

    def close(self) -> None:
        """End every job, also in the middle, and the cluster if it is ours."""
        for answer in self._running:
            self.ray.cancel(answer, force=True)
        if self._ours:
            self.ray.shutdown()
