"""The record of a run: one JSON object with everything that a comparison or a page needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autowarmup.history import Trace, strict_json
from autowarmup.lab.environment import environment
from autowarmup.lab.train.config import TrainConfig
from autowarmup.lab.train.rundir import FORMAT

MOST_POINTS = 250
_COLUMNS = ("step", "loss", "lr", "factor", "gap", "phase")


def build_result(
    config: TrainConfig, out: Path, *, stopped: str, facts: dict[str, Any]
) -> dict[str, Any]:
    """Put the record together from the complete trace in `out` and what the loop knows.

    `stopped` says why the run ended early and is empty for a finished one; for `facts` see
    `Run.facts`.
    """
    trace = Trace.read(out / "trace.jsonl")
    losses = trace.column("loss")
    tail = losses[-max(1, config.steps // 20) :]
    evaluated = [(p.step, p.val_loss) for p in trace if p.val_loss is not None]
    train_loss = sum(tail) / len(tail)
    thin = trace.thinned(MOST_POINTS - 1)
    record = {
        "format": FORMAT,
        "status": "diverged" if stopped else "finished",
        "message": stopped or _no_gain(config, losses[0], train_loss),
        "config": config.to_dict(),
        "val_loss": None if stopped else evaluated[-1][1],
        "train_loss": None if stopped else train_loss,
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


def _no_gain(config: TrainConfig, first: float, last: float) -> str:
    """Say where training ended above its first loss; nothing where it did not."""
    if last <= first:
        return ""
    return (
        f"the loss ended above where it began ({first:.4g} at first, {last:.4g} at the end); a "
        f"lower peak rate than {config.lr:g} or a longer warm-up may help"
    )
