"""The executor of larger models: a run of `autowarmup train`, which continues where it stopped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autowarmup.history import Trace
from autowarmup.lab.bench.plan import RunPlan
from autowarmup.lab.bench.records import Record, make_record
from autowarmup.lab.bench.rules import training_fields
from autowarmup.lab.bench.setups import Setup


def train_single(plans: Sequence[RunPlan], scratch: Path) -> list[Record]:
    """Train one run with checkpoints in `scratch` and return its record.

    Raises:
        ValueError: a set-up that only a fleet can train, or settings that no run can have.
    """
    from autowarmup.lab.train.config import TrainConfig
    from autowarmup.lab.train.train import train

    (plan,) = plans
    _check(plan.setup)
    config = TrainConfig(
        recipe=plan.setup.model,
        optimizer=plan.setup.optimizer,
        lr=plan.setup.lr,
        batch_size=plan.setup.batch,
        steps=plan.setup.steps,
        seed=plan.seed,
        data=plan.setup.data,
        **training_fields(plan),
    )
    result = train(config, out=scratch, resume=True, progress=False)
    points = Trace.read(scratch / "trace.jsonl")
    trace = [(p.loss, p.factor) for p in points if p.factor is not None and math.isfinite(p.loss)]
    return [
        make_record(
            plan,
            losses=[loss for loss, _ in trace],
            factors=[factor for _, factor in trace],
            curve=_curve(result),
            updates=plan.setup.steps,
            seconds=result["seconds"],
            diverged_at=len(trace) if result["status"] == "diverged" else None,
            start=1.0 / result["div"] if result["div"] else 1.0,
            warmup_end_step=result["warmup_end_step"],
            ended_by=result["warmup_ended_by"],
            parameters=result["parameters"],
            message=result["message"],
        )
    ]


def _check(setup: Setup) -> None:
    plain = Setup(setup.optimizer, setup.lr)
    for name in ("noise", "scale", "trained"):
        if getattr(setup, name) != getattr(plain, name):
            raise ValueError(
                f"{name}: expected {getattr(plain, name):g} for a single run of the recipe "
                f"{setup.model!r}, got {getattr(setup, name):g}"
            )


def _curve(result: dict[str, Any]) -> list[tuple[int, float]]:
    curve = result["val_curve"]
    pairs = zip(curve["step"], curve["val_loss"], strict=True)
    return [(step, loss) for step, loss in pairs if loss is not None]
