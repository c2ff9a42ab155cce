"""The executor of small models: runs of one family side by side, in one process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from autowarmup.lab.bench.directions import Stack
from autowarmup.lab.bench.fleet import FORWARD, Fleet, Replica
from autowarmup.lab.bench.plan import RunPlan
from autowarmup.lab.bench.records import Record, make_record
from autowarmup.lab.bench.setups import BEST, WEIGHT_DECAY, Setup
from autowarmup.lab.bench.stacked import stack_parameters
from autowarmup.lab.bench.tasks import Task, task_of

EVALUATIONS, CLIP = 10, 0.5


def train_fleet(
    plans: Sequence[RunPlan], scratch: Path | None = None, *, device: str = "cpu"
) -> list[Record]:
    """Train runs of one family side by side and return a record of each.

    Where the memory of a device has no room for all of them, halves train one after the other.

    Raises:
        ValueError: the runs are of more than one family.
    """
    try:
        return _trained_together(plans, device)
    except torch.OutOfMemoryError:
        if len(plans) == 1:
            raise
    if torch.device(device).type == "cuda":
        torch.cuda.empty_cache()  # what the whole fleet has left behind
    half = len(plans) // 2
    return [
        record
        for part in (plans[:half], plans[half:])
        for record in train_fleet(part, scratch, device=device)
    ]


def _trained_together(plans: Sequence[RunPlan], device: str) -> list[Record]:
    families = {plan.setup.family for plan in plans}
    if len(families) != 1:
        raise ValueError(f"a fleet: expected runs of one family, got {len(families)}")
    family = families.pop()
    torch.set_num_threads(1)
    began = time.monotonic()
    task = task_of(family)
    seeds = sorted({plan.seed for plan in plans})
    order = torch.tensor([seeds.index(plan.seed) for plan in plans], device=device)
    fleet = fleet_of(plans, family, task, seeds, order)
    curve: list[tuple[int, list[float]]] = []
    while fleet.step < family.steps and not fleet.over:
        batches = torch.stack([task.batch(seed, fleet.step) for seed in seeds]).to(device)
        fleet.update(batches[order])
        if fleet.step % -(-family.steps // EVALUATIONS) == 0 and fleet.step < family.steps:
            curve.append((fleet.step, fleet.evaluate(_on(device, task.evaluation(full=False)))))
    curve.append((fleet.step, fleet.evaluate(_on(device, task.evaluation(full=True)))))
    each = (time.monotonic() - began) / len(plans)
    return [
        make_record(
            plan,
            losses=replica.losses,
            factors=replica.factors,
            curve=[(step, values[k] / family.scale) for step, values in curve],
            updates=replica.updates,
            seconds=each,
            diverged_at=replica.diverged_at,
            start=replica.start,
            warmup_end_step=replica.state.end,
            ended_by=replica.state.ended_by,
            lowered=replica.lowered,
            **_log(plan, replica),
            extra_forwards=replica.extra_forwards,
            overhead=replica.extra_forwards * FORWARD / plan.setup.steps,
        )
        for k, (plan, replica) in enumerate(zip(plans, fleet.replicas, strict=True))
    ]


def _on(device: str, batches: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    return [batch.to(device) for batch in batches]


def _log(plan: RunPlan, replica: Replica) -> dict[str, Any]:
    """Return every loss, where the plan asks for them."""
    if not plan.options.get("log"):
        return {}
    return {"every_loss": [float(f"{loss:.4g}") for loss in replica.losses]}


def fleet_of(
    plans: Sequence[RunPlan], family: Setup, task: Task, seeds: list[int], order: torch.Tensor
) -> Fleet:
    """Return the fleet of runs of one family, before its first update.

    Args:
        plans: the runs.
        family: theirs.
        task: of the family.
        seeds: of the runs, each once.
        order: for each run the place of its seed among `seeds`; it lies where the fleet trains.
    """
    # SGD's steps grow with the loss: only at this rate is it the same training in other units.
    unit = family.scale if family.optimizer == "sgd" else 1.0
    weights = (
        trained(family.model, family.trained, tuple(seeds), str(order.device))
        if family.trained
        else initial(task, seeds, family.init)
    )

    def losses(parameters: Stack, batch: torch.Tensor) -> torch.Tensor:
        return task.losses(parameters, batch) * family.scale

    return Fleet(
        [Replica(plan, plan.setup.lr / unit) for plan in plans],
        family.optimizer,
        {key: p.to(order.device)[order].clone() for key, p in weights.items()},
        losses,
        weight_decay=WEIGHT_DECAY.get(family.optimizer, 0.1),
        clip=CLIP * family.scale,
    )


def initial(task: Task, seeds: Sequence[int], factor: float = 1.0) -> Stack:
    """Return the random weights of each seed, stacked; matrices times a factor."""
    weights = stack_parameters([task.model(seed) for seed in seeds])
    return {key: p * factor if p.ndim >= 3 else p for key, p in weights.items()}


@lru_cache(maxsize=1)  # the fleets of all optimizers begin with the same weights
def trained(model: str, updates: int, seeds: tuple[int, ...], device: str = "cpu") -> Stack:
    """Return the weights of each seed after so many updates on the standard library."""
    setup = Setup("adamw", BEST["adamw"], model=model, steps=updates)
    task = task_of(setup)
    replicas = [Replica(RunPlan(setup, seed, "linear 5%"), setup.lr) for seed in seeds]
    weights = {key: p.to(device) for key, p in initial(task, seeds).items()}
    fleet = Fleet(replicas, "adamw", weights, task.losses, clip=CLIP)
    while not fleet.over:
        fleet.update(torch.stack([task.batch(seed, fleet.step) for seed in seeds]).to(device))
    return {key: p.detach() for key, p in fleet.parameters.items()}
