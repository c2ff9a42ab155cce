"""The record of a run: one JSON object with everything that a comparison or a page needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from autowarmup.history import Trace, strict_json
from autowarmup.lab.environment import environment
from autowarmup.lab.files import write_aside
from autowarmup.lab.train.config import TrainConfig
from autowarmup.lab.train.rundir import FORMAT

MOST_POINTS = 250
_COLUMNS = ("step", "loss", "lr", "factor", "gap", "phase")


def build_result(
    config: TrainConfig,
    out: Path,
    *,
    status: str,
    message: str,
    warmup: dict[str, Any],
    facts: dict[str, Any],
) -> dict[str, Any]:
    """Put the record together from the trace on disk and what the loop knows.

    Args:
        config: the run.
        out: its directory, which holds a complete `trace.jsonl`.
        status: "finished" or "diverged".
        message: a sentence, empty for a finished run.
        warmup: see `Run.how_it_warmed_up`.
        facts: see `Run.facts`.
    """
    trace = Trace.read(out / "trace.jsonl")
    losses = trace.column("loss")
    tail = losses[-max(1, config.steps // 20) :]
    evaluated = [(p.step, p.val_loss) for p in trace if p.val_loss is not None]
    finished = status == "finished"
    thin = trace.thinned(MOST_POINTS - 1)
    record = {
        "format": FORMAT,
        "id": config.id,
        "status": status,
        "message": message,
        "config": config.to_dict(),
        "val_loss": evaluated[-1][1] if finished else None,
        "train_loss": sum(tail) / len(tail) if finished else None,
        **warmup,
        "lower_bound": config.lower_bound,
        "trace": {name: thin.column(name) for name in _COLUMNS},
        "val_curve": {
            "step": [step for step, _ in evaluated],
            "val_loss": [loss for _, loss in evaluated],
        },
        "command": config.command(str(out)),
        "environment": environment(),
        **facts,
    }
    return strict_json(record)


def write_result(out: Path, record: dict[str, Any]) -> None:
    """Write `result.json`, at once or not at all."""
    write_aside(out / "result.json", (json.dumps(record, indent=1) + "\n").encode())
