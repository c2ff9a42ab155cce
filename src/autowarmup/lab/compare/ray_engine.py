"""Runs of a grid on a Ray cluster, with the same events as the local `workers.Pool`.

One actor per run at a time keeps the resources of that run on some node and has it made there by a
local `Pool` of one process. A crash of the training is then seen from close by and told in the same
words as on one machine; if the actor or its node goes, the child process ends with it. Either way
the run is given to a new actor, a bounded number of times.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autowarmup.lab.compare.workers import Event, Job, Pool, Record, TrainFunction

LOST = "the Ray worker that ran it was lost, with its process or its node"
_LOG_BYTES = 65536  # of what a failed run printed: the end says why


@dataclass(frozen=True)
class RayOptions:
    """Where runs go and what each may use.

    Attributes:
        address: "local" for a cluster on this machine, "auto" for the one that this machine belongs
            to, or "ray://HOST:PORT".
        cpus: CPU cores of each run, which are also its threads.
        gpus: GPUs of each run; a fraction shares one.
        memory: bytes of memory that Ray sets aside for each run; 0 leaves it out.
        retries: how often a run is tried again after its process or its node died.

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


class _Keeper:
    """Lives in a Ray worker and makes one run after another in a process of its own."""

    def __init__(self, train: str | TrainFunction, threads: int) -> None:
        self.pool = Pool(train, 1, threads=threads)
        self.place = Path(tempfile.mkdtemp(prefix="autowarmup-"))

    def run(self, config: dict[str, Any]) -> tuple[Record | str, bool, bytes]:
        """Return the record or the sentence, whether the process died, and what it printed."""
        log = self.place / "log"
        job = Job(config, self.place / "scratch", log)
        *_, last = self.pool.run([job])
        shutil.rmtree(job.scratch, ignore_errors=True)
        assert last.outcome is not None
        printed = log.read_bytes()[-_LOG_BYTES:] if log.exists() else b""
        return last.outcome, last.died, printed


class RayPool:
    """Gives runs to Ray, as many at a time as the cluster has room for.

    Args:
        train: as for `run_grid`; nodes must be able to import it.
        options: where runs go and what each may use.
        workers: most runs at a time; by default what the cluster's CPUs and GPUs allow.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        ValueError: there is no cluster at the address, or it is too small for one run.
    """

    def __init__(
        self, train: str | TrainFunction, options: RayOptions, *, workers: int | None = None
    ) -> None:
        self.ray = import_ray()
        self.train, self.options = train, options
        self._ours = not self.ray.is_initialized()
        if self._ours:
            self._connect()
        try:
            room = self._room()
            self.size = room if workers is None else min(workers, room)
        except ValueError:
            self.close()
            raise
        self._actors: dict[Any, Any] = {}  # the answer that is awaited -> the actor that gives it
        self._idle: list[Any] = []

    def _connect(self) -> None:
        options: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False}
        if self.options.address != "local":
            options = {"log_to_driver": False}
        try:
            self.ray.init(address=self.options.address, logging_level="ERROR", **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise ValueError(
                f"ray address: expected a running cluster at {self.options.address!r}, got: "
                f"{reason}"
            ) from error

    def _room(self) -> int:
        """Return how many runs the whole cluster can take at a time."""
        has, needs = self.ray.cluster_resources(), {"CPU": float(self.options.cpus)}
        if self.options.gpus:
            needs["GPU"] = self.options.gpus
        if self.options.memory:
            needs["memory"] = float(self.options.memory)
        room = min(int(has.get(name, 0.0) / wanted) for name, wanted in needs.items())
        if room < 1:
            wanted = ", ".join(f"{value:g} {name}" for name, value in needs.items())
            got = ", ".join(f"{has.get(name, 0.0):g} {name}" for name in needs)
            raise ValueError(f"ray: expected a cluster with {wanted} for each run, got {got}")
        return room

    def run(self, jobs: Sequence[Job]) -> Iterator[Event]:
        """Yield an event as each job starts and ends, in the order in which that happens."""
        queue = deque((job, 0) for job in jobs)  # (job, times its worker died)
        running: dict[Any, tuple[Job, int]] = {}
        while queue or running:
            while queue and len(running) < self.size:
                job, deaths = queue.popleft()
                running[self._give(job)] = job, deaths
                if not deaths:
                    yield Event(job)
            ready, _ = self.ray.wait(list(running), num_returns=1)
            for answer in ready:
                job, deaths = running.pop(answer)
                outcome, died, printed = self._collect(answer)
                if died and deaths < self.options.retries:
                    queue.append((job, deaths + 1))
                    continue
                if died and deaths:
                    outcome = f"{outcome} (tried {deaths + 1} times)"
                if printed:
                    job.log.parent.mkdir(parents=True, exist_ok=True)
                    job.log.write_bytes(printed)
                yield Event(job, outcome)

    def close(self) -> None:
        """End every actor, also in the middle of a run, and the cluster if it is ours."""
        actors = [*self._actors.values(), *self._idle] if hasattr(self, "_idle") else []
        for actor in actors:
            self.ray.kill(actor)
        if self._ours:
            self.ray.shutdown()

    def _give(self, job: Job) -> Any:
        actor = self._idle.pop() if self._idle else self._new_actor()
        answer = actor.run.remote(job.config)
        self._actors[answer] = actor
        return answer

    def _new_actor(self) -> Any:
        options: dict[str, Any] = {"num_cpus": self.options.cpus, "num_gpus": self.options.gpus}
        if self.options.memory:
            options["memory"] = self.options.memory
        keeper = self.ray.remote(**options, max_restarts=0, max_task_retries=0)(_Keeper)
        return keeper.remote(self.train, self.options.cpus)

    def _collect(self, answer: Any) -> tuple[Record | str, bool, bytes]:
        actor = self._actors.pop(answer)
        try:
            outcome, died, printed = self.ray.get(answer)
        except self.ray.exceptions.RayActorError:
            return LOST, True, b""
        except self.ray.exceptions.RayError as error:
            self.ray.kill(actor)
            reason = str(error).strip().rpartition("\n")[2]
            return f"the Ray worker that ran it failed: {reason}", False, b""
        self._idle.append(actor)
        return outcome, died, printed
