"""Processes that train: each serves one run after the other, and may die without harm to the rest.

A worker is a spawned process with a pipe of its own, so that a crash is the end of one run and of
nothing else. Thread counts are set in the child's environment, because numerical libraries read
them while they are imported.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

Record = dict[str, Any]
TrainFunction = Callable[[dict[str, Any], Path], Record]

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Job:
    """One run: its configuration, its scratch directory and where its output is logged."""

    config: dict[str, Any]
    scratch: Path
    log: Path

    @property
    def id(self) -> str:
        """The run's id."""
        return self.config["id"]


@dataclass(frozen=True)
class Event:
    """A run started (`outcome` is None) or ended with a record or with the sentence why not.

    Attributes:
        job: the run.
        outcome: what came of it.
        died: whether the process that ran it died of it.
    """

    job: Job
    outcome: Record | str | None = None
    died: bool = False


def cores() -> int:
    """Return the number of CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def resolve(train: str | TrainFunction) -> TrainFunction:
    """Return the training function, given itself or as "module:function"."""
    if not isinstance(train, str):
        return train
    module, _, name = train.partition(":")
    if not name:
        raise ValueError(f"train: expected 'module:function', got {train!r}")
    return getattr(importlib.import_module(module), name)


class Pool:
    """A fixed number of workers that replaces those that die."""

    def __init__(self, train: str | TrainFunction, workers: int, threads: int) -> None:
        self.train = train
        self.size = workers
        self.threads = threads
        self._workers: list[_Worker] = []

    def run(self, jobs: Sequence[Job]) -> Iterator[Event]:
        """Yield an event as each job starts and ends, in the order in which that happens."""
        queue = deque(jobs)
        while queue or any(worker.job for worker in self._workers):
            while queue and (worker := self._idle()) is not None:
                job = queue.popleft()
                worker.give(job)
                yield Event(job)
            for worker in self._wait():
                job, outcome = worker.collect()
                if worker.dead:
                    self._workers.remove(worker)
                yield Event(job, outcome, died=worker.dead)

    def close(self) -> None:
        """Stop every worker, also in the middle of a run."""
        for worker in self._workers:
            worker.stop()
        self._workers.clear()

    def _idle(self) -> _Worker | None:
        for worker in self._workers:
            if worker.job is None:
                return worker
        if len(self._workers) < self.size:
            self._workers.append(_Worker(self.train, self.threads))
            return self._workers[-1]
        return None

    def _wait(self) -> list[_Worker]:
        busy = [worker for worker in self._workers if worker.job is not None]
        ready = wait([end for worker in busy for end in (worker.pipe, worker.process.sentinel)])
        return [w for w in busy if w.pipe in ready or w.process.sentinel in ready]


class _Worker:
    """The parent's side of one process."""

    def __init__(self, train: str | TrainFunction, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, child_pipe = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(child_pipe, train, threads), daemon=True
        )
        with _environment(dict.fromkeys(_THREAD_VARIABLES, str(threads))):
            self.process.start()
        # Ours must be the only open end left, or the death of the child would not show as EOF.
        child_pipe.close()
        self.job: Job | None = None
        self.dead = False

    def give(self, job: Job) -> None:
        """Hand over a run; a worker that died while idle shows when the answer is collected."""
        self.job = job
        with contextlib.suppress(OSError):
            self.pipe.send(job)

    def collect(self) -> tuple[Job, Record | str]:
        """Return the finished job with its record, or with the sentence why there is none."""
        job, self.job = self.job, None
        assert job is not None
        try:
            # A dead process may have answered before it died.
            if self.pipe.poll():
                return job, self.pipe.recv()
        except (EOFError, OSError):
            pass
        self.dead = True
        self.process.join(timeout=5)
        self.stop()
        return job, _cause_of_death(self.process.exitcode)

    def stop(self) -> None:
        """End the process, politely for a second."""
        self.process.terminate()
        self.process.join(timeout=1)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.pipe.close()


def _cause_of_death(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = ", perhaps for lack of memory" if name == "SIGKILL" else ""
        return f"the process that ran it was killed by {name}{hint}"
    return f"the process that ran it ended on its own with exit code {code}"


def _serve(pipe: Connection, train: str | TrainFunction, threads: int) -> None:
    """Run jobs until the pipe closes (the child's side)."""
    # Ctrl-C reaches the whole process group of the terminal; the parent decides what it means.
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            job: Job = pipe.recv()
        except EOFError:
            return
        shutil.rmtree(job.scratch, ignore_errors=True)
        with _output_to(job.log):
            answer = _attempt(job, train, threads)
        pipe.send(answer)


def _attempt(job: Job, train: str | TrainFunction, threads: int) -> Record | str:
    try:
        function = resolve(train)
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(threads)
        return function(job.config, job.scratch)
    except Exception as error:
        traceback.print_exc()
        name = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        return f"{name}{error}"


def _end_with_parent() -> None:
    """Leave at once when the parent is gone, or two engines could meet in one directory."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


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
        os.dup2(saved[0], 1)
        os.dup2(saved[1], 2)
        os.close(saved[0])
        os.close(saved[1])
