"""Where to run: a grid on this machine or on a Ray cluster, one stored JSON record per run.

    DIR/grid.json       the grid that the directory belongs to, and the command
    DIR/runs/<id>.json  the record of a run, written the moment the run ends
    DIR/work/<id>/      scratch of a run in progress, removed afterwards
    DIR/logs/<id>.log   what a failed run printed

The same call on the same directory continues: finished and diverged runs are kept, failed ones are
tried again.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autowarmup.history import strict_json
from autowarmup.lab.compare.grid import Grid, expand
from autowarmup.lab.compare.progress import Display
from autowarmup.lab.compare.ray_engine import RayOptions, RayPool
from autowarmup.lab.compare.workers import Job, Pool, Record, TrainFunction, cores
from autowarmup.lab.files import write_aside
from autowarmup.lab.train.rundir import FORMAT

GRID_FORMAT = "autowarmup-grid-1"
STATUSES = ("finished", "diverged", "failed")


@dataclass(frozen=True)
class GridOutcome:
    """How far a grid has come: runs in all, stored ones by status, and whether it was stopped."""

    total: int
    finished: int
    diverged: int
    failed: int
    interrupted: bool = False

    @property
    def stored(self) -> int:
        """Runs that have a record, whatever became of them."""
        return self.finished + self.diverged + self.failed

    @property
    def sentence(self) -> str:
        """The state in one sentence."""
        parts = [f"{self.finished} finished"]
        parts += [f"{self.diverged} diverged"] if self.diverged else []
        parts += [f"{self.failed} failed"] if self.failed else []
        text = f"{self.stored} of {self.total} runs are stored ({', '.join(parts)})"
        return f"Stopped: {text}; the same command continues." if self.interrupted else f"{text}."


def pretrain_run(config: dict[str, Any], scratch: Path) -> Record:
    """Train one configuration of a grid with `pretrain.train` and return its record."""
    from autowarmup.lab.train.config import TrainConfig
    from autowarmup.lab.train.train import train

    # A run of a grid is short and its directory is scratch: it starts anew rather than resumes.
    fields: dict[str, Any] = {"checkpoint_every": 0} | {
        k: v for k, v in config.items() if k != "id"
    }
    return train(TrainConfig(**fields), out=scratch, progress=False)


def run_grid(
    grid: Grid,
    out: str | Path,
    *,
    workers: int | None = None,
    train: str | TrainFunction = pretrain_run,
    progress: bool = True,
    ray: RayOptions | None = None,
) -> GridOutcome:
    """Run what is missing of a grid in `out` and return how far it has come.

    Args:
        grid: what to run.
        out: a new or empty directory, or one where the same grid was begun.
        workers: runs at a time. On this machine by default one per core, each with cores // workers
            threads; on Ray as many as its resources allow.
        train: a top-level function, or its "module:function", called in a worker process with
            (configuration with `id`, scratch directory) and returning a run record.
        progress: show a live display on the terminal.
        ray: run on a Ray cluster with these options; by default on this machine. Records are
            stored by this process either way.

    Ctrl-C stops the runs in progress, keeps every stored one and returns with `interrupted` set.

    Raises:
        ValueError: `out` is not ours or holds another grid, `workers` is below 1, or the cluster
            cannot be reached or is too small.
        ModuleNotFoundError: Ray is asked for and not installed.
        OSError: a record could not be stored; everything stored before stays.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers: expected at least 1, got {workers}")
    out = Path(out)
    configs = expand(grid)
    _claim(out, grid)
    todo = [
        Job(config, out / "work" / config["id"], out / "logs" / f"{config['id']}.log")
        for config in configs
        if _stored_status(out, config["id"]) not in ("finished", "diverged")
    ]
    pool = _pool(train, workers, len(todo), ray)
    interrupted = False
    try:
        with Display(
            len(configs), len(configs) - len(todo), pool.size, enabled=progress
        ) as display:
            for event in pool.run(todo):
                if event.outcome is None:
                    display.started(event.job)
                    continue
                record = _as_record(event.job.config, event.outcome)
                _store(out, event.job, record)
                display.ended(event.job, record)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        pool.close()
        _clean(out)
    return _outcome(out, configs, interrupted)


