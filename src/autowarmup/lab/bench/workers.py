"""Processes that train, one job after the other; when one dies, the others go on."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any

from autowarmup.lab.bench.plan import RunPlan
from autowarmup.lab.bench.records import Record

TrainFunction = Callable[..., list[Record]]

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Job:
    """Runs that one process makes together.

    Attributes:
        id: names the files of the job.
        plans: the runs.
        train: a top-level function, or its "module:function": (plans, scratch directory) -> a
            record of each.
        scratch: a directory for what the training keeps, e.g. checkpoints.
        log: where its output goes.
        options: what else the training is told.
    """

    id: str
    plans: tuple[RunPlan, ...]
    train: str | TrainFunction
    scratch: Path
    log: Path
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """A job started (`outcome` is None) or ended with records or with the sentence why not."""

    job: Job
    outcome: list[Record] | str | None = None


def cores() -> int:
    """Return the number of CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Worker:
    """One process, in an executor of its own, so that a crash is the end of one job only."""

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.executor = ProcessPoolExecutor(
            1, mp_context=context, initializer=_begin, initargs=(threads,)
        )
        before = set(multiprocessing.active_children())
        self.executor.submit(os.getpid)
        (self.process,) = set(multiprocessing.active_children()) - before

    def stop(self) -> None:
        """End the process, politely for a second."""
        self.process.terminate()
        self.process.join(timeout=1)
        self.process.kill()
        self.executor.shutdown()

    def cause_of_death(self) -> str:
        """Return why the process is gone."""
        # The executor waits for it too, in a thread: its exit code comes to one of us first.
        self.executor.shutdown()
        code = self.process.exitcode or 0
        if code >= 0:
            return f"the process that ran it ended on its own with exit code {code}"
        name = signal.Signals(-code).name
        hint = ", perhaps for lack of memory" if name == "SIGKILL" else ""
        return f"the process that ran it was killed by {name}{hint}"


class Pool:
    """At most `size` processes at a time; those that die are replaced."""

    def __init__(self, size: int, threads: int) -> None:
        self.size, self.threads = size, threads
        self._idle: list[_Worker] = []
        self._running: dict[Future[list[Record] | str], tuple[Job, _Worker]] = {}

    def run(self, jobs: Sequence[Job]) -> Iterator[Event]:
        """Yield an event as each job starts and ends, in the order in which that happens."""
        queue = deque(jobs)
        while queue or self._running:
            while queue and len(self._running) < self.size:
                worker = self._idle.pop() if self._idle else _Worker(self.threads)
                job = queue.popleft()
                self._running[worker.executor.submit(attempt, job)] = job, worker
                yield Event(job)
            for future in wait(self._running, return_when=FIRST_COMPLETED).done:
                job, worker = self._running.pop(future)
                try:
                    outcome = future.result()
                    self._idle.append(worker)
                except BrokenProcessPool:
                    outcome = worker.cause_of_death()
                    worker.stop()
                yield Event(job, outcome)

    def close(self) -> None:
        """Stop every worker, also in the middle of a job."""
        for worker in [*self._idle, *(worker for _, worker in self._running.values())]:
            worker.stop()
        self._idle.clear()
        self._running.clear()


class Here:
    """This process, with the same events; what a training prints is shown."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Event]:
        """Yield an event as each job starts and ends."""
        for job in jobs:
            yield Event(job)
            yield Event(job, _attempt(job))

    def close(self) -> None:
        """Do nothing: there is no process to stop."""


def _begin(threads: int) -> None:
    """Prepare a process: it leaves with its parent, which alone decides what Ctrl-C means."""
    # torch reads them when it is imported, which is later.
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # Ctrl-C reaches the whole process group of the terminal
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Leave at once when the parent is gone, or two engines could meet in one directory."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait_for([parent.sentinel])
    os._exit(1)


def attempt(job: Job) -> list[Record] | str:
    """Make the runs of a job and return the records, or the sentence why there are none."""
    with _output_to(job.log):
        return _attempt(job)


def _attempt(job: Job) -> list[Record] | str:
    try:
        train = job.train
        if isinstance(train, str):
            module, _, name = train.partition(":")
            train = getattr(importlib.import_module(module), name)
        return train(job.plans, job.scratch, **job.options)
    except Exception as error:
        traceback.print_exc()
        name = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        return f"{name}{error}"


@contextlib.contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Send everything printed, also by native code, to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with path.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, kept in zip((1, 2), saved, strict=True):
            os.dup2(kept, number)
            os.close(kept)
