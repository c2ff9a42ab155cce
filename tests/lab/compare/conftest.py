from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from autowarmup.lab.compare.grid import Grid, expand, warmup_steps

Record = dict[str, Any]


def _factor(step: int, steps: int, warmup: float) -> float:
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1.0, steps - warmup)))


def make_record(config: dict[str, Any], *, floor: float = 1.5, best: float = 0.1) -> Record:
    """A run whose final loss is lowest where warm-up takes the share `best` of the run."""
    config = dict(config)
    name = config.pop("id")
    noise = random.Random(name)
    steps = config["steps"]
    adaptive = config["warmup"] == "adaptive"
    length = best * 1.2 * steps if adaptive else warmup_steps(config["warmup"], steps)
    share = max(1.0, length) / steps
    final = floor + 0.03 * math.log(share / best) ** 2 + noise.gauss(0, 0.005)
    if adaptive:
        final += {"accurate": 0.02, "published": 0.2}.get(config["peak"], 0.0)
        final += 0.0 if config["calibrate"] else 0.1
    gap0, gap_peak, div = 5.5, 5.5 * 0.31, 10.0 if adaptive else None
    at = list(range(0, steps, max(1, steps // 200)))
    loss = [final + (gap0 - final) * math.exp(-6 * s / steps) + noise.gauss(0, 0.04) for s in at]
    factor = [_factor(s, steps, max(1.0, length)) for s in at]
    gap: list[float | None] = [None] * len(at)
    if adaptive:
        gap = [gap0 - (gap0 - gap_peak) * min(1.0, s / length) - 0.2 * (s > length) for s in at]
        factor = [
            1 / (1 + 9 * (gap0 / g) * ((g - gap_peak) / (gap0 - gap_peak)) ** 2)
            if s <= length
            else f
            for s, f, g in zip(at, factor, gap, strict=True)
            if g is not None
        ]
    evaluations = range(steps // 10, steps + 1, max(1, steps // 10))
    return {
        "format": "autowarmup-run-1",
        "id": name,
        "status": "finished",
        "message": "",
        "config": {"batch_size": 16, "decay": "cosine", **config},
        "val_loss": final,
        "train_loss": final - 0.02,
        "warmup_end_step": round(length),
        "warmup_ended_by": "gap" if adaptive else "linear",
        "div": div,
        "gap0": gap0 if adaptive else None,
        "gap_peak": gap_peak if adaptive else None,
        "lower_bound": 0.0,
        "steps_done": steps,
        "parameters": 349_000,
        "tokens": steps * 16 * 64,
        "trace": {
            "step": at,
            "loss": loss,
            "lr": [config["lr"] * f for f in factor],
            "factor": factor,
            "gap": gap,
            "phase": ["warmup" if s <= length else "decay" for s in at],
        },
        "val_curve": {
            "step": list(evaluations),
            "val_loss": [final + (gap0 - final) * math.exp(-6 * s / steps) for s in evaluations],
        },
        "environment": {"python": "3.13.1", "torch": "2.13.0", "cpu": "test <cpu>", "threads": 1},
        "command": f"autowarmup train --seed {config['seed']}",
        "seconds": 12.5,
    }


_FLOORS = {"muon": (1.45, 0.002), "lion": (1.9, 0.15), "signum": (2.0, 0.2), "normsgd": (2.4, 0.08)}


def make_records(grid: Grid) -> list[Record]:
    """Records of a whole grid: Muon wants no warm-up, the others do."""
    records = []
    for config in expand(grid):
        floor, best = _FLOORS[config["optimizer"]]
        records.append(make_record(config, floor=floor + 10 * config["lr"], best=best))
    return records


@pytest.fixture(scope="session")
def grid_records() -> Callable[[Grid], list[Record]]:
    return make_records
