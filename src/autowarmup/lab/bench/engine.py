"""Run what is missing of a plan, in lots, and store every lot the moment it ends.

    DIR/runs/<family>-<digest>.jsonl   one line per run of a lot

The same call on the same directory continues.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from autowarmup.lab.bench.plan import RunPlan, run_key
from autowarmup.lab.bench.setups import Setup
from autowarmup.lab.compare.workers import Job, Pool, cores
from autowarmup.lab.files import write_aside

LOT = 16
"""Replicas that share an operation: more of them leave the cache."""


def lots(plans: Sequence[RunPlan], size: int = LOT, workers: int = 2) -> list[list[RunPlan]]:
    """Group runs that can share a fleet, in the order in which they were planned.

    A family is cut into lots of nearly equal size, as many for each worker.
    """
    families: dict[Setup, list[RunPlan]] = {}
    for plan in plans:
        families.setdefault(plan.setup.family, []).append(plan)
    result = []
    for members in families.values():
        count = min(len(members), workers * math.ceil(len(members) / (size * workers)))
        cuts = [round(k * len(members) / count) for k in range(count + 1)]
        result += [members[cuts[k] : cuts[k + 1]] for k in range(count)]
    return result


def read_records(out: str | Path) -> list[dict[str, Any]]:
    """Return every stored record, in the order of the files' names.

    Raises:
        ValueError: a file that does not hold records.
    """
    records: list[dict[str, Any]] = []
    for path in sorted((Path(out) / "runs").glob("*.jsonl")):
        try:
            found = [json.loads(line) for line in path.read_text().splitlines()]
            for record in found:
                key_of(record)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: expected one JSON record a line, got {error!r}") from error
        records += found
    return records


def key_of(record: dict[str, Any]) -> str:
    """Return the key of the plan that a record fulfils."""
    return run_key(record["setup"], record["seed"], record["rule"], record["options"])


def serve(config: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Train one lot in a worker process."""
    from autowarmup.lab.bench.lot import train_lot

    plans = [
        RunPlan(Setup(**run["setup"]), run["seed"], run["rule"], run["options"])
        for run in config["runs"]
    ]
    return {"records": train_lot(plans)}


def run_plans(
    plans: Iterable[RunPlan], out: str | Path, *, workers: int | None = None, progress: bool = True
) -> tuple[int, list[str]]:
    """Run what `out` does not hold yet; return how many runs are missing still, and why.

    Ctrl-C ends the lots in progress and raises; every stored lot stays.
    """
    out = Path(out)
    (out / "runs").mkdir(parents=True, exist_ok=True)
    stored = {key_of(record) for record in read_records(out)}
    todo = lots([plan for plan in plans if plan.key not in stored])
    missing, sentences = sum(map(len, todo)), []
    pool = Pool(serve, max(1, min(workers or cores(), len(todo))), threads=1)
    try:
        with _bar(sum(map(len, todo)), enabled=progress) as show:
            for event in pool.run([_job(lot, out) for lot in todo]):
                if event.outcome is None:
                    continue
                if isinstance(event.outcome, str):
                    sentences.append(f"{event.job.id}: {event.outcome}")
                    continue
                _store(out, event.job.id, event.outcome["records"])
                missing -= len(event.outcome["records"])
                show(len(event.outcome["records"]), event.job.id)
    finally:
        pool.close()
        shutil.rmtree(out / "work", ignore_errors=True)
    return missing, sentences


def _job(lot: list[RunPlan], out: Path) -> Job:
    runs = [
        {"setup": p.setup.to_dict(), "seed": p.seed, "rule": p.rule, "options": p.options}
        for p in lot
    ]
    digest = hashlib.sha256(json.dumps(runs, sort_keys=True).encode()).hexdigest()[:10]
    name = lot[0].setup.family.id.replace("-lr0-", "-")
    config = {"id": f"{name}-{digest}", "runs": runs}
    return Job(config, out / "work" / config["id"], out / "work" / f"{config['id']}.log")


def _store(out: Path, name: str, records: list[dict[str, Any]]) -> None:
    lines = "".join(json.dumps(record, allow_nan=False) + "\n" for record in records)
    write_aside(out / "runs" / f"{name}.jsonl", lines.encode())


def _bar(total: int, *, enabled: bool) -> Any:
    from contextlib import contextmanager

    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    @contextmanager
    def bar() -> Any:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        with Progress(*columns, *times, disable=not enabled) as progress:
            task = progress.add_task("benchmark", total=total)

            def show(runs: int, name: str) -> None:
                progress.advance(task, runs)
                if enabled:
                    progress.console.print(f"{name}: {runs} runs stored", highlight=False)

            yield show

    return bar()
