"""Runs per hour of a fleet of small models against single runs, one after the other.

python benchmarks/fleet_speed.py                     # results/benchmarks/fleet_speed.json
python benchmarks/fleet_speed.py --device cuda       # results/gpu/fleet_speed.json

The runs are those of the benchmark of rules: its smallest language model ("micro") on the standard
library, batches of 8, and a rule that is asked at every update. A single run is the plain loop of a
user: the module, an optimizer of this package, the scheduler. The fleets (`lab.bench.fleet`) hold
1, 4, 16, ... such runs. In every round each of them makes the same number of updates, so that a
busy moment meets all; a ratio is the median of the ratios of single rounds. On the CPU it is
processor time of one thread. Runs per hour are of 600 updates, evaluations not counted, on one core
or on the one device.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from autowarmup import AdaptiveWarmup
from autowarmup.lab.bench.device import checked_device
from autowarmup.lab.bench.fleet import Fleet
from autowarmup.lab.bench.fleet_runs import CLIP, fleet_of
from autowarmup.lab.bench.plan import planned
from autowarmup.lab.bench.setups import BEST, Setup
from autowarmup.lab.bench.tasks import Task, task_of
from autowarmup.lab.environment import environment
from autowarmup.lab.train.model import token_loss
from autowarmup.lab.train.optimizers import build_optimizer
from autowarmup.rules import DEFAULT_RULE

DRY = os.environ.get("AUTOWARMUP_BENCH_DRY")  # a directory: small sizes, results go there
RESULTS = Path(DRY or Path(__file__).resolve().parent.parent / "results" / "benchmarks")
LENGTH = 600
SIZES = {"cpu": (1, 4, 16, 48), "cuda": (1, 16, 64, 256)}


class Single:
    """One run in the loop of a user."""

    def __init__(self, setup: Setup, task: Task, device: str) -> None:
        self.task, self.device, self.step = task, device, 0
        self.model = task.model(0).to(device)
        self.optimizer = build_optimizer(setup.optimizer, self.model, lr=setup.lr, weight_decay=0.1)
        self.scheduler = AdaptiveWarmup(self.optimizer, setup.steps)

    def update(self) -> None:
        windows = self.task.batch(0, self.step).to(self.device)
        loss = token_loss(self.model, windows)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()
        self.scheduler.step(loss)
        self.optimizer.zero_grad()
        self.step += 1


class Together:
    """A fleet of runs, half of the seeds and rules in common, as in the benchmark."""

    def __init__(self, setup: Setup, task: Task, device: str, size: int) -> None:
        seeds = list(range(-(-size // 2)))
        plans = planned([setup], (DEFAULT_RULE, "linear 5%"), seeds)[:size]
        order = torch.tensor([plan.seed for plan in plans], device=device)
        self.task, self.device, self.seeds, self.order = task, device, seeds, order
        self.fleet: Fleet = fleet_of(plans, setup.family, task, seeds, order)

    def update(self) -> None:
        batches = [self.task.batch(seed, self.fleet.step) for seed in self.seeds]
        self.fleet.update(torch.stack(batches).to(self.device)[self.order])


def seconds(update: Callable[[], None], updates: int, device: str) -> float:
    """Return the seconds of an update: of the processor, or until the device is done."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    began = clock()
    for _ in range(updates):
        update()
    if device != "cpu":
        torch.cuda.synchronize()
    return (clock() - began) / updates


def measure(setup: Setup, device: str, sizes: tuple[int, ...], updates: int, rounds: int) -> dict:
    """Return seconds of an update, runs per hour and how many times a fleet's are."""
    task = task_of(setup.family)
    runs: dict[str, Any] = {"single": Single(setup, task, device)}
    runs |= {f"fleet of {size}": Together(setup, task, device, size) for size in sizes}
    each = {"single": 1} | {f"fleet of {size}": size for size in sizes}
    for run in runs.values():  # the first updates measure starts and make states
        seconds(run.update, 2, device)
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            taken[name].append(seconds(run.update, updates, device) / each[name])
    return {
        name: {
            "seconds_of_an_update_and_run": median(times),
            "runs_per_hour": 3600 / (LENGTH * median(times)),
            "times_the_runs_of_single": median(
                one / own for one, own in zip(taken["single"], times, strict=True)
            ),
        }
        for name, times in taken.items()
    }


def main() -> None:
    """Measure, write JSON, print the ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=1 if DRY else 7)
    parser.add_argument("--updates", type=int, default=1 if DRY else 10, help="in a round")
    args = parser.parse_args()
    device = checked_device(args.device)
    torch.set_num_threads(1)
    kind = device.partition(":")[0]
    sizes = (1, 2) if DRY else SIZES[kind]
    rows = {}
    for optimizer in ("muon", "lion", "adamw"):
        setup = replace(Setup(optimizer, BEST[optimizer]), steps=LENGTH)
        rows[optimizer] = measure(setup, device, sizes, args.updates, args.rounds)
        for name, row in rows[optimizer].items():
            ratio, hourly = row["times_the_runs_of_single"], row["runs_per_hour"]
            print(f"{optimizer}, {name}: {hourly:.0f} runs an hour, {ratio:.2f}x", flush=True)
    record = {
        "command": f"python benchmarks/fleet_speed.py --device {device}",
        "environment": environment(),
        "device": torch.cuda.get_device_name(device) if kind == "cuda" else "cpu, one core",
        "rule": DEFAULT_RULE,
        "updates_of_a_run": LENGTH,
        "rounds": args.rounds,
        "updates_in_a_round": args.updates,
        "rows": rows,
    }
    place = RESULTS if kind == "cpu" or DRY else RESULTS.parent / "gpu"
    out = args.out or place / "fleet_speed.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
