"""Run what is missing of a plan, on this machine or on a Ray cluster, and store it as it ends.

    OUT/runs/<job>.jsonl   records, one line per run, written the moment a job ends
    OUT/work/<job>/        what a job in progress keeps, e.g. checkpoints; removed when it is stored
    OUT/logs/<job>.log     what a failed job printed

The same call on the same directory continues: stored runs are kept, failed ones are tried again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autowarmup.lab.bench.device import checked_device
from autowarmup.lab.bench.plan import RunPlan
from autowarmup.lab.bench.progress import Progress
from autowarmup.lab.bench.ray_pool import RayOptions, RayPool
from autowarmup.lab.bench.records import Record, key_of, read_records, store_records
from autowarmup.lab.bench.setups import Setup
from autowarmup.lab.bench.workers import Here, Job, Pool, TrainFunction, cores
from autowarmup.lab.claim import claimed, others

FLEET = 16
"""Replicas that share an operation on a CPU: more of them leave the cache."""
_FLEET = "autowarmup.lab.bench.fleet_runs:train_fleet"
_SINGLE = "autowarmup.lab.bench.single_runs:train_single"
_OURS = ("runs", "robustness", "protocol", "recorded", "environment.json")


@dataclass(frozen=True)
class Outcome:
    """How far a plan has come: runs in all, runs stored, why others failed, whether it stopped."""

    total: int
    stored: int
    failures: tuple[str, ...] = ()
    interrupted: bool = False

    @property
    def missing(self) -> int:
        """Runs that have no record."""
        return self.total - self.stored

    @property
    def sentence(self) -> str:
        """The state in words."""
        text = f"{self.stored} of {self.total} runs are stored"
        if self.interrupted:
            return f"Stopped: {text}; the same command continues."
        if not self.failures:
            return f"{text}."
        return "\n".join([f"{text}; the same command tries the others again.", *self.failures])


def run_plans(
    plans: Iterable[RunPlan],
    out: str | Path,
    *,
    workers: int | None = None,
    train: str | TrainFunction | None = None,
    progress: bool = True,
    ray: RayOptions | None = None,
    here: bool = False,
    device: str = "cpu",
) -> Outcome:
    """Run what `out` does not hold yet and return how far the plan has come.

    Args:
        plans: what to run.
        out: a new or empty directory, or one of the benchmark.
        workers: processes at a time. On this machine by default one per core, each with cores //
            workers threads; on Ray as many as its resources allow.
        train: a training of your own for every run, see `Job`; by default a fleet of small models,
            or `lab.train` for the recipes.
        progress: show a live display on the terminal.
        ray: run on a Ray cluster with these options. Records are stored by this process either way.
        here: train in this process, one run after the other, for a `train` that no other can have.
        device: where fleets train: "cpu", or "cuda" with all runs of a family side by side in one
            process, as many as its memory has room for.

    Ctrl-C stops the jobs in progress, keeps every stored run and returns with `interrupted` set.

    Raises:
        ValueError: `out` is not ours, `workers` is below 1, there is no such device, or the cluster
            cannot be reached or is too small.
        ModuleNotFoundError: Ray is asked for and not installed.
        OSError: a record could not be stored; everything stored before stays.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers: expected at least 1, got {workers}")
    if ray is None:
        checked_device(device)
    elif device != "cpu" and not ray.gpus:
        raise ValueError(f"device: expected GPUs for each run to train on {device}, got none")
    with claimed(out):
        return _run(list(plans), Path(out), workers, train, progress, ray, here, device)