def _pool(
    train: str | TrainFunction, workers: int | None, runs: int, ray: RayOptions | None
) -> Pool | RayPool:
    if ray is not None and runs:  # with nothing left to do no cluster is needed
        return RayPool(train, ray, workers=workers)
    size = max(1, min(workers or cores(), runs))
    return Pool(train, size, threads=max(1, cores() // size))


def _claim(out: Path, grid: Grid) -> None:
    """Make the directory ours, or check that it is and that it holds this grid."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out}: expected a directory, got a file")
    path = out / "grid.json"
    if not path.exists():
        if out.exists() and any(out.iterdir()):
            raise ValueError(
                f"{out}: expected an empty directory or one begun by autowarmup compare, "
                "got other files in it"
            )
        command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
        values = {"format": GRID_FORMAT, "command": command, "grid": grid.to_dict()}
        (out / "runs").mkdir(parents=True, exist_ok=True)
        _write_json(path, values, indent=1)
        return
    try:
        held = json.loads(path.read_text())["grid"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: expected the grid of this directory, got {error!r}") from error
    if held != grid.to_dict():
        raise ValueError(
            f"{out}: expected the grid it was begun with ({held.get('name')!r}), got another "
            f"({grid.name!r}); choose another directory"
        )
    (out / "runs").mkdir(exist_ok=True)


def _stored_status(out: Path, name: str) -> str | None:
    """Return the status of a stored run, None where there is no readable record of it."""
    try:
        record = json.loads((out / "runs" / f"{name}.json").read_text())
    except (OSError, json.JSONDecodeError):
        return None
    return record.get("status") if isinstance(record, dict) and record.get("id") == name else None


def _as_record(config: dict[str, Any], outcome: Record | str) -> Record:
    """Make whatever came of a run a record of the one format, in strict JSON values."""
    if isinstance(outcome, str) or outcome.get("status") not in STATUSES:
        sentence = outcome if isinstance(outcome, str) else "the training gave no valid record"
        outcome = {"format": FORMAT, "status": "failed", "message": sentence, "val_loss": None}
    record = strict_json({"format": FORMAT, "message": "", **outcome})
    record["id"] = config["id"]
    asked = {key: value for key, value in config.items() if key != "id"}
    record["config"] = {**asked, **record.get("config", {})}
    if record["status"] == "finished" and record.get("val_loss") is None:
        record["status"] = "diverged"
        record["message"] = "the validation loss at the end is not a finite number"
    return record


def _store(out: Path, job: Job, record: Record) -> None:
    _write_json(out / "runs" / f"{job.id}.json", record)
    shutil.rmtree(job.scratch, ignore_errors=True)
    if record["status"] != "failed":
        job.log.unlink(missing_ok=True)


def _write_json(path: Path, values: dict[str, Any], indent: int | None = None) -> None:
    try:
        write_aside(path, json.dumps(values, indent=indent, allow_nan=False).encode())
    except OSError as error:
        raise OSError(f"could not store {path} ({error}); what was stored before stays") from error


def _clean(out: Path) -> None:
    shutil.rmtree(out / "work", ignore_errors=True)
    logs = out / "logs"
    if logs.is_dir():
        for log in logs.glob("*.log"):
            if _stored_status(out, log.stem) != "failed":
                log.unlink()
        if not any(logs.iterdir()):
            logs.rmdir()


def _outcome(out: Path, configs: list[dict[str, Any]], interrupted: bool) -> GridOutcome:
    counts = Counter(_stored_status(out, config["id"]) for config in configs)
    return GridOutcome(
        len(configs), *(counts[status] for status in STATUSES), interrupted=interrupted
    )
