"""Training functions that cost nothing, for the engine's tests (imported by its processes)."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autowarmup.lab.bench.plan import RunPlan
from autowarmup.lab.bench.records import Record, make_record

Plans = Sequence[RunPlan]


def one(plan: RunPlan, **changes: Any) -> Record:
    values = {
        "losses": [3.0, float("nan")],
        "factors": [1.0, 0.5],
        "curve": [(2, 2.0 + plan.setup.lr)],
        "updates": 2,
        "seconds": 0.0,
        "start": 1.0,
        "warmup_end_step": 0,
        "ended_by": "length",
        "threads": os.environ["OMP_NUM_THREADS"],
        "pid": os.getpid(),
    }
    return make_record(plan, **{**values, **changes})


def good(plans: Plans, scratch: Path) -> list[Record]:
    scratch.mkdir(parents=True, exist_ok=True)
    (scratch / "checkpoint").write_text("big")
    print("a line of training output")
    return [one(plan) for plan in plans]


def exit_on_no_warmup(plans: Plans, scratch: Path) -> list[Record]:
    if plans[0].rule == "none":
        os._exit(7)
    return good(plans, scratch)


def killed_on_no_warmup(plans: Plans, scratch: Path) -> list[Record]:
    if plans[0].rule == "none":
        os.kill(os.getpid(), signal.SIGKILL)
    return good(plans, scratch)


def mixed(plans: Plans, scratch: Path) -> list[Record]:
    (plan,) = plans
    print("a line of training output")
    if plan.rule == "none":
        return [one(plan, diverged_at=3, message="the loss is nan at step 3")]
    if plan.rule == "linear 50%" and plan.setup.optimizer == "lion":
        raise ValueError("expected a smaller rate, got 9")
    if plan.rule == "linear 50%":
        return [one(plan, curve=[(2, float("inf"))])]
    return [one(plan)]


def slow(plans: Plans, scratch: Path) -> list[Record]:
    records = good(plans, scratch)
    time.sleep(0.3)
    return records


def nonsense(plans: Plans, scratch: Path) -> Any:
    return [{"status": "marvellous"}]


def dies_once(plans: Plans, scratch: Path) -> list[Record]:
    """The first run to find the marker kills its process."""
    try:
        Path(plans[0].options["marker"]).unlink()
    except FileNotFoundError:
        return good(plans, scratch)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("should have ended")