def _run(
    plans: list[RunPlan],
    out: Path,
    workers: int | None,
    train: str | TrainFunction | None,
    progress: bool,
    ray: RayOptions | None,
    here: bool,
    device: str,
) -> Outcome:
    check_ours(out)
    held = {key_of(record) for record in read_records(out)}
    todo = [plan for plan in plans if plan.key not in held]
    missing, failures, interrupted = len(todo), [], False
    size = min(workers or (cores() if device == "cpu" else 1), len(todo)) or 1
    if here:
        pool = Here()
    else:
        threads = max(1, cores() // size)
        pool = RayPool(ray, workers=workers) if ray and todo else Pool(size, threads)
    jobs = _jobs(todo, out, train, device)
    (out / "runs").mkdir(parents=True, exist_ok=True)
    try:
        with Progress(len(plans), len(plans) - missing, enabled=progress) as display:
            for event in pool.run(jobs):
                job, outcome = event.job, _checked(event.job, event.outcome)
                if outcome is None:
                    display.started(job)
                    continue
                display.ended(job, outcome)
                if isinstance(outcome, str):
                    where = f" (see {job.log})" if job.log.exists() else ""
                    failures.append(f"{job.id}: {outcome}{where}")
                    continue
                store_records(out, job.id, outcome)
                missing -= len(outcome)
                shutil.rmtree(job.scratch, ignore_errors=True)
                job.log.unlink(missing_ok=True)
    except KeyboardInterrupt:  # it may come between storing a record and counting it
        interrupted = True
        held = {key_of(record) for record in read_records(out)}
        missing = sum(plan.key not in held for plan in todo)
    finally:
        pool.close()
        _remove_empty(out / "work", out / "logs")
    return Outcome(len(plans), len(plans) - missing, tuple(failures), interrupted)


def check_ours(out: Path) -> None:
    """Refuse a directory with files of others.

    Raises:
        ValueError: it is one, or a file.
    """
    if others(out) and not any((out / name).exists() for name in _OURS):
        raise ValueError(
            f"{out}: expected an empty directory or one that holds runs of autowarmup, got other "
            "files in it"
        )


def groups(plans: Sequence[RunPlan], size: int = FLEET, workers: int = 2) -> list[list[RunPlan]]:
    """Group runs that one process makes together, in the order in which they were planned.

    A family of small models is cut into fleets of nearly equal size, as many for each worker; any
    other run is alone.
    """
    families: dict[Setup | str, list[RunPlan]] = {}
    for plan in plans:
        families.setdefault(plan.setup.family if plan.setup.stacked else plan.key, []).append(plan)
    result = []
    for members in families.values():
        count = min(len(members), workers * math.ceil(len(members) / (size * workers)))
        cuts = [round(k * len(members) / count) for k in range(count + 1)]
        result += [members[cuts[k] : cuts[k + 1]] for k in range(count)]
    return result


def _jobs(
    plans: list[RunPlan], out: Path, train: str | TrainFunction | None, device: str
) -> list[Job]:
    out, jobs = out.absolute(), []
    fleets = groups(plans) if device == "cpu" else groups(plans, size=len(plans), workers=1)
    for group in fleets if train is None else [[plan] for plan in plans]:
        family = group[0].setup.family
        text = json.dumps([plan.to_dict() for plan in group], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:10]
        name = f"{family.id.replace('-lr0-', '-')}-{digest}"
        executor = train or (_FLEET if family.stacked else _SINGLE)
        scratch, log = out / "work" / name, out / "logs" / f"{name}.log"
        options = {"device": device} if executor == _FLEET and device != "cpu" else {}
        jobs.append(Job(name, tuple(group), executor, scratch, log, options))
    return jobs


def _checked(job: Job, outcome: Any) -> list[Record] | str | None:
    """Return the outcome, or a sentence where it is not a record of each planned run."""
    if outcome is None or isinstance(outcome, str):
        return outcome
    with contextlib.suppress(KeyError, TypeError):
        if [key_of(record) for record in outcome] == [plan.key for plan in job.plans] and all(
            (record["val_loss"] is not None) == (record["status"] == "finished")
            for record in outcome
        ):
            return outcome
    return "the training gave no valid record"


def _remove_empty(*folders: Path) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()
