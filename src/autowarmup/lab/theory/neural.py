"""The larger study of networks (B.6): random ones, and runs on real data, as one JSON and a figure.

`tools/neural_study.py` writes `results/theory/neural.json` and the figure with it.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from autowarmup.history import strict_json
from autowarmup.lab.environment import environment
from autowarmup.lab.files import write_aside
from autowarmup.lab.theory import checks_networks as checks
from autowarmup.lab.theory.courses import TOLERANCE, VACUOUS, Course, toy_course
from autowarmup.lab.theory.law import Floats
from autowarmup.lab.theory.rows import merge
from autowarmup.lab.theory.trained import DECAY, FULL, LEAK, RHO, Size

FORMAT = "autowarmup-neural-1"
FILE = "neural.json"

_BATCH = 250
LABELS = {
    "deep-linear": "Deep linear net, balanced",
    "leaky-relu": "Two-layer leaky ReLU net",
    "two-layer-ce": "Two-layer tanh net, CE + L2",
    "attention": "One-layer transformer, CE + L2",
    "blank-pixel": "Deep linear net, data without full rank",
    "toy-ce": "Toy net, CE + L2, H0 without f*",
}

FALSE = ("blank-pixel", "toy-ce")
"""What stands for a printed statement that is false."""


def study(
    *,
    size: Size = FULL,
    seeds: tuple[int, ...] = (0, 1, 2),
    steps: int = 1000,
    points: int = 24,
    instances: int = 2500,
    command: str = "",
) -> dict[str, Any]:
    """Check every statement on random networks and along gradient descent, and return the record.

    Args:
        size: of the objects on real data.
        seeds: one run each; they draw the weights.
        steps: of gradient descent.
        points: of them at which the Hessian norm is measured.
        instances: random small networks for each statement.
        command: what was typed.
    """
    started = time.perf_counter()
    rows = []
    for batch in range(0, instances, _BATCH):
        rng = np.random.default_rng([0, batch])
        rows += checks.random_networks(rng, min(_BATCH, instances - batch))
    rows += checks.controls(np.random.default_rng(1))
    found, courses = checks.trained_networks(size, seeds, steps, points)
    rows += found + checks.toy_rows()
    objects = {name: [run_record(run, seed) for run, seed in zip(runs, seeds, strict=True)]
               for name, runs in courses.items()}  # fmt: skip
    toy, printed = toy_course(points=points)
    objects["toy-ce"] = [run_record(toy, 0, printed)]
    return strict_json({
        "format": FORMAT, "command": command, "seeds": list(seeds), "steps": steps,
        "instances": instances, "size": size._asdict(), "leak": LEAK, "rho": RHO,
        "decay": DECAY, "random_seeds": "[0, first of the batch] for the nets, 1 for the controls",
        "lanczos_tolerance": TOLERANCE, "vacuous_above": VACUOUS,
        "seconds": round(time.perf_counter() - started, 1), "environment": environment(),
        "rows": [row.to_dict() for row in merge(rows)],
        "objects": {name: {"label": LABELS[name], "expected_fail": name in FALSE, "runs": runs}
                    for name, runs in objects.items()},
    })  # fmt: skip


def run_record(run: Course, seed: int, printed: Floats | None = None) -> dict[str, Any]:
    """Return a run as plain values; `printed` replaces the bound where a printed one is shown."""
    bound = run.bounds if printed is None else printed
    law = run.law
    return {
        "seed": seed,
        "H0": float(law.K0),
        "H1": float(law.K1),
        "step": run.step,
        "loss": run.loss.tolist(),
        "gap": run.gap.tolist(),
        "lr": run.lr.tolist(),
        "hessian_norm": run.norm.tolist(),
        "bound": bound.tolist(),
        "h0_h1": (law.K0 + law.K1 * run.gap).tolist(),
        "margin": ((bound - run.norm) / np.maximum(bound, run.norm)).tolist(),
        "bound_over_measured": (bound / run.norm).tolist(),
        "bound_here": (run.here if printed is None else printed).tolist(),
        "balance": run.balance.tolist(),
    }


def write(record: dict[str, Any], out: Path) -> Path:
    """Write OUT/neural.json and return its path."""
    out.mkdir(parents=True, exist_ok=True)
    write_aside(out / FILE, (json.dumps(record, indent=1, allow_nan=False) + "\n").encode())
    return out / FILE
