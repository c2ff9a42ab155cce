"""Train one lot: replicas of one family, in one process, to one record per run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from autowarmup.lab.bench.directions import Stack
from autowarmup.lab.bench.fleet import FORWARD, Fleet, Replica
from autowarmup.lab.bench.plan import RunPlan
from autowarmup.lab.bench.rates import BEST
from autowarmup.lab.bench.setups import WEIGHT_DECAY, Setup
from autowarmup.lab.bench.stacked import stack_parameters
from autowarmup.lab.bench.tasks import Task, task_of
from autowarmup.rules.registry import rule_by_name

EVALUATIONS, CLIP = 10, 0.5
POINTS = 100
"""Points of a stored trace, each the mean loss and the first factor of a stretch of updates."""


def train_lot(plans: Sequence[RunPlan]) -> list[dict[str, Any]]:
    """Train runs of one family side by side and return a record of each.

    Raises:
        ValueError: the runs are of more than one family.
    """
    families = {plan.setup.family for plan in plans}
    if len(families) != 1:
        raise ValueError(f"a lot: expected runs of one family, got {len(families)}")
    family = families.pop()
    torch.set_num_threads(1)
    began = time.monotonic()
    task = task_of(family)
    seeds = sorted({plan.seed for plan in plans})
    # SGD's steps grow with the loss: only at this rate is it the same training in other units.
    unit = family.scale if family.optimizer == "sgd" else 1.0
    replicas = [
        Replica(p.rule_built(), p.setup.lr / unit, p.seed, family.steps, p.settings())
        for p in plans
    ]

    def losses(parameters: Stack, batch: torch.Tensor) -> torch.Tensor:
        return task.losses(parameters, batch) * family.scale

    order = torch.tensor([seeds.index(r.seed) for r in replicas])
    weights = (
        trained(family.model, family.trained, tuple(seeds))
        if family.trained
        else initial(task, seeds)
    )
    fleet = Fleet(
        replicas,
        family.optimizer,
        {key: p[order].clone() for key, p in weights.items()},
        losses,
        weight_decay=WEIGHT_DECAY.get(family.optimizer, 0.1),
        clip=CLIP * family.scale,
    )
    curve: list[tuple[int, list[float]]] = []
    while fleet.step < family.steps and not fleet.over:
        batches = torch.stack([task.batch(seed, fleet.step) for seed in seeds])
        fleet.update(batches[order])
        if fleet.step % -(-family.steps // EVALUATIONS) == 0 and fleet.step < family.steps:
            curve.append((fleet.step, fleet.evaluate(task.evaluation(full=False))))
    curve.append((fleet.step, fleet.evaluate(task.evaluation(full=True))))
    curve = [(step, [value / family.scale for value in values]) for step, values in curve]
    each = (time.monotonic() - began) / len(replicas)
    return [
        _record(plan, replica, [(step, values[k]) for step, values in curve], each)
        for k, (plan, replica) in enumerate(zip(plans, replicas, strict=True))
    ]


def initial(task: Task, seeds: Sequence[int]) -> Stack:
    """Return the random weights of each seed, stacked."""
    return stack_parameters([task.model(seed) for seed in seeds])


@lru_cache(maxsize=1)  # the lots of all optimizers begin with the same weights
def trained(model: str, updates: int, seeds: tuple[int, ...]) -> Stack:
    """Return the weights of each seed after so many updates on the standard library."""
    task = task_of(Setup("adamw", 0.0, model=model))
    rule, rate = rule_by_name("linear 5%"), BEST["adamw"]
    replicas = [Replica(rule, rate, seed, updates, {}) for seed in seeds]
    fleet = Fleet(replicas, "adamw", initial(task, seeds), task.losses, clip=CLIP)
    while not fleet.over:
        fleet.update(torch.stack([task.batch(seed, fleet.step) for seed in seeds]))
    return {key: p.detach() for key, p in fleet.parameters.items()}


def _record(
    plan: RunPlan, r: Replica, curve: list[tuple[int, float]], seconds: float
) -> dict[str, Any]:
    final = curve[-1][1]
    finite = r.diverged is None and np.isfinite(final)
    stretch = max(1, -(-len(r.losses) // POINTS))
    means = [float(np.mean(r.losses[at : at + stretch])) for at in range(0, len(r.losses), stretch)]
    return {
        "setup": plan.setup.to_dict(),
        "rule": plan.rule,
        "options": plan.options,
        "seed": plan.seed,
        "status": "finished" if finite else "diverged",
        "val_loss": final if finite else None,
        "updates": r.updates,
        "extra_forwards": r.extra_forwards,
        "overhead": r.extra_forwards * FORWARD / plan.setup.steps,
        "start": r.start,
        "warmup_end_step": r.state.warmup_end_step,
        "ended_by": r.state.ended_by,
        "diverged_at": r.diverged,
        "trace": {
            "stretch": stretch,
            "loss": [round(value, 4) for value in means],
            "factor": [float(f"{f:.4g}") for f in r.factors[::stretch]],
        },
        "trust": [[step, round(value, 4)] for step, value in r.trusts],
        "val_curve": [[step, round(value, 5)] for step, value in curve if np.isfinite(value)],
        "seconds": round(seconds, 2),
    }
